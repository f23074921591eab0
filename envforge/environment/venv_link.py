"""Where ``.venv`` leads on this host: straight to a generation, or through a link of the host itself.

A project's folder may be seen by many hosts, while the environment is on a disk of one of them, or for one
kind of them. Then the text of ``.venv``, which all of them see, is the same for all: it leads to a place that
each host has for itself, ``/tmp/envforge-UID-LETTERS/NAME``, and the link there leads to the generation. A
host that has not synced yet has no such link, and its ``.venv`` leads nowhere until it does.

Everybody can make files in ``/tmp``. The letters are by chance, so that nobody who cannot read the project
knows the name beforehand; and a folder counts only if it is a real one, this user's, that nobody else can
write to.

Looking is part of every unchanged sync: this module imports almost nothing.
"""

from __future__ import annotations

import os
import stat
import sys

_START = "envforge"
_LETTERS = 16
BASES = ("/tmp", "/var/tmp", "/dev/shm")
"""Folders that every host has for itself; a job with a ``/tmp`` of its own has a link of its own."""


def find_target(venv: str) -> str | None:
    """Path of the generation that ``.venv`` means on this host; nothing need be there.

    None if it is no link, or leads to a link that this host does not have.
    """
    try:
        text = read_link(venv)
    except OSError:
        return None
    return find_host_target(text) if host_link_owner(text) is not None else _absolute(text, venv)


def read_link(place: str) -> str:
    """The text of a symlink or junction.

    Raises:
        OSError: it is none.
    """
    text = os.readlink(place)
    return text.removeprefix("\\\\?\\") if sys.platform == "win32" else text


def host_link_owner(text: str) -> int | None:
    """The user whose link on each host a text names; None if it names no such link."""
    base, slash, rest = text.rpartition("/")[0].rpartition("/")
    start, _, rest = rest.partition("-")
    owner, _, letters = rest.partition("-")
    if slash and base in BASES and start == _START and owner.isdecimal() and len(letters) == _LETTERS:
        return int(owner)
    return None


def find_host_target(link: str) -> str | None:
    """Where this host's link leads; None if it has none, or if that is somebody else's."""
    folder = os.path.dirname(link)
    try:
        return _absolute(os.readlink(link), link) if is_own_folder(os.lstat(folder)) else None
    except OSError:
        return None


def is_own_folder(status: os.stat_result) -> bool:
    """Whether what was looked at without following links is a folder that only this user can write to."""
    return (
        stat.S_ISDIR(status.st_mode)
        and status.st_uid == os.geteuid()
        and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    )


def new_host_link(name: str, base: str) -> str:
    """A text for a project's ``.venv``, other than all before.

    Args:
        name: of the project's folder, for people.
        base: one of :data:`BASES`.
    """
    from envforge.hashing import base32

    letters = base32(os.urandom(_LETTERS), _LETTERS)
    plain = "".join(char if char.isascii() and (char.isalnum() or char in "._-") else "_" for char in name)
    return f"{base}/{_START}-{os.geteuid()}-{letters}/{plain.lstrip('.') or 'venv'}"


def write_host_link(link: str, target: str) -> None:
    """Point this host's link to a generation, in one step.

    Raises:
        GenerationError: its folder is somebody else's, or others can write to it.
        OSError: it cannot be made.
    """
    folder = os.path.dirname(link)
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        if not is_own_folder(os.lstat(folder)):
            raise _not_ours(folder) from None
    aside = f"{link}.{os.getpid()}.{os.urandom(4).hex()}"
    os.symlink(target, aside)
    os.replace(aside, link)


def _not_ours(folder: str) -> Exception:
    from envforge.errors import GenerationError

    return GenerationError(
        f"{folder} is not a folder that only you can write to",
        context=["this host's link to the environment belongs there; what others can change is not followed"],
        hints=[
            "find out whose it is (ls -ld); somebody may have put it there to make you run their programs",
            "remove the project's .venv and run `envforge sync`: it gets another name",
        ],
    )


def _absolute(text: str, place: str) -> str:
    return os.path.normpath(os.path.join(os.path.dirname(place), text))
