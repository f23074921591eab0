"""The threads of one fetch, and the processes that take its large archives.

Each thread unpacks what it receives: receiving, hashing, inflating and writing leave the GIL. Small archives
wait for the network most of the time, and all threads are at them. Of large ones only some are in hand at one
time (:mod:`envforge.fetch.pace`); where there is much to do, their threads only wait for worker processes
(:mod:`envforge.fetch.workers`). What another process is already at comes last, so that several processes on
one store, or several nodes with one folder of archives, share the work instead of queueing for the same
archive.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

from envforge.errors import EnvforgeError
from envforge.events import FetchPlanned, Reporter
from envforge.fetch.archives import kept_archives
from envforge.fetch.delivery import SMALL_BYTES, Delivery
from envforge.fetch.fetcher import Fetcher, StoppedError, is_remote
from envforge.fetch.pace import Pace
from envforge.fetch.request import FetchRequest
from envforge.fetch.sizes import find_sizes
from envforge.fetch.worker_messages import WorkerSetup
from envforge.fetch.workers import NoWorkerError, Workers
from envforge.host.processors import count_processors
from envforge.model.tree import Tree
from envforge.model.writing import WriteStrategy
from envforge.net.settings import NetworkSettings
from envforge.store.failures import store_failures
from envforge.store.layout import tree_id
from envforge.store.sharing import make_folders
from envforge.store.store import Store
from envforge.struct import asdict

if TYPE_CHECKING:
    from envforge.net.pools import ConnectionPools

_LEAVING_S = 2.0
"""How long a failed or interrupted fetch waits for its threads; they are daemons and may be left."""
_LOOK_S = 0.2

_WORTH_WORKERS_BYTES = 500_000_000
"""Of all archives, which take four seconds or more then; a worker takes 0.1 s to start."""
_MOST_WORKERS = 8
"""Each needs 45 MB of memory and unpacks 100 MB a second: eight of them keep up with most lines and disks."""


class _Order(NamedTuple):
    """An archive that a thread is to fetch.

    Args:
        request: which.
        is_large: as far as its size is known.
        patient: whether to wait for another process that is at it.
    """

    request: FetchRequest
    is_large: bool
    patient: bool = False


class Crew:
    """The threads and processes of one fetch, and what they share."""

    def __init__(
        self,
        requests: Sequence[FetchRequest],
        store: Store,
        settings: NetworkSettings,
        reporter: Reporter,
        archives: Path,
        keep: bool,
        find_strategy: Callable[[int], WriteStrategy],
    ) -> None:
        self._store = store
        self._settings = settings
        self._reporter = reporter
        self._archives = archives
        self._requests = requests
        self._large: deque[_Order] = deque()
        self._small: deque[_Order] = deque()
        self._large_in_hand = 0
        self._taking = threading.Lock()
        self._results: SimpleQueue[Tree | BaseException] = SimpleQueue()
        self._stop = threading.Event()
        self._keep = keep
        self._find_strategy = find_strategy
        self._processors = count_processors()

    def run(self, check: Callable[[], None]) -> list[Tree]:
        """Fetch everything; the first failure ends it, and so does ``check``."""
        from envforge.net.pools import ConnectionPools

        with store_failures(self._archives, "make the folder for archives"):
            make_folders(self._archives)
        with ConnectionPools(self._settings) as pools:
            size_bytes = self._plan(pools)
            setup = WorkerSetup(
                store=self._store,
                archives=self._archives,
                keep=self._keep,
                strategy=self._find_strategy(size_bytes),
                settings=self._settings,
            )
            delivery = Delivery(**asdict(setup), reporter=self._reporter, check=self._check)
            self._fetcher = Fetcher(delivery=delivery, pools=pools)
            with Workers(setup, self._count_workers(size_bytes), self._reporter) as self._workers:
                return self._run_threads(setup.strategy.workers or self._settings.connections, check)

    def _run_threads(self, most: int, check: Callable[[], None]) -> list[Tree]:
        """Let at most so many threads do it, and wait for what they bring."""
        trees: list[Tree] = []
        threads: list[threading.Thread] = []
        count = min(len(self._requests), most)
        self._pace = Pace(self._processors, count, self._spent_s)
        try:
            threads.extend(self._start_thread() for _ in range(count))
            while len(trees) < len(self._requests):
                trees += self._next_result(check)
                if self._large and self._pace.raise_count():
                    threads.append(self._start_thread())
        except BaseException as error:
            self._stop.set()
            self._workers.stop()
            self._leave(threads, error)
            raise
        for thread in threads:
            thread.join()
        return trees

    def _count_workers(self, size_bytes: int) -> int:
        """How many processes are worth it: none for little, and as many as archives keep the processors busy.

        What is begun beside these because the processors are idle can be left to threads.
        """
        if size_bytes < _WORTH_WORKERS_BYTES:
            return 0
        return min(self._processors + 1, len(self._large), _MOST_WORKERS)

    def _spent_s(self) -> float:
        return time.process_time() + self._workers.spent_s

    def _start_thread(self) -> threading.Thread:
        # a daemon: one that hangs in a dead connection must not keep the process from ending
        thread = threading.Thread(target=self._work, daemon=True)
        thread.start()
        return thread

    def _plan(self, pools: ConnectionPools) -> int:
        """Put the largest first: the last one to arrive then is a small one.

        Returns the bytes of all, as far as they are known.
        """
        remote = [request for request in self._requests if is_remote(request, self._archives)]
        sizes = find_sizes(remote, pools, self._settings.connections) | self._kept_sizes()
        ordered = sorted(self._requests, key=lambda request: -sizes.get(request.sha256, 0))
        for request in ordered:
            is_large = sizes.get(request.sha256, 0) > SMALL_BYTES
            (self._large if is_large else self._small).append(_Order(request, is_large))
        size_bytes = sum(sizes[request.sha256] for request in remote)
        self._reporter.report(FetchPlanned(file_count=len(remote), size_bytes=size_bytes))
        return sum(sizes.values())

    def _kept_sizes(self) -> dict[str, int]:
        sizes = {archive.tree_id: archive.size_bytes for archive in kept_archives(self._archives)}
        found = ((request.sha256, sizes.get(tree_id(request.sha256))) for request in self._requests)
        return {digest: size for digest, size in found if size is not None}

    def _next_result(self, check: Callable[[], None]) -> list[Tree]:
        """Wait a moment for the next tree, or none; raises what its thread raised."""
        try:
            # with a time limit, because on Windows Ctrl-C does not end a wait without
            result = self._results.get(timeout=_LOOK_S)
        except Empty:
            check()
            return []
        if isinstance(result, BaseException):
            raise result
        return [result]

    def _leave(self, threads: Sequence[threading.Thread], error: BaseException) -> None:
        """Wait shortly for the others to stop, and note on the error what went wrong beside it."""
        end = time.monotonic() + _LEAVING_S
        for thread in threads:
            if thread.ident is not None:
                thread.join(max(0.0, end - time.monotonic()))
        while isinstance(error, EnvforgeError) and not self._results.empty():
            other = self._results.get()
            if isinstance(other, EnvforgeError):
                error.context += (f"also failed: {other.message}",)

    def _work(self) -> None:
        """What each thread does until nothing is left for it."""
        while (order := self._take()) is not None:
            try:
                tree = self._fetch(order)
            except StoppedError:
                return
            except BaseException as error:
                self._results.put(error)
                return
            self._put_back(order, is_done=tree is not None)
            if tree is not None:
                self._results.put(tree)

    def _fetch(self, order: _Order) -> Tree | None:
        if order.is_large:
            with suppress(NoWorkerError):
                return self._workers.fetch(order.request, patient=order.patient)
        return self._fetcher.fetch(order.request, patient=order.patient)

    def _take(self) -> _Order | None:
        """The next large archive, unless enough of these are in hand; else the next small one."""
        with self._taking:
            if self._large and self._large_in_hand < self._pace.count:
                self._large_in_hand += 1
                return self._large.popleft()
            return self._small.popleft() if self._small else None

    def _put_back(self, order: _Order, *, is_done: bool) -> None:
        """Give up an order, which another process is at if it is not done."""
        with self._taking:
            self._large_in_hand -= order.is_large
            if not is_done:
                (self._large if order.is_large else self._small).append(order._replace(patient=True))

    def _check(self) -> None:
        if self._stop.is_set():
            raise StoppedError
