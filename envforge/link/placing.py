"""Files brought into an environment one by one: hard links or copies, whole folders in a few threads.

A hard link can be refused: another file system (EXDEV), too many links to one file (EMLINK), or a store
that belongs to somebody else (EPERM, ``fs.protected_hardlinks``). Then that file is copied, and the
user is told once.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Sequence
from queue import SimpleQueue
from typing import NamedTuple

from envforge.link.copying import FileCopier
from envforge.link.methods import Method

WORKERS = 2
"""14,400 hard links (copies) of 3 KB on ext4: 0.26 (0.52) s by one thread, 0.10 (0.46) s by two, and no
faster by three or four: the file system's own lock is the limit."""
REFUSED = (errno.EXDEV, errno.EMLINK, errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP)
"""What a hard link fails with where there cannot be one, though the file could be brought in otherwise."""
_BYTECODE = "__pycache__"


class Placement(NamedTuple):
    """One file or folder to bring in: absolute paths, HARDLINK or COPY."""

    source: str
    target: str
    is_folder: bool
    method: Method


class Placer:
    """Brings files in. ``refusals`` has a reason for each hard link that became a copy."""

    def __init__(self) -> None:
        self._copier = FileCopier()
        self.refusals: list[str] = []

    def place_all(self, placements: Sequence[Placement]) -> None:
        """Bring everything in.

        Raises:
            OSError: the first failure; nothing more is begun after it.
        """
        if not any(placement.is_folder for placement in placements):
            for placement in placements:
                self._place(placement)
            return
        _Crew(self, placements).work()

    def place(self, placement: Placement) -> list[Placement]:
        """Bring in one entry; of a folder its files, and its folders are returned for somebody to take."""
        if not placement.is_folder:
            self._place(placement)
            return []
        source, target, _, method = placement
        os.mkdir(target)
        below: list[Placement] = []
        with os.scandir(source) as listing:
            for entry in listing:
                one = Placement(entry.path, f"{target}/{entry.name}", entry.is_dir(), method)
                if one.is_folder:
                    below.append(one)
                elif not _is_half_written(source, entry.name):
                    self._place(one)
        return below

    def _place(self, placement: Placement) -> None:
        if placement.method is Method.HARDLINK:
            try:
                os.link(placement.source, placement.target)
                return
            except OSError as error:
                if error.errno not in REFUSED:
                    raise
                self.refusals.append(error.strerror or str(error))
        self._copier.copy(placement.source, placement.target)


class _Crew:
    """A few threads that take folders from one queue until nobody finds more."""

    def __init__(self, placer: Placer, placements: Sequence[Placement]) -> None:
        self._placer = placer
        self._queue: SimpleQueue[Placement | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._open = len(placements)
        self._failure: BaseException | None = None
        for placement in placements:
            self._queue.put(placement)

    def work(self) -> None:
        threads = [threading.Thread(target=self._take) for _ in range(WORKERS)]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except BaseException:  # Ctrl-C: the others must not write on while the folder is removed
            self._end(KeyboardInterrupt())
            for thread in threads:
                thread.join()
            raise
        if self._failure is not None:
            raise self._failure

    def _take(self) -> None:
        while (placement := self._queue.get()) is not None and self._failure is None:
            try:
                below = self._placer.place(placement)
            except BaseException as failure:
                self._end(failure)
                return
            with self._lock:
                self._open += len(below) - 1
                done = self._open == 0
            for one in below:
                self._queue.put(one)
            if done:
                self._end(None)

    def _end(self, failure: BaseException | None) -> None:
        """Send everybody home."""
        with self._lock:
            self._failure = self._failure or failure
        for _ in range(WORKERS):
            self._queue.put(None)


def _is_half_written(folder: str, name: str) -> bool:
    """Whether this is bytecode that a Python is writing at this moment (``x.cpython-312.pyc.140213``)."""
    return folder.endswith(_BYTECODE) and not name.endswith(".pyc")
