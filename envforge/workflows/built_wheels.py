"""What was built, found again: under which digest, in this store or among the archives of other nodes.

A build is asked for by what goes into it, not by what it requires to run: the versions that its build
requirements resolve to are noted, but a new setuptools is no reason to compile again.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from envforge.build.jobs import JOB_VARIABLES
from envforge.errors import EnvforgeError
from envforge.events import Warned
from envforge.fetch.archives import archive_guard, archive_path, mark_used, part_path
from envforge.fetch.fetch import fetch_trees
from envforge.fetch.request import FetchRequest
from envforge.model.requirement import normalize_name
from envforge.store.sharing import is_shared, make_folders, share
from envforge.store.store import Store, tree_id
from envforge.store.uses import note_use

if TYPE_CHECKING:
    from envforge.manifest.build_settings import BuildSettings
    from envforge.model.host import Interpreter
    from envforge.model.tree import Tree
    from envforge.workflows.session import Session

_BUILDS = "builds"
_HARDWARE = "TORCH_CUDA_ARCH_LIST"
"""Variable that decides for which GPUs PyTorch's extension builder compiles."""


def build_key(
    source: str,
    interpreter: Interpreter,
    settings: BuildSettings,
    runtime: Sequence[tuple[str, str, str]],
    environ: Mapping[str, str],
) -> str:
    """The digest of everything that decides what a build gives.

    Args:
        source: kind and digest of the source.
        interpreter: Python, platform and C library to build for.
        settings: of the project.
        runtime: (name, version, sha256) of what it is built with.
        environ: of the process.
    """
    env = {**{_HARDWARE: environ.get(_HARDWARE, "")}, **settings.env}
    parts = [
        source,
        [interpreter.implementation, interpreter.minor, interpreter.platform, interpreter.glibc],
        {
            name: list(value) if not isinstance(value, str) else value
            for name, value in settings.config_settings.items()
        },
        {name: value for name, value in env.items() if value and name not in JOB_VARIABLES},
        sorted(runtime),
    ]
    return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def find_built(key: str, store: Store) -> Tree | None:
    """The tree of a build that this store remembers."""
    try:
        place = store.root / _BUILDS / f"{key}.json"
        record = json.loads(place.read_bytes())
        note_use(str(place))
        return store.find_tree(record["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def find_shared(key: str, version: str, store: Store, session: Session) -> Tree | None:
    """The tree of a build whose wheel another node has kept; it is unpacked here and remembered.

    Args as for :func:`store_wheel`.
    """
    archives = session.places.archives
    try:
        record = json.loads((archives / _BUILDS / f"{key}.json").read_bytes())
        digest, filename = str(record["sha256"]), str(record["filename"])
        kept = archive_path(archives, tree_id(digest))
        if Path(filename).name != filename or not kept.is_file():
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    mark_used(kept)
    # What cannot be read, or is damaged, is built here: no wheel of another node is worth a failure.
    with suppress(EnvforgeError, OSError), store.staging() as folder:
        link = folder / filename
        link.symlink_to(kept.resolve())
        tree = store_wheel(link, version, store, session, digest)
        _write_record(store.root / _BUILDS, key, record)
        return tree
    return None


def store_wheel(wheel: Path, version: str, store: Store, session: Session, digest: str = "") -> Tree:
    """Bring a wheel that was built into the store, checked and unpacked like one from an index.

    Args:
        wheel: the file.
        version: by which it is known, ``""`` for that of its name. Backends add labels to it
            (``+cu128``), which a lock does not have.
        store: where it goes.
        session: places, network, reporter.
        digest: that it has to have, ``""`` for its own.

    Raises:
        ArchiveError: it is none, or has files that would be outside of an environment.
    """
    name, version_named = wheel.name.split("-")[:2]
    digest = digest or sha256(wheel.read_bytes()).hexdigest()
    url = f"{wheel.parent.resolve().as_uri()}/{wheel.name}"
    request = FetchRequest(
        name=normalize_name(name), version=version or version_named, url=url, sha256=digest
    )
    trees = fetch_trees([request], store, session.network, session.reporter, archives=session.places.archives)
    return trees[digest]


def remember(
    key: str,
    tree: Tree,
    wheel: Path,
    requires: Sequence[str],
    store: Store,
    session: Session,
    *,
    shared: bool,
) -> None:
    """Note a build for this store and, where archives outlive the tier, keep its wheel for other nodes.

    Args:
        key: its digest.
        tree: what it gave.
        wheel: the same as a file.
        requires: ``name==version`` of what was there for the build.
        store: it is in.
        session: places, reporter.
        shared: whether another node could use it.
    """
    record = {"filename": wheel.name, "requires": sorted(requires), "sha256": tree.sha256}
    if shared and session.places.keeps_archives:
        try:
            keep_archive(wheel, tree.id, wheel.name, session)
            _write_record(session.places.archives / _BUILDS, key, record)
        except OSError as error:
            message = f"{wheel.name} cannot be kept in {session.places.archives}: {error.strerror or error}"
            session.reporter.report(Warned(message=message, hint="the next node has to build it again"))
    _write_record(store.root / _BUILDS, key, record)


def keep_archive(wheel: Path, tree_id: str, filename: str, session: Session) -> None:
    """Keep a wheel among the archives, where whoever fetches it finds it.

    Args:
        wheel: the file.
        tree_id: of the tree that it becomes.
        filename: it is told by.
        session: places, reporter.

    Raises:
        OSError: the folder cannot be written.
    """
    archives = session.places.archives
    make_folders(archives)
    aside = part_path(archives, tree_id)  # what a killed process leaves there is swept like half a download
    with archive_guard(archives, tree_id).hold(session.reporter, filename):
        shutil.copyfile(wheel, aside)
        if is_shared(archives):
            share(aside)
        aside.replace(archive_path(archives, tree_id))


def _write_record(folder: Path, key: str, record: Mapping[str, object]) -> None:
    make_folders(folder)
    node = os.uname().nodename if hasattr(os, "uname") else ""
    aside = folder / f".{key}.{node}.{os.getpid()}"
    aside.write_text(json.dumps(record), encoding="utf-8")
    if is_shared(folder):
        share(aside)
    aside.replace(folder / f"{key}.json")
