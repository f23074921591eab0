"""Couplings: which folders outside themselves the native libraries of a tree look for.

Read from DT_RUNPATH and DT_RPATH of ELF files (System V gABI, ``$ORIGIN`` as in ld.so(8)). Folders of
the tree itself are no couplings. Mach-O's LC_RPATH is not read yet.
"""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Iterable
from pathlib import Path
from posixpath import dirname, join, normpath

from envforge.store.failures import store_failures

_MARK = b"$ORIGIN"
_SEARCHED_BYTES = 1 << 20


def find_couplings(lib: Path, libraries: Iterable[str]) -> tuple[str, ...]:
    """Folders relative to ``lib`` that libraries in it look for and that are not in it, sorted.

    Args:
        lib: the ``lib`` folder of a tree.
        libraries: paths of shared objects in it. What is no ELF file is passed over.
    """
    found: set[str] = set()
    for path in libraries:
        with store_failures(lib / path, "read a library's search path"):
            entries = _search_path(f"{lib}/{path}")
        for entry in entries:
            folder = _outside(path, entry)
            if folder and not os.path.isdir(f"{lib}/{folder}"):
                found.add(folder)
    return tuple(sorted(found))


def _outside(path: str, entry: str) -> str:
    """The folder relative to ``lib`` that an entry of a search path names, ``""`` if it is none there.

    Without ``..`` the folder is below the library's own: if another distribution has it, the folder is
    shared and so a real one in every environment, where ``$ORIGIN`` finds it without a bundle.
    """
    if ".." not in entry.split("/"):
        return ""
    for origin in ("$ORIGIN", "${ORIGIN}"):
        rest = entry.removeprefix(origin)
        if rest != entry and (not rest or rest.startswith("/")):
            folder = normpath(join(dirname(path), f".{rest}"))
            return "" if folder.startswith(("..", "/")) or folder == "." else folder
    return ""


def _search_path(place: str) -> list[str]:
    """Entries of DT_RUNPATH and DT_RPATH of a file; none if it is no ELF file or has none."""
    with open(place, "rb") as file:
        if file.read(4) != b"\x7fELF" or not _mentions_origin(file.fileno()):
            return []
        from elftools.elf.dynamic import DynamicSegment
        from elftools.elf.elffile import ELFFile

        try:
            entries: list[str] = []
            for segment in ELFFile(file).iter_segments(type="PT_DYNAMIC"):
                assert isinstance(segment, DynamicSegment)
                for tag in segment.iter_tags():
                    kind = {"DT_RUNPATH": "runpath", "DT_RPATH": "rpath"}.get(tag.entry.d_tag)
                    entries += getattr(tag, kind).split(":") if kind else ()
            return entries
        except Exception as error:
            # a damaged library, as there are in test data, makes pyelftools raise anything, and seek anywhere
            if isinstance(error, OSError) and error.errno != errno.EINVAL:
                raise
            return []


def _mentions_origin(handle: int) -> bool:
    """Whether a small file has ``$ORIGIN`` in it at all; large ones are not read for that.

    Parsing takes 2 ms a file, searching 0.2 ms at most, and few extension modules have a search path.
    """
    if os.fstat(handle).st_size > _SEARCHED_BYTES:
        return True
    with mmap.mmap(handle, 0, access=mmap.ACCESS_READ) as content:
        return content.find(_MARK) >= 0 or content.find(b"${ORIGIN}") >= 0
