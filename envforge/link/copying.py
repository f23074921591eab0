"""Copies of files: a shared extent where the file system has them, else copied inside the kernel.

A copy is the user's own: writable, with the umask's mode. It keeps the modification time, which tells
Python that the bytecode beside it is up to date.
"""

from __future__ import annotations

import errno
import os
import stat
import sys

_FICLONE = 0x40049409
_NOT_HERE = (errno.EOPNOTSUPP, errno.ENOTSUP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS)
_CHUNK_BYTES = 1 << 24


class FileCopier:
    """Copies files one by one; remembers that a file system refused to share extents. Thread-safe."""

    def __init__(self) -> None:
        self._reflinks = sys.platform == "linux"

    def copy(self, source: str, target: str) -> None:
        """Copy a file to a new name.

        Raises:
            FileExistsError: the target is there.
            OSError: no room, no right, no source.
        """
        read = os.open(source, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        try:
            status = os.fstat(read)
            mode = 0o777 if status.st_mode & stat.S_IXUSR else 0o666
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            write = os.open(target, flags, mode)
            try:
                if not self._reflinks or not self._reflink(read, write):
                    _copy_content(read, write, status.st_size)
            except OSError as error:
                error.filename = target
                raise
            finally:
                os.close(write)
        finally:
            os.close(read)
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))

    def _reflink(self, read: int, write: int) -> bool:
        """Whether the target shares the source's extents now."""
        if sys.platform != "linux":
            return False
        import fcntl

        try:
            fcntl.ioctl(write, _FICLONE, read)
        except OSError as error:
            if error.errno not in _NOT_HERE:
                raise
            self._reflinks = False
            return False
        return True


def _copy_content(read: int, write: int, size_bytes: int) -> None:
    """Copy all bytes, without carrying them through this process where the kernel can."""
    if sys.platform == "linux":
        left = size_bytes
        try:
            while left > 0:
                copied = os.copy_file_range(read, write, left)
                if copied == 0:
                    break
                left -= copied
            else:
                return
        except OSError as error:
            if error.errno not in _NOT_HERE:
                raise
    while chunk := os.read(read, _CHUNK_BYTES):
        view = memoryview(chunk)
        while view:
            view = view[os.write(write, view) :]
