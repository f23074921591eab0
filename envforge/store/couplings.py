"""Couplings: which folders outside themselves the native libraries of a tree look for.

Read from DT_RUNPATH and DT_RPATH of ELF files (System V gABI, ``$ORIGIN`` as in ld.so(8)). Folders of
the tree itself are no couplings. Mach-O's LC_RPATH is not read yet.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from posixpath import dirname, join, normpath

from envforge.store.elf import read_run_paths
from envforge.store.failures import store_failures


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
    with open(place, "rb", buffering=0) as file:
        size_bytes = os.fstat(file.fileno()).st_size

        def read(offset: int, count: int) -> bytes:
            if offset >= size_bytes:  # a damaged file names places that no system call takes
                return b""
            file.seek(offset)
            return file.read(count)

        # what is no UTF-8 names no folder that a wheel can have
        texts = [path.text.decode("utf-8", "replace") for path in read_run_paths(read)]
        return [entry for text in texts for entry in text.split(":")]
