"""Folders that a group shares: what is made in them, the whole group can use, whatever the umask.

A folder is shared when its group may write to it and new entries inherit that group: ``chmod g+ws``, as
clusters set up the folders of projects. In such a folder the group gets the rights that the owner has.
Elsewhere the umask decides, or the folder's default ACL, as for every program. Rights are only added here,
so that nothing that an ACL allows is taken away.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

_SIGN = stat.S_ISGID | stat.S_IWGRP


def is_shared(folder: Path | str) -> bool:
    """Whether a group shares a folder. False if it is not there."""
    try:
        return os.stat(folder).st_mode & _SIGN == _SIGN
    except OSError:
        return False


def make_folders(folder: Path) -> None:
    """Make a folder with its parents; no error if it is there.

    Raises:
        OSError: it cannot be made, or something else stands there.
    """
    try:
        _make_folder(folder)
    except FileNotFoundError:
        if folder == folder.parent:
            raise
        make_folders(folder.parent)
        _make_folder(folder)  # where nothing can be made at all, as in /proc, this fails in the same way


def _make_folder(folder: Path) -> None:
    if os.path.isdir(folder):
        return
    try:
        if is_shared(folder.parent):
            _make_shared(folder)
        else:
            os.mkdir(folder)
    except FileExistsError:
        if not os.path.isdir(folder):
            raise


def _make_shared(folder: Path) -> None:
    """Make a folder that the group can use from its first moment on, also if we are killed here."""
    aside = folder.with_name(f".{folder.name}.{os.urandom(6).hex()}")
    os.mkdir(aside)
    try:
        share(aside)
        os.rename(aside, folder)
    except OSError as error:
        os.rmdir(aside)
        # somebody was faster, and has made something in it
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


def own_folder(folder: Path) -> Path:
    """Where this user's files of a program go that knows nothing of groups.

    That is a folder of each user's own in one that a group shares, else the folder itself; nothing is made.
    """
    nearest = folder
    while not os.path.isdir(nearest) and nearest != nearest.parent:
        nearest = nearest.parent
    return folder / f"user-{os.getuid()}" if hasattr(os, "getuid") and is_shared(nearest) else folder


def share(place: Path | str) -> None:
    """Give the group of a file or folder what its owner has."""
    mode = os.stat(place).st_mode
    wanted = shared_mode(mode)
    if wanted != stat.S_IMODE(mode):
        os.chmod(place, wanted)


def share_handle(handle: int, folder: Path) -> None:
    """Let the group read an open file that was made in a folder, if that is shared."""
    if hasattr(os, "fchmod"):
        mode = os.fstat(handle).st_mode
        # with the umask of most systems the group may read anyway, and nothing has to be asked
        if not mode & stat.S_IRGRP and is_shared(folder):
            os.fchmod(handle, shared_mode(mode))


def share_all(root: Path | str) -> None:
    """Give the group of a folder's owner's rights to everything in it; follows no links."""
    share(root)
    for place in _walk(os.fspath(root)):
        share(place)


def shared_mode(mode: int) -> int:
    """Permission bits with those of the owner for the group; folders hand their group on."""
    bits = stat.S_IMODE(mode) | (mode & stat.S_IRWXU) >> 3
    return bits | stat.S_ISGID if stat.S_ISDIR(mode) else bits


def _walk(folder: str) -> Iterator[str]:
    with os.scandir(folder) as listing:
        for entry in listing:
            if not entry.is_symlink():
                yield entry.path
                if entry.is_dir():
                    yield from _walk(entry.path)
