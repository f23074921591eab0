"""Measures a place: what it costs there to make, link, look at, read and write files small and large.

A probe works in a folder of its own (mode 0700, removed again) and has a budget of time, not of work: on a
place where each operation is a message over the network it makes one or two files, on a local disk some
dozens. What there was no time for stays unknown. What a killed probe leaves is swept by the next one:
:mod:`envforge.host.storage_memory` keeps its folder's name.
"""

from __future__ import annotations

import errno
import mmap
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from statistics import median
from time import perf_counter

from envforge.model.storage import Rates
from envforge.struct import Struct, replace

FOLDER_START = ".envforge-probe-"
BUDGET_S = 0.11
"""For measuring. Removing what was made comes on top."""
_SLOW_S = 0.003
_SURELY_SLOW_S = 0.05
_SLOW_BUDGET_S = 0.17
"""For both, on a place that needs so long for an operation: there, what is made costs as much to remove."""
_SMALL = 48
_SMALL_BYTES = 4096
_LOOP_S = 0.008
_FIRST_BYTES = 256 * 1024
_LARGE_BYTES = 32 * 1024 * 1024
_CHUNK_BYTES = 1024 * 1024
_WRITES = 4
_CLOEXEC = getattr(os, "O_CLOEXEC", 0)
_REFUSALS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EMLINK)


class ProbeResult(Struct, frozen=True, kw_only=True):
    """What a probe found.

    Args:
        rates: what was measured.
        symlinks, hardlinks: whether they can be had; None where it was not tried.
        duration_s: of the whole probe with its cleaning up.
    """

    rates: Rates
    symlinks: bool | None = None
    hardlinks: bool | None = None
    duration_s: float = 0.0

    @property
    def is_cut_short(self) -> bool:
        """Whether there was no time for one operation of each kind."""
        return self.rates.stat_s is None


def probe_place(folder: str, *, budget_s: float = BUDGET_S) -> ProbeResult:
    """Measure the place in which a folder can be made.

    Args:
        folder: to be made and removed; must not exist.
        budget_s: for measuring.

    Raises:
        OSError: nothing can be made there (no permission, full, gone).
    """
    start_s = perf_counter()
    os.mkdir(folder, 0o700)
    probe = _Probe(folder, start_s, perf_counter() - start_s, budget_s)
    try:
        result = probe.run()
    finally:
        sweep_probe(folder, probe.names)
    return replace(result, duration_s=perf_counter() - start_s)


def sweep_probe(folder: str, names: Sequence[str] | None = None) -> None:
    """Remove a probe's folder, or what is left of it.

    Args:
        folder: of the probe; a symlink in its place, and what another user owns, is left alone.
        names: what is in it, where that is known (saves asking).
    """
    with suppress(OSError):
        if sys.platform == "win32":
            for name in names or os.listdir(folder):
                os.unlink(f"{folder}/{name}")
        else:
            _empty(folder, names)
        os.rmdir(folder)


