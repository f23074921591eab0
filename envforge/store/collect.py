"""What is in a store, and how a thing that nothing needs is taken out of it.

Who calls here has found out that no generation needs the thing (:mod:`envforge.environment.collect`). Whether
somebody has just found it is seen here: see :mod:`envforge.store.uses`. A thing that is being made, or that
another process is about to fetch anew, is guarded, and left alone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from envforge.store.failures import store_failures
from envforge.store.layout import BLUEPRINTS
from envforge.store.uses import aside_path, withdraw
from envforge.struct import Struct

if TYPE_CHECKING:
    from envforge.model.tree import Tree
    from envforge.store.store import Store

BUILDS = "builds"


class StoredTree(Struct, frozen=True):
    """A complete tree, and when its use was last noted (seconds since the epoch)."""

    tree: Tree
    used_s: float


class StoredBundle(Struct, frozen=True):
    """A complete bundle: its id, the ids of its trees, when its use was last noted."""

    id: str
    trees: frozenset[str]
    used_s: float


class RememberedBuild(Struct, frozen=True):
    """What was built of a source: the key of the source, the digest of the wheel, when it was last used."""

    key: str
    sha256: str
    used_s: float


class StoredBlueprint(Struct, frozen=True):
    """What is kept of an environment that was worked out: name, size, when its use was last noted."""

    name: str
    size_bytes: int
    used_s: float


def list_trees(store: Store) -> Iterator[StoredTree]:
    """All trees that are complete; one small read for each."""
    for name, used_s in _marks(store.trees):
        tree = store.find_tree_by_id(name)
        if tree is not None:
            yield StoredTree(tree, used_s)


def list_bundles(store: Store) -> Iterator[StoredBundle]:
    """All bundles that are complete."""
    for name, used_s in _marks(store.bundles):
        with suppress(OSError, ValueError, KeyError, TypeError):
            fields = json.loads((store.bundles / f"{name}.json").read_bytes())
            yield StoredBundle(name, frozenset(fields["trees"]), used_s)


def list_builds(store: Store) -> Iterator[RememberedBuild]:
    """What is remembered of builds."""
    for name, used_s in _marks(store.root / BUILDS):
        with suppress(OSError, ValueError, KeyError, TypeError):
            fields = json.loads((store.root / BUILDS / f"{name}.json").read_bytes())
            yield RememberedBuild(name, str(fields["sha256"]), used_s)


def list_blueprints(store: Store) -> Iterator[StoredBlueprint]:
    """What is kept of environments that were worked out."""
    for name, used_s in _marks(store.root / BLUEPRINTS):
        with suppress(OSError):
            yield StoredBlueprint(name, (store.root / BLUEPRINTS / f"{name}.json").stat().st_size, used_s)


def drop_tree(store: Store, tree_id: str, now_s: float) -> bool:
    """Take a tree out, with the bundles that hold its files, unless it was used just now or is guarded.

    Args:
        store: it is in.
        tree_id: nothing needs it.
        now_s: by the file system's clock.

    Returns:
        Whether it is gone.

    Raises:
        StoreError: it cannot be removed.
    """
    with store_failures(store.trees, f"remove tree {tree_id}"), store.guard(tree_id).try_hold() as mine:
        if not mine or not _withdraw(store, store.trees / f"{tree_id}.json", now_s):
            return False
        store.remove_tree(tree_id)
    return True


def drop_bundle(store: Store, bundle_id: str, now_s: float) -> bool:
    """Take a bundle out; like :func:`drop_tree`."""
    guard = store.guard(f"bundle-{bundle_id}")
    with store_failures(store.bundles, f"remove bundle {bundle_id}"), guard.try_hold() as mine:
        if not mine or not _withdraw(store, store.bundles / f"{bundle_id}.json", now_s):
            return False
        store.remove_bundle(bundle_id)
    return True


def drop_build(store: Store, key: str, now_s: float) -> bool:
    """Forget what was built of a source; like :func:`drop_tree`, the tree stays."""
    from envforge.store.guard import Guard

    guard = Guard(store.guards / f"build-{key}")
    with store_failures(store.root / BUILDS, "forget a build"), guard.try_hold() as mine:
        return mine is not None and _withdraw(store, store.root / BUILDS / f"{key}.json", now_s)


def drop_blueprint(store: Store, name: str, now_s: float) -> bool:
    """Remove a blueprint, unless it was used just now; who has read it needs the file no longer."""
    with store_failures(store.root / BLUEPRINTS, "remove a blueprint"):
        return _withdraw(store, store.root / BLUEPRINTS / f"{name}.json", now_s)


def _withdraw(store: Store, marker: Path, now_s: float) -> bool:
    """Withdraw a marker, for good."""
    aside = aside_path(store.tmp)
    if not withdraw(marker, aside, now_s):
        return False
    aside.unlink(missing_ok=True)
    return True


def _marks(folder: Path) -> Iterator[tuple[str, float]]:
    """Names of the completion markers of a folder, with their times."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as listing:
        for entry in listing:
            name, dot, suffix = entry.name.partition(".")
            if dot and suffix == "json":
                with suppress(OSError):
                    yield name, entry.stat().st_mtime
