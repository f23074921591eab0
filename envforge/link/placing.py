"""Files brought into an environment one by one: hard links or copies, whole folders in a few threads.

A hard link can be refused (:mod:`envforge.store.links`). Then the file is copied, others of the same file
system and owner are not even tried, and the user is told once.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from queue import SimpleQueue

from envforge.link.copying import FileCopier
from envforge.link.methods import Method, Placement
from envforge.store.links import HardLinks

WORKERS = 2
"""14,400 hard links (copies) of 3 KB on ext4: 0.26 (0.52) s by one thread, 0.10 (0.46) s by two, and no
faster by three or four: the file system's own lock is the limit."""
_BYTECODE = "__pycache__"


class Placer:
    """Brings files in. ``copied`` has a reason for each hard link that became a copy."""

    def __init__(self) -> None:
        self._copier = FileCopier()
        self._links = HardLinks()
        self.copied: list[str] = []

    def place_all(self, placements: Sequence[Placement]) -> None:
        """Bring everything in.

        Raises:
            OSError: the first failure; nothing more is begun after it.
        """
        if not any(placement.is_folder for placement in placements):
            for placement in placements:
                self._place(placement, _origin(os.path.dirname(placement.source), placement.method))
            return
        _Crew(self, placements).work()

    def place(self, placement: Placement) -> list[Placement]:
        """Bring in one entry; of a folder its files, and its folders are returned for somebody to take."""
        source, target, _, method = placement
        if not placement.is_folder:
            self._place(placement, _origin(os.path.dirname(source), method))
            return []
        os.mkdir(target)
        origin = _origin(source, method)
        below: list[Placement] = []
        with os.scandir(source) as listing:
            for entry in listing:
                one = Placement(entry.path, f"{target}/{entry.name}", entry.is_dir(), method)
                if one.is_folder:
                    below.append(one)
                elif not _is_half_written(source, entry.name):
                    self._place(one, origin)
        return below

    def _place(self, placement: Placement, origin: tuple[int, int]) -> None:
        if placement.method is Method.HARDLINK:
            if self._links.make(placement.source, placement.target, origin):
                return
            self.copied.append(self._links.reasons.get(origin, "it has too many links"))
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


def _origin(folder: str, method: Method) -> tuple[int, int]:
    """File system and owner: files of a store that have both in common can be linked to, or not."""
    if method is not Method.HARDLINK:
        return 0, 0
    status = os.stat(folder)
    return status.st_dev, status.st_uid


def _is_half_written(folder: str, name: str) -> bool:
    """Whether this is bytecode that a Python is writing at this moment (``x.cpython-312.pyc.140213``)."""
    return folder.endswith(_BYTECODE) and not name.endswith(".pyc")
