"""The content of a source folder as a digest: whether a wheel that was built of it is right still.

Left out is what builds, tests and tools leave behind, and what version control keeps for itself.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:  # stamps look at folders this way: see envforge.workflows.watch
    from collections.abc import Iterator
    from pathlib import Path

_LEFT_BEHIND = frozenset(("__pycache__", "node_modules", "dist"))
_ENDINGS = (".pyc", ".pyo", ".egg-info", ".swp")


def content_fingerprint(source: Path) -> str:
    """A digest, hex, of all files that a build of a folder could read.

    Args:
        source: the folder. Files that cannot be read count as they are; a build tells what is wrong.
    """
    from hashlib import sha256

    digest = sha256()
    for path, entry in source_files(os.fspath(source)):
        digest.update(f"{path}\0{os.access(entry.path, os.X_OK)}\0".encode(errors="surrogateescape"))
        digest.update(_digest(entry))
    return digest.hexdigest()


def source_files(source: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """(path from the folder, entry) of every file that counts, in order of their paths."""
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        try:
            entries = sorted(os.scandir(f"{source}/{folder}"), key=lambda entry: entry.name)
        except OSError:
            continue
        folders = []
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if _is_left_behind(path, entry):
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append(path)
            else:
                yield path, entry
        waiting += reversed(folders)


def _is_left_behind(path: str, entry: os.DirEntry[str]) -> bool:
    name = entry.name
    if name in _LEFT_BEHIND or name.endswith(_ENDINGS):
        return True
    if not entry.is_dir(follow_symlinks=False):
        return False
    # a folder "build" at the top is setuptools', unless somebody has put a package there
    is_build = path == "build" and not os.path.exists(f"{entry.path}/__init__.py")
    return is_build or name.startswith(".") or os.path.exists(f"{entry.path}/pyvenv.cfg")


def _digest(entry: os.DirEntry[str]) -> bytes:
    from hashlib import file_digest

    try:
        with open(entry.path, "rb") as content:
            return file_digest(content, "sha256").digest()
    except OSError:
        return b"unreadable"
