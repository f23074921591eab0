"""Wheels that were built: into the store, and among the archives for other nodes."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from envforge.errors import EnvforgeError
from envforge.events import Warned
from envforge.fetch.archives import archive_guard, archive_path, mark_used, part_path
from envforge.fetch.fetch import fetch_trees
from envforge.fetch.request import FetchRequest
from envforge.model.names import normalize_name
from envforge.store.layout import tree_id
from envforge.store.sharing import is_shared, make_folders, share
from envforge.store.store import Store
from envforge.workflows.build_constraints import Constraints
from envforge.workflows.build_records import admitted_records, write_record

if TYPE_CHECKING:
    from envforge.model.tree import Tree
    from envforge.workflows.session import Session


def find_shared(
    keys: Iterable[str], version: str, store: Store, session: Session, constraints: Constraints
) -> Tree | None:
    """The tree of a build whose wheel another node has kept; it is unpacked here and remembered.

    Args as for :func:`store_wheel`, and of :func:`envforge.workflows.build_records.find_built`.
    """
    archives = session.places.archives
    for key, record in admitted_records(archives, keys, constraints):
        try:
            digest, filename = str(record["sha256"]), str(record["filename"])
            kept = archive_path(archives, tree_id(digest))
            if Path(filename).name != filename or not kept.is_file():
                continue
        except (OSError, ValueError, KeyError):
            continue
        mark_used(kept)
        # What cannot be read, or is damaged, is built here: no wheel of another node is worth a failure.
        with suppress(EnvforgeError, OSError), store.staging() as folder:
            link = folder / filename
            link.symlink_to(kept.resolve())
            tree = store_wheel(link, version, store, session, digest)
            write_record(store.root, [key], record)
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
    keys: Sequence[str],
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
        keys: its digests: the last one is its own, the others it has where nobody else has them.
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
            write_record(session.places.archives, keys, record)
        except OSError as error:
            message = f"{wheel.name} cannot be kept in {session.places.archives}: {error.strerror or error}"
            session.reporter.report(Warned(message=message, hint="the next node has to build it again"))
    write_record(store.root, keys, record)


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
