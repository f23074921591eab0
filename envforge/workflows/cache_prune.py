"""``envforge cache prune``: take away what no root needs.

Sweep what killed processes left → look at everything → plan → take away, holders before what they hold. Roots
are the environments of projects, running processes and leases: :mod:`envforge.environment.collect`. Syncs may
run meanwhile, on this and on other nodes: :mod:`envforge.store.uses` says why none of them loses what it has
found. A run that is killed leaves what the next one sweeps.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from envforge.environment.collect import retire_generation, sweep_environments
from envforge.environment.tenants import tenant_folders
from envforge.errors import StoreError
from envforge.events import Warned
from envforge.fetch.archive_life import drop_archive, sweep_withdrawn
from envforge.fetch.archives import sweep_archives
from envforge.git.cache import FOLDER as GIT_FOLDER
from envforge.git.collect import drop_commit, sweep_commits
from envforge.link.conda_collect import drop_package, drop_prefix, sweep_prefixes
from envforge.link.conda_packages import sweep_packages
from envforge.net.cache_life import remove_entry
from envforge.plan.prune import Item, Key, Kind, PruneDemand, PrunePlan, plan_prune
from envforge.store import uses
from envforge.store.collect import drop_blueprint, drop_build, drop_bundle, drop_tree
from envforge.store.failures import store_failures
from envforge.store.store import Store
from envforge.struct import Struct
from envforge.workflows.cache_contents import (
    CacheContents,
    clock_of,
    generation_key,
    held_now,
    read_contents,
)
from envforge.workflows.prefixes import conda_packages_folder, prefixes_folder
from envforge.workflows.session import Session

_MOST_SHOWN = 5


class PruneOptions(Struct, frozen=True, kw_only=True):
    """How to prune.

    Args:
        max_size_bytes: remove until all fits, least recently used first; None: what nothing needs.
        everything: also earlier environments, and all that can be fetched again.
        dry_run: only say what would go.
    """

    max_size_bytes: int | None = None
    everything: bool = False
    dry_run: bool = False


class PruneReport(Struct, frozen=True, kw_only=True):
    """What ``prune`` did, or with ``dry_run`` would do.

    Args:
        removed: what went.
        spared: what was to go, and turned out to be used.
        freed_bytes: of what went.
        left_bytes: of what is there now.
        swept_count: what killed processes had left.
        max_size_bytes: the size that was asked for.
        kept_bytes: why → bytes of what had to stay although that size is not reached.
        failures: what could not be removed, and why.
        dry_run: nothing was done.
    """

    removed: tuple[Item, ...]
    spared: tuple[Item, ...] = ()
    freed_bytes: int = 0
    left_bytes: int = 0
    swept_count: int = 0
    max_size_bytes: int | None = None
    kept_bytes: dict[str, int]
    failures: tuple[StoreError, ...] = ()
    dry_run: bool = False

    @property
    def fits(self) -> bool:
        """Whether the size that was asked for is reached."""
        return self.max_size_bytes is None or self.left_bytes <= self.max_size_bytes


def prune(session: Session, options: PruneOptions = PruneOptions()) -> PruneReport:
    """Take away what nothing needs, or the least recently used until the rest fits.

    Args:
        session: the surroundings; it needs no project.
        options: how.

    Raises:
        StoreError: the tier belongs to a newer envforge, or cannot be read.
    """
    swept = 0 if options.dry_run else sweep(session)
    contents = read_contents(session)
    demand = PruneDemand(
        now_s=contents.now_s,
        grace_s=uses.GRACE_S,
        max_size_bytes=options.max_size_bytes,
        everything=options.everything,
    )
    plan = plan_prune(contents.items(), demand)
    if contents.unreadable:
        folders = [f"path: {place}" for place in contents.unreadable[:_MOST_SHOWN]]
        session.reporter.report(
            Warned(
                message="\n".join(["packages stay, because some environments cannot be looked at", *folders]),
                hint="prune as the user whose they are, or as one who may read them",
            )
        )
    if options.dry_run:
        return _report(plan, plan.removals, options)
    work = _Removal(contents, session)
    for item in plan.removals:
        work.remove(item)
    return _report(plan, work.removed, options, work, swept)


def sweep(session: Session) -> int:
    """Remove what killed processes left; returns how much that was. What is not ours to remove is left."""
    places = session.places
    store = Store(places.tier)
    now_s = clock_of(places.tier, session.now_s)
    removed = 0
    folders = [*tenant_folders(places.tier), places.tier / "build-environments"]
    steps: list[Callable[[], int]] = [
        store.sweep,
        lambda: sweep_prefixes(prefixes_folder(places.tier)),
        lambda: sweep_archives(places.archives, store),
        lambda: sweep_withdrawn(places.archives),
        lambda: _sweep_entries(session, now_s),
        lambda: sweep_commits(places.cache / GIT_FOLDER),
        *(partial(_sweep_environments, folder, now_s) for folder in folders if folder.is_dir()),
    ]
    for step in steps:
        with suppress(StoreError):  # such as what another user has left; a failure to remove more is told
            removed += step()
    sweep_packages(conda_packages_folder(session))
    return removed


def _sweep_environments(folder: Path, now_s: float) -> int:
    with store_failures(folder, "clean the environments"):
        return sweep_environments(folder, now_s)


def _sweep_entries(session: Session, now_s: float) -> int:
    """Remove what was being written into the cache of answers when its process was killed."""
    from envforge.net.cache_life import list_entries

    cache = session.places.cache
    return sum(
        remove_entry(cache, entry.path)
        for entry in list_entries(cache)
        if entry.is_unfinished and not uses.is_fresh(entry.used_s, now_s)
    )


class _Removal:
    """Takes things away one after the other, and knows what must not follow."""

    def __init__(self, contents: CacheContents, session: Session) -> None:
        self.removed: list[Item] = []
        self.spared: list[Item] = []
        self.failures: list[StoreError] = []
        self._session = session
        self._contents = contents
        self._store = Store(contents.places.tier)
        self._looked_s = time.monotonic()
        self._now_s = contents.now_s
        self._held: set[Key] = set()
        self._is_blind = False
        self._generations = {generation_key(found): found for found in contents.generations}
        self._bundles = {bundle.id: bundle.trees for bundle in contents.bundles}

    def remove(self, item: Item) -> None:
        """Take an item away, unless somebody has come to need it."""
        self._look_again()
        try:
            gone = not self._is_held(item.key) and self._take(item.key)
        except StoreError as error:
            self.failures.append(error)
            gone = False
        if gone:
            self.removed.append(item)
        else:
            # what it stands on is needed as long as it is there
            self._held |= item.holds
            self.spared.append(item)

    def _look_again(self) -> None:
        passed_s = time.monotonic() - self._looked_s
        if passed_s > uses.SNAPSHOT_S:
            self._now_s += passed_s
            self._looked_s = time.monotonic()
            present = held_now(self._session, self._now_s)
            self._is_blind = present is None
            self._held |= present or set()

    def _is_held(self, key: Key) -> bool:
        if self._is_blind and key.kind in (Kind.TREE, Kind.BUNDLE, Kind.PREFIX):
            return True
        if key.kind is Kind.BUNDLE:
            members = self._bundles.get(key.name, frozenset())
            return bool(members) and all(Key(Kind.TREE, name) in self._held for name in members)
        return key in self._held

    def _take(self, key: Key) -> bool:
        places, now_s = self._contents.places, self._now_s
        match key.kind:
            case Kind.GENERATION:
                return self._retire(key)
            case Kind.TREE:
                return drop_tree(self._store, key.name, now_s)
            case Kind.BUNDLE:
                return drop_bundle(self._store, key.name, now_s)
            case Kind.BUILD:
                return drop_build(self._store, key.name, now_s)
            case Kind.BLUEPRINT:
                return drop_blueprint(self._store, key.name, now_s)
            case Kind.PREFIX:
                return drop_prefix(Path(key.name), now_s)
            case Kind.ARCHIVE:
                return drop_archive(places.archives, key.name, now_s)
            case Kind.CONDA_PACKAGE:
                return drop_package(conda_packages_folder(self._session), key.name, now_s)
            case Kind.COMMIT:
                return drop_commit(places.cache / GIT_FOLDER, key.name, now_s)
            case Kind.ENTRY:
                return remove_entry(places.cache, key.name)

    def _retire(self, key: Key) -> bool:
        found = self._generations[key]
        with store_failures(found.path, "remove an environment"):
            venv = found.tenant.venv if found.tenant else None
            return retire_generation(found.path, self._now_s, venv)


def _report(
    plan: PrunePlan,
    removed: Sequence[Item],
    options: PruneOptions,
    work: _Removal | None = None,
    swept: int = 0,
) -> PruneReport:
    freed = sum(item.size_bytes for item in removed)
    return PruneReport(
        removed=tuple(removed),
        spared=tuple(work.spared) if work else (),
        freed_bytes=freed,
        left_bytes=plan.size_bytes - freed,
        swept_count=swept,
        max_size_bytes=options.max_size_bytes,
        kept_bytes=dict(plan.kept_bytes),
        failures=tuple(work.failures) if work else (),
        dry_run=options.dry_run,
    )
