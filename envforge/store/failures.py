"""What the operating system says when the store cannot be written, in words for the user."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from envforge.errors import StoreError

_SPACE = "free some space, raise the quota, or choose another place with --tier DIR or ENVFORGE_CACHE_DIR"
_ACCESS = "give this user write access, or choose another place with --tier DIR or ENVFORGE_CACHE_DIR"
_OTHERS = (
    "choose a place of your own (--tier DIR, ENVFORGE_CACHE_DIR) and read what is in this store with "
    "ENVFORGE_SITE_STORE; or share one with a group, in a new folder with chgrp GROUP and chmod g+rwxs"
)
_ELSEWHERE = "choose another place with --tier DIR or ENVFORGE_CACHE_DIR"
_SHORTER = "choose a place with a shorter path with --tier DIR or ENVFORGE_CACHE_DIR"
_GONE = "mount it again, or choose another place with --tier DIR or ENVFORGE_CACHE_DIR"
_OPEN_FILES = "raise the limit on open files (ulimit -n) or lower the number of parallel downloads"

_CAUSES = {
    errno.ENOSPC: ("no space left", _SPACE),
    errno.EDQUOT: ("the disk quota is used up", _SPACE),
    errno.EROFS: ("the file system is read-only", _ELSEWHERE),
    errno.EACCES: ("permission denied", _ACCESS),
    errno.EPERM: ("operation not permitted", _ACCESS),
    errno.EMFILE: ("too many open files in this process", _OPEN_FILES),
    errno.ENFILE: ("too many open files on this machine", _OPEN_FILES),
    errno.ENAMETOOLONG: ("the path is too long", _SHORTER),
    errno.ENOENT: ("no folder can be made there", _ELSEWHERE),
    errno.ENOTDIR: ("what is above it is no folder", _ELSEWHERE),
    errno.ESTALE: ("its server has removed it, or was started anew", _GONE),
    errno.ENOTCONN: ("the file system is not connected any more", _GONE),
    errno.EHOSTDOWN: ("the server of the file system is down", _GONE),
    errno.ETIMEDOUT: ("the server of the file system does not answer", _GONE),
    errno.EIO: ("the device reports an input/output error", "check the disk, then run the command again"),
}


def store_error(error: OSError, place: Path, doing: str, *, hint_to_allow: str = "") -> StoreError:
    """The error for a failed operation on the store.

    Args:
        error: what the operating system said.
        place: the file or folder that was worked on.
        doing: what was tried, ``"unpack torch-2.4.0.whl"``.
        hint_to_allow: what to do where this user may not write, in a place that no other tier stands for.
    """
    plain = (error.strerror or str(error), "run `envforge doctor`, or choose another place with --tier DIR")
    cause, hint = _CAUSES.get(error.errno or 0, plain)
    context = [f"path: {error.filename or place}"]
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        context += _room(place)
    if error.errno in (errno.EACCES, errno.EPERM):
        others = _other_owner(Path(error.filename or place))
        if others:
            context.append(others)
            hint = _OTHERS
    if hint_to_allow and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        hint = hint_to_allow
    return StoreError(f"cannot {doing}: {cause}", context=context, hints=[hint])


@contextmanager
def store_failures(place: Path, doing: str) -> Iterator[None]:
    """Turn an OSError inside the block into a StoreError."""
    try:
        yield
    except OSError as error:
        raise store_error(error, place, doing) from error


def _other_owner(place: Path) -> str:
    """Whose the folder is that something was tried in, if it is another user's."""
    if sys.platform == "win32":
        return ""
    import stat

    place = _nearest(place)
    with suppress(OSError):
        status = place.stat()
        if status.st_uid not in (os.geteuid(), 0):
            return f"{place} belongs to {_user_name(status.st_uid)} ({stat.filemode(status.st_mode)})"
    return ""


def _user_name(uid: int) -> str:
    if sys.platform != "win32":
        import pwd

        with suppress(KeyError):
            return pwd.getpwuid(uid).pw_name
    return f"user {uid}"


def _nearest(place: Path) -> Path:
    """A path, or the first folder above it that is there and can be looked at."""
    while place != place.parent:
        with suppress(OSError):
            place.lstat()
            break
        place = place.parent
    return place


def _room(place: Path) -> list[str]:
    """What the file system says is free, in bytes and inodes."""
    place = _nearest(place)
    if sys.platform == "win32":
        return []
    try:
        room = os.statvfs(place)
    except OSError:
        return []
    return [
        f"free: {_size(room.f_bavail * room.f_frsize)} of {_size(room.f_blocks * room.f_frsize)}",
        f"free inodes: {room.f_favail} of {room.f_files}",
    ]


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.2f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.1f} MB"
