"""Trees: unpacked distributions, described so that nobody has to walk them again.

A tree is a folder in the store named by its id, with up to four parts:

``lib/``      what goes to site-packages (purelib and platlib), dist-info included
``scripts/``  the wheel's ``.data/scripts`` (shebangs still ``#!python``)
``data/``     the wheel's ``.data/data``, relative to the environment's root
``headers/``  the wheel's ``.data/headers``
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from envforge.struct import Struct, field


class EntryPoint(Struct, frozen=True, kw_only=True, array_like=True):
    """A console or GUI script: ``name = module:attribute`` (entry points specification)."""

    name: str
    module: str
    attribute: str
    gui: bool = False


class Tree(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An unpacked distribution in the store.

    Args:
        id: name of its folder: a prefix of the archive's sha256, in base 32.
        sha256: digest of the archive it came from (or of the build that made it), hex.
        name: normalized project name.
        version: canonical.
        top_level: entries directly under ``lib/``: name → ``"d"`` folder or ``"f"`` file.
        entry_points: scripts to write.
        scripts: file names under ``scripts/``.
        data: paths of files under ``data/``, ``/``-separated.
        headers: paths of files under ``headers/``.
        couplings: folders outside the wheel that its native libraries look for, relative to ``lib/``
            (``nvidia/cublas/lib``), from DT_RUNPATH/DT_RPATH.
        file_count: all files of the tree.
        size_bytes: their sum.
    """

    id: str
    sha256: str
    name: str
    version: str
    top_level: dict[str, str] = field(default_factory=dict)
    entry_points: tuple[EntryPoint, ...] = ()
    scripts: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    couplings: tuple[str, ...] = ()
    file_count: int = 0
    size_bytes: int = 0


class TreeListing(Protocol):
    """Looks into trees where a plan has to go below the top level (shared folders only)."""

    def entries(self, tree_id: str, folder: str) -> Iterable[tuple[str, bool]]:
        """(name, is_folder) of what stands directly in ``lib/<folder>`` of a tree; empty if not there."""
        ...
