"""Processes that take large archives off a fetch: they have a GIL each.

To receive, hash, inflate and write leaves the GIL, but each TLS record, which is 16 KB, takes it back for a
moment, and threads of one process hand it to each other for that. The same 3.2 GB on two processors: 25 s
with threads (518,000 switches of context), 20 s with three workers (58,000).
"""

from __future__ import annotations

import pickle
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from envforge.errors import HostError
from envforge.events import Reporter
from envforge.fetch.fetcher import StoppedError
from envforge.fetch.worker_messages import (
    Done,
    Failed,
    Message,
    Ready,
    Spent,
    Told,
    WorkerOrder,
    WorkerSetup,
)
from envforge.host.child_python import child_command
from envforge.host.exit_status import describe_end

if TYPE_CHECKING:
    from subprocess import Popen

    from envforge.fetch.request import FetchRequest
    from envforge.model.tree import Tree

_LEAVING_S = 1.0
"""How long they may take to stop, after the threads that have waited for them have stopped."""


class NoWorkerError(Exception):
    """No worker is free for this archive."""


class Workers:
    """The worker processes of a fetch; each is started when it is needed first.

    Use as a context manager, which ends them.

    Args:
        setup: what they work with.
        most: how many there may be.
        reporter: is told what happens in them.
    """

    def __init__(self, setup: WorkerSetup, most: int, reporter: Reporter) -> None:
        self._setup = setup
        self._most = most
        self._reporter = reporter
        self._all: list[_Worker] = []
        self._idle: list[_Worker] = []
        self._started_count = 0
        self._taking = threading.Lock()
        self._has_stopped = False

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        """See them end; those that have not after a while are killed."""
        self.stop()
        deadline = time.monotonic() + _LEAVING_S
        for worker in self._all:
            worker.end(max(0.0, deadline - time.monotonic()))

    @property
    def spent_s(self) -> float:
        """Processor time that they have used, in seconds."""
        return sum(worker.spent_s for worker in self._all)

    def fetch(self, request: FetchRequest, *, patient: bool) -> Tree | None:
        """Have an archive fetched; see :meth:`.fetcher.Fetcher.fetch`. Who has failed is given no other one.

        Raises:
            NoWorkerError: all have something to do, or none can be had.
            HostError: the process was killed.
            StoppedError: after :meth:`stop`.
        """
        worker = self._take()
        try:
            tree = worker.fetch(WorkerOrder(request, patient), self._reporter)
        except _EndedError as ended:
            if self._has_stopped:
                raise StoppedError from None
            if not worker.is_ready:
                self._most = 0  # a Python that cannot start another one like itself
                raise NoWorkerError from None
            raise HostError(
                f"the process that unpacked {request.filename} {ended}",
                hints=["if the system ran out of memory, free some; then run the command again"],
            ) from None
        with self._taking:
            self._idle.append(worker)
        return tree

    def stop(self) -> None:
        """Tell them to stop; what they are at is given up."""
        with self._taking:
            self._has_stopped = True
            for worker in self._all:
                worker.stop()

    def _take(self) -> _Worker:
        with self._taking:
            if self._has_stopped:
                raise StoppedError
            if self._idle:
                return self._idle.pop()
            if self._started_count >= self._most:
                raise NoWorkerError
            self._started_count += 1
        try:
            worker = _Worker(self._setup)
        except (OSError, ValueError):  # no more processes are allowed, or there is no such interpreter
            self._most = 0
            raise NoWorkerError from None
        with self._taking:
            self._all.append(worker)
            if self._has_stopped:
                worker.stop()
        return worker


class _EndedError(Exception):
    """A worker's process has ended; the text says how."""


class _Worker:
    """One process. ``is_ready``: it has started, and could be asked for something."""

    def __init__(self, setup: WorkerSetup) -> None:
        self._process = _start()
        self.is_ready = False
        self._began_s = time.monotonic()
        self._starting_s = self._spent_s = 0.0
        self._send(setup)

    @property
    def spent_s(self) -> float:
        """The processor time that it has used, never less than before; until it tells, it is starting."""
        if not self.is_ready:
            return time.monotonic() - self._began_s
        return self._starting_s + self._spent_s

    def fetch(self, order: WorkerOrder, reporter: Reporter) -> Tree | None:
        """Send an order and hear until it is done; _EndedError when the process ends before."""
        self._send(order)
        while True:
            match self._receive():
                case Ready():
                    self._starting_s = time.monotonic() - self._began_s
                    self.is_ready = True
                case Spent(seconds):
                    self._spent_s = seconds
                case Told(event):
                    reporter.report(event)
                case Done(tree):
                    return tree
                case Failed(error):
                    raise error

    def stop(self) -> None:
        """End its input."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()

    def end(self, within_s: float) -> None:
        """Wait for its end, and then kill it."""
        from subprocess import TimeoutExpired

        assert self._process.stdout is not None
        try:
            self._process.wait(within_s)
        except TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _send(self, message: WorkerSetup | WorkerOrder) -> None:
        assert self._process.stdin is not None
        # what is wrong with the process shows when its answer is read; a stopped one's input is closed
        with suppress(OSError, ValueError):
            pickle.dump(message, self._process.stdin)
            self._process.stdin.flush()

    def _receive(self) -> Message:
        assert self._process.stdout is not None
        try:
            message: Message = pickle.load(self._process.stdout)
        except Exception as error:
            if not isinstance(error, EOFError):  # somebody else speaks there, or another version of our files
                self._process.kill()
            raise _EndedError(describe_end(self._process.wait())) from None
        return message


def _start() -> Popen[bytes]:
    from subprocess import DEVNULL, PIPE, Popen

    command = child_command("envforge.fetch.worker", with_site=True)
    return Popen(command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
