"""Which names an archive may have: none that leaves its folder, none that two systems read differently.

Pure. Clashes by letter case or Unicode form are refused on every system: macOS and Windows would let
one file overwrite the other, and a lock is meant to give the same environment everywhere.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable

_DRIVE = re.compile(r"[A-Za-z]:")
_WINDOWS_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?$|.*[. ]$|.*[<>:\"|?*]")
_LONGEST_SEGMENT_BYTES = 255


def name_problem(name: str, *, windows: bool = sys.platform == "win32") -> str:
    """Why a file or folder (``/`` at its end) may not have this name in an archive, ``""`` if it may."""
    path = name.removesuffix("/")
    if "\0" in path:
        return "a NUL character in its name"
    if "\\" in path:
        return "a backslash in its name"
    if path.startswith("/") or _DRIVE.match(path):
        return "an absolute name"
    for segment in path.split("/"):
        if segment in ("", ".", ".."):
            return f"{segment!r} as part of its name"
        if len(segment) > 63 and len(segment.encode()) > _LONGEST_SEGMENT_BYTES:
            return "a name longer than 255 bytes"
        if windows and _WINDOWS_RESERVED.match(segment):
            return f"{segment!r} as part of its name, which Windows does not allow"
    return ""


def find_clash(files: Iterable[str], folders: Iterable[str] = ()) -> tuple[str, str] | None:
    """The first two paths that cannot stand beside each other on every system.

    Args:
        files: paths of files, ``/``-separated.
        folders: paths of folders that are there even if they are empty.

    Returns:
        (later, earlier), equal for a name that comes twice; None if there is no clash.
    """
    seen_files: dict[str, str] = {}
    seen_folders: dict[str, str] = {}
    known: set[str] = set()
    for path in folders:
        clash = _add_folder(path, known, seen_folders, seen_files)
        if clash:
            return clash
    for path in files:
        clash = _add_folder(path.rpartition("/")[0], known, seen_folders, seen_files)
        if clash:
            return clash
        folded = _fold(path)
        other = seen_files.get(folded) or seen_folders.get(folded)
        if other is not None:
            return path, other
        seen_files[folded] = path
    return None


def _add_folder(
    folder: str, known: set[str], seen_folders: dict[str, str], seen_files: dict[str, str]
) -> tuple[str, str] | None:
    """Note a folder and those that it is in; (folder, other) if one of them clashes."""
    while folder and folder not in known:
        known.add(folder)
        folded = _fold(folder)
        other = seen_files.get(folded) or seen_folders.setdefault(folded, folder)
        if other != folder or folded in seen_files:
            return folder, other
        folder = folder.rpartition("/")[0]
    return None


def _fold(path: str) -> str:
    """What the least careful file system makes of a path."""
    if path.isascii():
        return path.lower()
    from unicodedata import normalize

    return normalize("NFC", normalize("NFC", path).casefold())
