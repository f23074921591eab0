"""Integrity of trees and bundles: which files are not any more as they were stored."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from envforge.errors import StoreError
from envforge.model.tree import Tree
from envforge.store.layout import Damage, StoredFile
from envforge.store.sealing import BYTECODE
from envforge.store.store import Store


def find_damage(root: Path, tree_id: str, files: Sequence[StoredFile]) -> list[Damage]:
    """Compare every file with what was stored, by content; sorted by path. Bytecode is not looked at.

    Args:
        root: the tree's folder.
        tree_id: its id, for the answer.
        files: everything that should be there.
    """
    expected = {file.path: file for file in files}
    found = set(_walk_files(root))
    damages = [Damage(tree_id, path, "unexpected") for path in found - expected.keys()]
    for path, file in expected.items():
        if BYTECODE in path.split("/"):
            continue
        problem = _problem(root / path, file) if path in found else "missing"
        if problem:
            damages.append(Damage(tree_id, path, problem))
    return sorted(damages, key=lambda damage: damage.path)


def find_bundle_damage(store: Store, bundle_id: str, trees: Sequence[Tree]) -> list[Damage]:
    """Compare the files of a bundle with those of its trees, which are known to be whole.

    A file that is one with that of its tree is not read again.

    Args:
        store: holds both.
        bundle_id: of a complete bundle.
        trees: all its members.
    """
    from envforge.store.bundle import choose_sources

    root = store.bundles / bundle_id
    try:
        sources = choose_sources(store, trees)
        found = set(_walk_files(root))
    except (OSError, StoreError) as error:
        return [Damage(bundle_id, "", str(error))]
    damages = [Damage(bundle_id, path, "unexpected") for path in found - sources.keys()]
    for path, source in sources.items():
        if BYTECODE in path.split("/"):
            continue
        problem = "missing"
        if path in found:
            one = _is_one(root / path, store.tree_path(source.tree_id) / path)
            problem = "" if one else _problem(root / path, source.file)
        if problem:
            damages.append(Damage(bundle_id, path, problem))
    return sorted(damages, key=lambda damage: damage.path)


def _is_one(first: Path, second: Path) -> bool:
    try:
        return first.samefile(second) and not first.is_symlink()
    except OSError:
        return False


def _walk_files(root: Path, folder: str = "") -> Iterator[str]:
    """Paths below ``root`` of everything that is no folder, bytecode left out."""
    with os.scandir(root / folder) as listing:
        for entry in listing:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if not entry.is_dir(follow_symlinks=False):
                yield path
            elif entry.name != BYTECODE:
                yield from _walk_files(root, path)


def _problem(place: Path, file: StoredFile) -> str:
    """What is wrong with a file that is there, ``""`` for nothing."""
    from hashlib import file_digest

    try:
        status = place.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_size != file.size_bytes:
            return "changed"
        with open(place, "rb") as content:
            return "" if file_digest(content, "sha256").hexdigest() == file.sha256 else "changed"
    except OSError:
        return "unreadable"