def _empty(folder: str, names: Sequence[str] | None) -> None:
    """Remove the files of a folder that is opened once, so that nobody can lay another in its place."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | _CLOEXEC)
    try:
        if os.fstat(descriptor).st_uid != os.geteuid():
            return
        for name in os.listdir(descriptor) if names is None else names:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=descriptor)
    finally:
        os.close(descriptor)


class _Probe:
    """The steps of one probe and the time that is left for them.

    Args:
        folder: made already.
        start_s: when the probe began.
        operation_s: how long making the folder took.
        budget_s: for measuring.
    """

    def __init__(self, folder: str, start_s: float, operation_s: float, budget_s: float) -> None:
        self._folder = folder
        self.names: list[str] = []
        self._operation_s = operation_s
        self._start_s = start_s
        self._budget_s = budget_s

    @property
    def _is_slow(self) -> bool:
        return self._operation_s > _SLOW_S

    def _second_operation_s(self) -> float:
        self.names.append("o")
        before_s = perf_counter()
        os.close(os.open(f"{self._folder}/o", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        return perf_counter() - before_s

    @property
    def _deadline_s(self) -> float:
        """When to stop measuring: on a slow place, so that what was made can be removed by the end."""
        if not self._is_slow:
            return self._start_s + self._budget_s
        removing_s = (len(self.names) + 1) * self._operation_s
        return self._start_s + min(_SLOW_BUDGET_S, self._budget_s * 2) - removing_s

    def run(self) -> ProbeResult:
        if _SLOW_S < self._operation_s < _SURELY_SLOW_S:
            # A local disk may have been busy with others' files just then.
            self._operation_s = min(self._operation_s, self._second_operation_s())
        if self._is_slow and not self._has_time(4 * self._operation_s):
            # No time for one file, which costs at least as much as a folder.
            return ProbeResult(rates=Rates(create_s=self._operation_s))
        small = os.urandom(_SMALL_BYTES)
        create_s = self._repeat("f", lambda path: _write_small(path, small), messages=2)
        first = f"{self._folder}/f0"
        symlinks, symlink_s = self._try("s", lambda path: os.symlink("f0", path))
        hardlinks, link_s = self._try("h", lambda path: os.link(first, path))
        made = [name for name in self.names if name.startswith("f")]
        stat_s = self._visit(made, os.stat)
        read_s = self._visit(made, _read_small)
        rates = Rates(create_s=create_s, link_s=link_s, symlink_s=symlink_s, stat_s=stat_s, read_s=read_s)
        return ProbeResult(rates=self._with_large(rates), symlinks=symlinks, hardlinks=hardlinks)

    def _has_time(self, needed_s: float) -> bool:
        return perf_counter() + needed_s < self._deadline_s

    def _repeat(self, start: str, operation: Callable[[str], object], *, messages: int) -> float | None:
        """Do something under new names, at least once and for some milliseconds; the median of its times."""
        times: list[float] = []
        begin_s = perf_counter()
        while len(times) < _SMALL:
            if times and perf_counter() - begin_s > _LOOP_S:
                break
            if times and not self._has_time(messages * self._operation_s):
                break
            name = f"{start}{len(times)}"
            self.names.append(name)
            before_s = perf_counter()
            operation(f"{self._folder}/{name}")
            times.append(perf_counter() - before_s)
        return median(times)

    def _try(self, start: str, operation: Callable[[str], None]) -> tuple[bool | None, float | None]:
        """The same for what a place may refuse: whether it could, and how long it took."""
        if not self._has_time(self._operation_s):
            return None, None
        try:
            return True, self._repeat(start, operation, messages=1)
        except OSError as error:
            if error.errno in _REFUSALS:
                return False, None
            raise

    def _visit(self, names: list[str], operation: Callable[[str], object]) -> float | None:
        """The median of an operation's times over files that are there."""
        times: list[float] = []
        for name in names:
            if not self._has_time(self._operation_s if not times else times[-1]):
                break
            before_s = perf_counter()
            operation(f"{self._folder}/{name}")
            times.append(perf_counter() - before_s)
        return median(times) if times else None

    def _with_large(self, rates: Rates) -> Rates:
        """Write and read in bulk. The first, small write tells how much the time allows."""
        if not self._has_time(4 * self._operation_s):
            return rates
        with mmap.mmap(-1, _CHUNK_BYTES) as chunk:  # aligned to a page, as O_DIRECT needs it
            chunk.write(os.urandom(_CHUNK_BYTES))  # a disk that compresses must not be admired
            view = memoryview(chunk)
            try:
                return self._bulk(rates, view)
            finally:
                view.release()

    def _bulk(self, rates: Rates, chunk: memoryview) -> Rates:
        """The best of some writes each way: one that meets another program's flush tells nothing."""
        begin_s = perf_counter()
        left_s = self._deadline_s - begin_s
        rates = replace(rates, write_bytes_per_s=self._best_write("b", chunk, 0, begin_s + left_s * 0.45))
        with suppress(OSError, AttributeError):  # no O_DIRECT on this file system, or on this system
            direct = self._best_write("d", chunk, os.O_DIRECT, begin_s + left_s * 0.85)
            rates = replace(rates, direct_bytes_per_s=direct)
        return replace(rates, read_bytes_per_s=self._read(chunk))

    def _best_write(self, start: str, chunk: memoryview, flags: int, until_s: float) -> float | None:
        """Write files of growing size until the time is over, at least one if it has begun."""
        best: float | None = None
        size_bytes = _FIRST_BYTES
        if self._is_slow:
            # Some take a message for each 4 KiB: a small write tells whether there is time for more.
            trial_bytes = 4 * _SMALL_BYTES
            rate = self._write(f"{start}t", chunk, trial_bytes, flags)
            if not self._has_time(size_bytes / rate):
                return None
        for number in range(_WRITES):
            if perf_counter() >= until_s or not self._has_time(4 * self._operation_s):
                break
            rate = self._write(f"{start}{number}", chunk, size_bytes, flags)
            best = max(best or 0.0, rate)
            affordable_bytes = int(best * (until_s - perf_counter()))
            size_bytes = min(affordable_bytes, _LARGE_BYTES) // _FIRST_BYTES * _FIRST_BYTES
            if not size_bytes:
                break
        return best

    def _write(self, name: str, chunk: memoryview, size_bytes: int, flags: int) -> float:
        """Bytes a second, with what it takes until they are on the device."""
        self.names.append(name)
        descriptor = os.open(
            f"{self._folder}/{name}", os.O_RDWR | os.O_CREAT | os.O_TRUNC | _CLOEXEC | flags, 0o600
        )
        try:
            before_s = perf_counter()
            written = 0
            while written < size_bytes:
                written += os.write(descriptor, chunk[: min(size_bytes - written, len(chunk))])
                if perf_counter() > self._deadline_s:
                    break
            _flush(descriptor)
            return written / max(perf_counter() - before_s, 1e-9)
        finally:
            os.close(descriptor)

    def _read(self, chunk: memoryview) -> float | None:
        """Read the largest file that was written."""
        large = [name for name in self.names if name[0] in "bd"]
        if not large or not self._has_time(2 * self._operation_s):
            return None
        place = max((f"{self._folder}/{name}" for name in large), key=os.path.getsize)
        descriptor = _open_to_read(place)
        try:
            before_s, count = perf_counter(), 0
            while received := os.readv(descriptor, [chunk]):
                count += received
                if perf_counter() > self._deadline_s:
                    break
            return count / max(perf_counter() - before_s, 1e-9)
        except OSError:  # an O_DIRECT that opens a file and does not read it, as of some FUSE file systems
            return None
        finally:
            os.close(descriptor)


def _open_to_read(path: str) -> int:
    """Past the page cache where that is to be had: what was just written would come from memory."""
    flags = os.O_RDONLY | _CLOEXEC
    with suppress(OSError, AttributeError):
        return os.open(path, flags | os.O_DIRECT)
    return os.open(path, flags)


def _write_small(path: str, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _CLOEXEC, 0o600)
    try:
        os.write(descriptor, content)
    finally:
        os.close(descriptor)


def _read_small(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | _CLOEXEC)
    try:
        os.read(descriptor, _SMALL_BYTES)
    finally:
        os.close(descriptor)


def _flush(descriptor: int) -> None:
    """fdatasync, which macOS lacks."""
    (os.fdatasync if hasattr(os, "fdatasync") else os.fsync)(descriptor)
