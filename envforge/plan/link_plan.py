"""The link plan: the smallest set of links that makes many trees look like one environment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from envforge.model.tree import EntryPoint


class LinkMode(StrEnum):
    """How an environment gets a tree's files.

    SHARED: symlinks to the store's folders. HARDLINK: real folders, files linked one by one.
    COPY: real folders, files copied.
    """

    SHARED = "shared"
    HARDLINK = "hardlink"
    COPY = "copy"


@dataclass(frozen=True, slots=True)
class Link:
    """One name to make.

    Args:
        path: relative to the environment, ``/``-separated.
        source: relative to the tier's root (``trees/<id>/lib/torch``), ``/``-separated.
        is_folder: the source is a folder (linked as a whole; copied or hardlinked deeply).
        mode: how.
    """

    path: str
    source: str
    is_folder: bool
    mode: LinkMode


@dataclass(frozen=True, slots=True)
class Script:
    """A script to write per generation.

    Args:
        name: file name without suffix (entry point) or with it (file).
        entry_point: what it calls, or None for a file from the wheel's ``.data/scripts``.
        source: that file relative to the tier's root, ``""`` for an entry point.
    """

    name: str
    entry_point: EntryPoint | None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Clobber:
    """Two distributions bring the same path; the first in order of name keeps it."""

    path: str
    kept: str
    dropped: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkPlan:
    """What to make, in order: folders (parents first), links, scripts."""

    folders: Sequence[str]
    links: Sequence[Link]
    scripts: Sequence[Script]
    clobbers: Sequence[Clobber] = ()
