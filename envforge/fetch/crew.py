"""The threads of one fetch.

Each thread unpacks what it receives: receiving, hashing, inflating and writing leave the GIL. Small archives
wait for the network most of the time, and all threads are at them; of large ones only some are in hand at
one time (:mod:`envforge.fetch.pace`). What another process is already at comes last, so that several
processes on one store, or several nodes with one folder of archives, share the work instead of queueing for
the same archive.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

from envforge.errors import ArchiveError, EnvforgeError, HashError, OfflineError
from envforge.events import FetchPlanned, Reporter, Warned
from envforge.fetch.archives import archive_guard, archive_path, file_digest, is_kept, kept_archives
from envforge.fetch.delivery import SMALL_BYTES, Delivery, WrongContentError
from envforge.fetch.pace import Pace
from envforge.fetch.request import FetchRequest
from envforge.fetch.sizes import find_sizes
from envforge.host.processors import count_processors
from envforge.model.tree import Tree
from envforge.model.writing import WriteStrategy
from envforge.net.local_files import file_url_path
from envforge.net.settings import NetworkSettings
from envforge.store.failures import store_failures
from envforge.store.guard import Guard, Hold
from envforge.store.layout import tree_id
from envforge.store.sharing import make_folders
from envforge.store.store import Store

if TYPE_CHECKING:
    from envforge.net.pools import ConnectionPools

_LEAVING_S = 2.0
"""How long a failed or interrupted fetch waits for its threads; they are daemons and may be left."""
_LOOK_S = 0.2


def is_remote(request: FetchRequest, archives: Path) -> bool:
    """Whether it has to be downloaded."""
    return not request.is_local and not is_kept(archives, tree_id(request.sha256))


class _StoppedError(Exception):
    """Another thread failed, or the user pressed Ctrl-C."""


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
    """The threads of one fetch and what they share."""

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

    def run(self, check: Callable[[], None]) -> list[Tree]:
        """Fetch everything; the first failure ends it, and so does ``check``."""
        from envforge.net.pools import ConnectionPools

        with store_failures(self._archives, "make the folder for archives"):
            make_folders(self._archives)
        threads: list[threading.Thread] = []
        with ConnectionPools(self._settings) as pools:
            strategy = self._find_strategy(self._plan(pools))
            self._delivery = self._open_delivery(strategy)
            thread_count = min(len(self._requests), strategy.workers or self._settings.connections)
            self._pace = Pace(count_processors(), thread_count)
            try:
                threads.extend(self._start_thread(pools) for _ in range(thread_count))
                trees: list[Tree] = []
                while len(trees) < len(self._requests):
                    trees += self._next_result(check)
                    if self._large and self._pace.raise_count():
                        threads.append(self._start_thread(pools))
            except BaseException as error:
                self._stop.set()
                self._leave(threads, error)
                raise
            for thread in threads:
                thread.join()
        return trees

    def _start_thread(self, pools: ConnectionPools) -> threading.Thread:
        # a daemon: one that hangs in a dead connection must not keep the process from ending
        thread = threading.Thread(target=self._work, args=(pools,), daemon=True)
        thread.start()
        return thread

    def _open_delivery(self, strategy: WriteStrategy) -> Delivery:
        return Delivery(
            store=self._store,
            archives=self._archives,
            keep=self._keep,
            strategy=strategy,
            settings=self._settings,
            reporter=self._reporter,
            check=self._check,
        )

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

    def _work(self, pools: ConnectionPools) -> None:
        """What each thread does until nothing is left for it."""
        while (order := self._take()) is not None:
            try:
                tree = self._fetch_guarded(order.request, order.patient, pools)
            except _StoppedError:
                return
            except BaseException as error:
                self._results.put(error)
                return
            self._put_back(order, is_done=tree is not None)
            if tree is not None:
                self._results.put(tree)

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

    def _fetch_guarded(self, request: FetchRequest, patient: bool, pools: ConnectionPools) -> Tree | None:
        """Fetch one wheel under its guard; None if another process is at it and we do not wait yet."""
        self._check()
        with self._held(self._store.guard(tree_id(request.sha256)), request, patient) as hold:
            return self._fetch(request, patient, pools, hold) if hold else None

    def _fetch(
        self, request: FetchRequest, patient: bool, pools: ConnectionPools, outer: Hold
    ) -> Tree | None:
        """Make one tree, unless another process has just done it."""
        tree = self._store.find_tree(request.sha256)
        if tree is not None:
            return tree
        if request.is_local:
            return self._delivery.from_file(request, checked_file(request.url, request.sha256))
        damaged = False
        while True:
            try:
                tree = None if damaged else self._delivery.from_kept(request)
            except WrongContentError:
                damaged = True
                self._report_damaged(request)
            if tree is not None:
                return tree
            guard = archive_guard(self._archives, tree_id(request.sha256))
            with self._held(guard, request, patient) as inner:
                if not inner:
                    return None
                if damaged:
                    self._delivery.discard_damaged(request)
                    damaged = False
                if is_remote(request, self._archives):
                    return self._delivery.from_network(request, pools, (outer, inner))
            # another node has brought it meanwhile, and is not to be kept waiting while we read it

    def _report_damaged(self, request: FetchRequest) -> None:
        """Say that a kept archive is damaged.

        Raises:
            OfflineError: it may not be downloaded again.
        """
        place = archive_path(self._archives, tree_id(request.sha256))
        if self._settings.offline:
            raise OfflineError(
                f"the kept archive of {request.filename} is damaged, and the network is forbidden",
                context=[f"path: {place}"],
                hints=["run the command once without --offline"],
            )
        message = f"the kept archive of {request.filename} is damaged and is downloaded again"
        self._reporter.report(Warned(message=message, hint=f"path: {place}"))

    @contextmanager
    def _held(self, guard: Guard, request: FetchRequest, patient: bool) -> Iterator[Hold | None]:
        """Hold a guard: at any price, or only if it is free."""
        what = request.filename
        with guard.hold(self._reporter, what, self._check) if patient else guard.try_hold() as hold:
            yield hold

    def _check(self) -> None:
        if self._stop.is_set():
            raise _StoppedError


def checked_file(url: str, sha256: str) -> Path:
    """The file of a ``file:`` URL, when it is the locked one.

    Raises:
        ArchiveError: it is not there, or it is another file (HashError).
        NetworkError: the URL names another host.
    """
    path = file_url_path(url)
    try:
        found = file_digest(path)
    except OSError as error:
        raise ArchiveError(
            f"{path.name} cannot be read: {error.strerror}",
            context=[f"path: {path}"],
            hints=["put the file back, or lock again with `envforge lock`"],
        ) from error
    if found != sha256:
        raise HashError(
            f"{path.name} is not the file that was locked",
            context=[f"expected: sha256 {sha256}", f"got: sha256 {found}", f"path: {path}"],
            hints=["put the file back, or lock again with `envforge lock --upgrade-package NAME`"],
        )
    return path
