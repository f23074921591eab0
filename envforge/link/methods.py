"""Which system call makes a link: a choice by facts, and the calls.

On POSIX a shared folder is a symlink. Windows gives the right to make symlinks to administrators and in
developer mode only; there a folder is a junction (which anybody may make, with an absolute target) and
a file is a hard link. Hard links that cannot be had are copies: :mod:`envforge.link.placing`.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from envforge.plan.link_plan import LinkMode
from envforge.struct import Struct


class Method(StrEnum):
    """How one entry of a plan is made. HARDLINK and COPY of a folder go down to its files."""

    SYMLINK = "symlink"
    JUNCTION = "junction"
    HARDLINK = "hardlink"
    COPY = "copy"


class Placement(NamedTuple):
    """One file or folder to bring in: absolute paths, HARDLINK or COPY."""

    source: str
    target: str
    is_folder: bool
    method: Method


class LinkFacts(Struct, frozen=True, kw_only=True):
    """What a place offers.

    Args:
        symlinks: this process may make them there.
        junctions: there are any (Windows).
    """

    symlinks: bool
    junctions: bool = False


def choose_method(mode: LinkMode, is_folder: bool, facts: LinkFacts) -> Method:
    """The method for an entry of a plan."""
    if mode is LinkMode.COPY:
        return Method.COPY
    if mode is LinkMode.HARDLINK:
        return Method.HARDLINK
    if facts.symlinks:
        return Method.SYMLINK
    return Method.JUNCTION if is_folder and facts.junctions else Method.HARDLINK


def find_link_facts(folder: Path) -> LinkFacts:
    """Try a symlink in a folder (0.03 ms), because file systems without any exist on Linux too."""
    probe = f"{folder}/.symlink-probe"
    with suppress(FileNotFoundError):
        os.unlink(probe)
    try:
        os.symlink("nowhere", probe)
        os.unlink(probe)
    except OSError as error:
        if not _is_refused(error):
            raise
        return LinkFacts(symlinks=False, junctions=sys.platform == "win32")
    return LinkFacts(symlinks=True, junctions=sys.platform == "win32")


def make_junction(target: str, place: str) -> None:
    """Make a junction; both paths absolute."""
    if sys.platform == "win32":
        import _winapi

        _winapi.CreateJunction(target, place)
    else:
        raise NotImplementedError("there are no junctions on this system")


def _is_refused(error: OSError) -> bool:
    """Whether the place has no symlinks (or no right to them), rather than no room or no write access."""
    import errno

    privilege_not_held = 1314
    refusals = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
    return error.errno in refusals or getattr(error, "winerror", None) == privilege_not_held
