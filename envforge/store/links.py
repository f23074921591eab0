"""Hard links: whether there can be one is found out once, and remembered while files are brought in.

A link can be refused for all files of one origin: another file system (EXDEV), one without hard links
(exFAT: EPERM, ENOTSUP, ENOSYS), files of another user (``fs.protected_hardlinks``: EPERM). To ask again
for each of 43,000 files would cost a round trip to the server each on a network disk. That one file has
too many links already (EMLINK) says nothing of the others.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Hashable

REFUSED = (errno.EXDEV, errno.EMLINK, errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
"""What a hard link fails with where there cannot be one, though the file could be brought in otherwise."""


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
