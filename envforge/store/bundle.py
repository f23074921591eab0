"""Bundles: coupled trees hardlinked into one real folder, made once (why: :mod:`envforge.plan.bundles`).

A bundle of the site's store is used as it is. Where there is none, files of the site's trees become symlinks
if they cannot be hard-linked: the loader takes the folder in which it found a library for ``$ORIGIN``, not
the one that a symlink leads to (Linux; dyld looks where the file really is, so it gets copies).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from envforge.events import Reporter
from envforge.model.tree import Tree
from envforge.plan.bundles import bundle_id
from envforge.store.failures import store_failures
from envforge.store.layout import StoredFile
from envforge.store.links import HardLinks
from envforge.store.sealing import file_mode
from envforge.store.store import Store

_WORKERS = 2
"""43,000 links: 0.7 s by one thread, 0.39 s by two; the file system's own lock allows no more."""


class Source(NamedTuple):
    """Where a file of a bundle comes from."""

    tree_id: str
    file: StoredFile


def ensure_bundle(store: Store, trees: Sequence[Tree], reporter: Reporter) -> str:
    """Make the bundle of these trees if it is not in the store.

    Args:
        store: holds the trees.
        trees: the members, in any order.
        reporter: is told when another process is at it.

    Returns:
        The bundle's id.

    Raises:
        StoreError: the store cannot be written.
    """
    identity = bundle_id(tree.id for tree in trees)
    if store.has_bundle(identity) or store.use_site_bundle(identity, [tree.id for tree in trees]):
        return identity
    what = f"the bundle of {', '.join(sorted(tree.name for tree in trees))}"
    with store.guard(f"bundle-{identity}").hold(reporter, what):
        if not store.has_bundle(identity):
            _make_bundle(store, trees, identity, what)
    return identity


def _make_bundle(store: Store, trees: Sequence[Tree], identity: str, what: str) -> None:
    """Link everything in a staging folder and publish it."""
    sources = choose_sources(store, trees)
    with store.staging() as staging, store_failures(store.bundles, f"make {what}"):
        staged = staging / "bundle"
        for folder in _folders(sources):
            os.mkdir(f"{staged}/{folder}" if folder else staged)
        foreign = {tree.id for tree in trees if store.is_of_site(tree.id)}
        _link_all(store.trees, staged, sources, foreign)
        store.publish_bundle(staged, identity, sorted(tree.id for tree in trees), list(sources))


def choose_sources(store: Store, trees: Sequence[Tree]) -> dict[str, Source]:
    """Path → file for all of ``lib/``; of two trees that have a path, the first by name keeps it."""
    sources: dict[str, Source] = {}
    folders: set[str] = set()
    for tree in sorted(trees, key=lambda tree: tree.name):
        files = [file for file in store.tree_files(tree.id) if file.path.startswith("lib/")]
        blocked = {folder for folder in _parents(file.path for file in files) if folder in sources}
        for file in files:
            if file.path not in folders and not (blocked and blocked & _parents([file.path])):
                sources.setdefault(file.path, Source(tree.id, file))
        folders = set(_parents(sources))
    return sources


def _parents(paths: Iterable[str]) -> set[str]:
    """All folders above these paths."""
    folders: set[str] = set()
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    return folders


def _folders(sources: Mapping[str, Source]) -> list[str]:
    """Every folder of a bundle, parents first, beginning with the bundle itself."""
    return ["", *sorted(_parents(sources))]


def _link_all(trees: Path, staged: Path, sources: Mapping[str, Source], foreign: Container[str]) -> None:
    """Link every file, in a few threads (a link is almost nothing but the system call)."""
    from concurrent.futures import ThreadPoolExecutor

    items = list(sources.items())
    share = -(-len(items) // _WORKERS) or 1
    parts = [items[start : start + share] for start in range(0, len(items), share)]
    links = HardLinks()
    with ThreadPoolExecutor(_WORKERS) as pool:
        for _ in pool.map(lambda part: _link_part(trees, staged, part, links, foreign), parts):
            pass


def _link_part(
    trees: Path,
    staged: Path,
    items: Sequence[tuple[str, Source]],
    links: HardLinks,
    foreign: Container[str],
) -> None:
    """Link some files; those that cannot be linked are copied, or symlinks where they are the site's."""
    for path, source in items:
        origin, place = f"{trees}/{source.tree_id}/{path}", f"{staged}/{path}"
        if links.make(origin, place, source.tree_id):
            continue
        if source.tree_id in foreign and sys.platform == "linux":
            os.symlink(f"{'../' * (path.count('/') + 2)}trees/{source.tree_id}/{path}", place)
        else:
            _copy(origin, place, source.file.executable)


def _copy(origin: str, place: str, executable: bool) -> None:
    """Copy one file, created with the mode that files of the store have."""
    from shutil import copyfileobj

    handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, file_mode(executable))
    with open(origin, "rb") as content, open(handle, "wb") as copy:
        copyfileobj(content, copy, 1 << 20)
