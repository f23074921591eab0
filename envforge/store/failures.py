"""What the operating system says when the store cannot be written, in words for the user."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from envforge.errors import StoreError

_SPACE = "free some space, raise the quota, or choose another place with --tier DIR"
_ACCESS = "give this user write access, or choose another place with --tier DIR"
_OPEN_FILES = "raise the limit on open files (ulimit -n) or lower the number of parallel downloads"

_CAUSES = {
    errno.ENOSPC: ("no space left", _SPACE),
    errno.EDQUOT: ("the disk quota is used up", _SPACE),
    errno.EROFS: ("the file system is read-only", "choose another place with --tier DIR"),
    errno.EACCES: ("permission denied", _ACCESS),
    errno.EPERM: ("operation not permitted", _ACCESS),
    errno.EMFILE: ("too many open files in this process", _OPEN_FILES),
    errno.ENFILE: ("too many open files on this machine", _OPEN_FILES),
    errno.ENAMETOOLONG: ("the path is too long", "choose a place with a shorter path with --tier DIR"),
    errno.EIO: ("the device reports an input/output error", "check the disk, then run the command again"),
}


def store_error(error: OSError, place: Path, doing: str) -> StoreError:
    """The error for a failed operation on the store.

    Args:
        error: what the operating system said.
        place: the file or folder that was worked on.
        doing: what was tried, ``"unpack torch-2.4.0.whl"``.
    """
    plain = (error.strerror or str(error), "run `envforge doctor`, or choose another place with --tier DIR")
    cause, hint = _CAUSES.get(error.errno or 0, plain)
    context = [f"path: {error.filename or place}"]
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        context += _room(place)
    return StoreError(f"cannot {doing}: {cause}", context=context, hints=[hint])


@contextmanager
def store_failures(place: Path, doing: str) -> Iterator[None]:
    """Turn an OSError inside the block into a StoreError."""
    try:
        yield
    except OSError as error:
        raise store_error(error, place, doing) from error


def _room(place: Path) -> list[str]:
    """What the file system says is free, in bytes and inodes."""
    while not place.exists() and place != place.parent:
        place = place.parent
    if sys.platform == "win32":
        return []
    try:
        room = os.statvfs(place)
    except OSError:
        return []
    return [
        f"free: {room.f_bavail * room.f_frsize / 1e9:.2f} GB of {room.f_blocks * room.f_frsize / 1e9:.2f} GB",
        f"free inodes: {room.f_favail} of {room.f_files}",
    ]
