"""What a stamp looks at in folders that a project takes code from: times, sizes and names, never contents.

An entry is a line, a kind and a path:

``f``  a file: its time, size and number
``n``  a folder: the names that could be imported from it, by which backends find packages
``t``  a folder with all files in it, as far as they count for a build
``m``  a folder of a workspace's members: who is in it, with their pyproject.toml

This module imports almost nothing, see :mod:`.stamp`.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def watched_state(entries: Iterable[str]) -> bytes:
    """How things are: as long as it is the same, nothing has changed."""
    lines: list[str] = []
    for entry in entries:
        kind, path = entry[0], entry[2:]
        lines.append(entry)
        if kind == "f":
            lines.append(_file_state(path))
        elif kind == "n":
            lines += _importable(path)
        elif kind == "m":
            lines += _members(path)
        else:
            lines += _tree(path)
    return "\n".join(lines).encode(errors="surrogateescape")


def _file_state(path: str) -> str:
    try:
        found = os.stat(path)
    except OSError:
        return "-"
    return f"{found.st_mtime_ns} {found.st_size} {found.st_ino}"


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _importable(folder: str) -> Iterator[str]:
    """As :func:`envforge.build.editable.editable_fingerprint` looks at a folder."""
    for name in _names(folder):
        stem = name.removesuffix(".py")
        if stem.isidentifier() and not name.startswith("__"):
            is_package = stem == name and os.path.exists(f"{folder}/{name}/__init__.py")
            yield f"{name} {is_package or os.path.isdir(f'{folder}/{name}')}{is_package}"


def _members(folder: str) -> Iterator[str]:
    for name in _names(folder):
        state = _file_state(f"{folder}/{name}/pyproject.toml")
        if state != "-":
            yield f"{name} {state}"


def _tree(folder: str) -> Iterator[str]:
    from envforge.build.content import source_files

    for path, entry in source_files(folder):
        yield f"{path} {_file_state(entry.path)}"
