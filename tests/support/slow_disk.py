"""A file system in user space that holds every operation up, as a network disk does. Run as a program."""

from __future__ import annotations

import ctypes
import os
import stat
import sys
import time
from functools import wraps
from typing import Any

import mfusepy


class Delayed:
    """Operations of another object, each some time later.

    Args:
        operations: what is done.
        delay_s: before each.
    """

    use_ns = True

    def __init__(self, operations: mfusepy.Operations, delay_s: float) -> None:
        self._operations = operations
        self._delay_s = delay_s

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._operations, name)
        if not callable(operation):
            return operation

        @wraps(operation)
        def later(*arguments: Any, **options: Any) -> Any:
            time.sleep(self._delay_s)
            return operation(*arguments, **options)

        return later


class PassThrough(mfusepy.Operations):
    """A folder, as it is."""

    def __init__(self, root: str) -> None:
        self._root = root

    def _place(self, path: str) -> str:
        return self._root + path

    def access(self, path: str, mode: int) -> int:
        return 0

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        status = os.lstat(self._place(path))
        names = ("st_mode", "st_nlink", "st_size", "st_uid", "st_gid", "st_ino", "st_blocks")
        times = {f"st_{kind}time": getattr(status, f"st_{kind}time_ns") for kind in "amc"}
        return {name: getattr(status, name) for name in names} | times

    def readdir(self, path: str, fh: int) -> list[tuple[str, dict[str, int], int]]:
        own = {"st_mode": stat.S_IFDIR, "st_ino": os.stat(self._place(path)).st_ino}
        with os.scandir(self._place(path)) as listing:
            entries = [
                (entry.name, {"st_mode": _kind(entry), "st_ino": entry.inode()}, 0) for entry in listing
            ]
        return [(".", own, 0), ("..", own, 0), *entries]

    def readlink(self, path: str) -> str:
        return os.readlink(self._place(path))

    def mkdir(self, path: str, mode: int) -> int:
        os.mkdir(self._place(path), mode)
        return 0

    def rmdir(self, path: str) -> int:
        os.rmdir(self._place(path))
        return 0

    def unlink(self, path: str) -> int:
        os.unlink(self._place(path))
        return 0

    def symlink(self, target: str, source: str) -> int:
        os.symlink(source, self._place(target))
        return 0

    def link(self, target: str, source: str) -> int:
        os.link(self._place(source), self._place(target))
        return 0

    def rename(self, old: str, new: str) -> int:
        os.rename(self._place(old), self._place(new))
        return 0

    def chmod(self, path: str, mode: int) -> int:
        os.chmod(self._place(path), mode)
        return 0

    def chown(self, path: str, uid: int, gid: int) -> int:
        os.chown(self._place(path), uid, gid, follow_symlinks=False)
        return 0

    def utimens(self, path: str, times: Any = None) -> int:
        now, omit = (1 << 30) - 1, (1 << 30) - 2
        if times is None or any(stamp % 10**9 == now or stamp in (now, omit) for stamp in times):
            os.utime(self._place(path))
        else:
            os.utime(self._place(path), ns=times, follow_symlinks=False)
        return 0

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        os.truncate(self._place(path), length)
        return 0

    def create(self, path: str, mode: int, fi: Any = None) -> int:
        return os.open(self._place(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

    def open(self, path: str, flags: int) -> int:
        return os.open(self._place(path), flags & ~os.O_APPEND)

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        return os.pread(fh, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        return os.pwrite(fh, data, offset)

    def flush(self, path: str, fh: int) -> int:
        return 0

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        return 0

    def release(self, path: str, fh: int) -> int:
        os.close(fh)
        return 0

    def statfs(self, path: str) -> dict[str, int]:
        room = os.statvfs(self._place(path))
        return {name: getattr(room, name) for name in dir(room) if name.startswith("f_") and name != "f_fsid"}


def _kind(entry: os.DirEntry[str]) -> int:
    if entry.is_symlink():
        return stat.S_IFLNK
    return stat.S_IFDIR if entry.is_dir() else stat.S_IFREG


if __name__ == "__main__":
    ctypes.CDLL(None).umask(0)
    folder, place, delay_s = sys.argv[1], sys.argv[2], float(sys.argv[3])
    more = dict.fromkeys(sys.argv[4:], True)
    options = {"foreground": True, "allow_other": True, "default_permissions": True, "use_ino": True} | more
    mfusepy.FUSE(Delayed(PassThrough(folder), delay_s), place, **options)
