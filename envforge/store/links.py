"""Links: whether there can be any is found out once.

A new store is refused where there are no symbolic links: a virtual environment needs them on POSIX systems.
Hard links are remembered while files are brought in.

A hard link can be refused for all files of one origin: another file system (EXDEV), one without hard links
(exFAT: EPERM, ENOTSUP, ENOSYS), files of another user (``fs.protected_hardlinks``: EPERM). To ask again
for each of 43,000 files would cost a round trip to the server each on a network disk. That one file has
too many links already (EMLINK) says nothing of the others.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Hashable
from contextlib import suppress
from pathlib import Path

from envforge.errors import StoreError

_NO_SYMLINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
REFUSED = (errno.EXDEV, errno.EMLINK, errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
"""What a hard link fails with where there cannot be one, though the file could be brought in otherwise."""


def check_symlinks(folder: Path) -> None:
    """Try a symlink in a folder of a new store. Windows has other ways where it has none.

    Raises:
        StoreError: the file system has none.
        OSError: the folder cannot be written.
    """
    if sys.platform == "win32":
        return
    probe = folder / f"{os.urandom(6).hex()}.probe"
    try:
        os.symlink("nowhere", probe)
    except OSError as error:
        if error.errno not in _NO_SYMLINKS:
            raise
        raise StoreError(
            "there cannot be a store here: the file system has no symbolic links",
            context=[f"path: {folder.parent}"],
            hints=["environments are made of them: choose another place with --tier DIR"],
        ) from error
    with suppress(FileNotFoundError):
        os.unlink(probe)


class HardLinks:
    """Makes hard links into one place. Thread-safe.

    Attributes:
        reasons: origin → why its files cannot be linked.
    """

    def __init__(self) -> None:
        self.reasons: dict[Hashable, str] = {}

    def make(self, source: str, place: str, origin: Hashable) -> bool:
        """Link a file; False if it has to be brought in otherwise.

        Args:
            source: the file.
            place: its new name.
            origin: what files that fare alike have in common: file system and owner.

        Raises:
            OSError: no room, no right, no source.
        """
        if origin in self.reasons:
            return False
        try:
            os.link(source, place)
        except OSError as error:
            if error.errno not in REFUSED:
                raise
            if error.errno != errno.EMLINK:
                self.reasons[origin] = error.strerror or str(error)
            return False
        return True
