"""Fetch: from locked files to trees in the store, in parallel and each only once on a tier.

Downloads and unpacking have their own limits: the one is bound by the network, the other by the
processor (inflating and hashing leave the GIL). What another process is already at comes last, so
that several processes on one store share the work instead of queueing for the same archive.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from envforge.errors import ArchiveError, EnvforgeError, HashError, NetworkError, OfflineError
from envforge.events import FetchPlanned, Reporter, TreeStored
from envforge.fetch.sizes import find_sizes
from envforge.model.tree import Tree
from envforge.net.auth import redact
from envforge.net.settings import NetworkSettings
from envforge.store.failures import store_failures
from envforge.store.store import Store, tree_id

if TYPE_CHECKING:
    from envforge.net.pools import ConnectionPools

_LEAVING_S = 2.0
"""How long a failed or interrupted fetch waits for its threads; they are daemons and may be left."""
_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchRequest:
    """A wheel that has to be in the store.

    Args:
        name: normalized.
        version: canonical.
        url: ``https:``, ``http:`` or ``file:``.
        sha256: hex.
        size_bytes: None where the lock does not know it.
        index: name of its index, for credentials; ``""`` for none.
        index_url: that index's URL, with credentials where the manifest has them.
    """

    name: str
    version: str
    url: str
    sha256: str
    size_bytes: int | None = None
    index: str = ""
    index_url: str = ""

    @property
    def filename(self) -> str:
        return unquote(urlsplit(self.url).path.rpartition("/")[2])

    @property
    def is_local(self) -> bool:
        return self.url.startswith("file:")


def fetch_trees(
    requests: Sequence[FetchRequest],
    store: Store,
    settings: NetworkSettings,
    reporter: Reporter,
    *,
    archives: Path,
) -> dict[str, Tree]:
    """Make sure that the store has these wheels.

    Args:
        requests: what is needed; what is there already costs one small read.
        store: where the trees go.
        settings: limits of the network, and whether it may be used.
        reporter: is told what happens.
        archives: folder for archives on their way; they are deleted when they are unpacked.

    Returns:
        sha256 → tree, for every request.

    Raises:
        OfflineError: something is missing and the network is forbidden.
        NetworkError, HashError, ArchiveError, StoreError: the first fetch that failed; the others were
            stopped, and what failed beside it is in its context. Nothing half-done is visible.
    """
    trees: dict[str, Tree] = {}
    missing: dict[str, FetchRequest] = {}
    for request in requests:
        tree = store.find_tree(request.sha256)
        if tree is None:
            missing[request.sha256] = request
        else:
            trees[request.sha256] = tree
    if missing:
        _check_requests(list(missing.values()), settings)
        crew = _Crew(list(missing.values()), store, settings, reporter, archives)
        trees.update({tree.sha256: tree for tree in crew.run()})
    return trees


def _check_requests(missing: Sequence[FetchRequest], settings: NetworkSettings) -> None:
    """Refuse at once what cannot be fetched at all."""
    for request in missing:
        if not request.url.startswith(("https:", "http:", "file:")):
            raise NetworkError(
                f"{request.filename} has a URL of a kind that cannot be downloaded",
                context=[f"url: {redact(request.url)}"],
                hints=["only https:, http: and file: are known"],
            )
        if not request.filename.endswith(".whl"):
            raise ArchiveError(f"{request.filename} is no wheel", context=[f"url: {redact(request.url)}"])
    remote = [request for request in missing if not request.is_local]
    if settings.offline and remote:
        names = [f"{request.name} {request.version}" for request in remote]
        more = [f"and {len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
        raise OfflineError(
            f"{len(names)} of the packages needed are not in the store, and the network is forbidden",
            context=[*names[:_SHOWN], *more],
            hints=["run the command once without --offline"],
        )


class _StoppedError(Exception):
    """Another thread failed, or the user pressed Ctrl-C."""


class _Crew:
    """The threads of one fetch and what they share."""

    def __init__(
        self,
        requests: Sequence[FetchRequest],
        store: Store,
        settings: NetworkSettings,
        reporter: Reporter,
        archives: Path,
    ) -> None:
        self._store = store
        self._settings = settings
        self._reporter = reporter
        self._archives = archives
        self._requests = requests
        self._waiting: deque[tuple[FetchRequest, bool]] = deque()
        self._results: SimpleQueue[Tree | BaseException] = SimpleQueue()
        self._stop = threading.Event()
        processors = _processor_count()
        self._downloading = threading.BoundedSemaphore(settings.connections)
        self._unpacking = threading.BoundedSemaphore(processors)
        self._thread_count = min(len(requests), settings.connections + processors)

    def run(self) -> list[Tree]:
        """Fetch everything; the first failure ends it."""
        from envforge.net.pools import ConnectionPools

        with store_failures(self._archives, "make the folder for archives"):
            self._archives.mkdir(parents=True, exist_ok=True)
        threads: list[threading.Thread] = []
        with ConnectionPools(self._settings) as pools:
            self._plan(pools)
            try:
                for _ in range(self._thread_count):
                    # daemons: one that hangs in a dead connection must not keep the process from ending
                    thread = threading.Thread(target=self._work, args=(pools,), daemon=True)
                    threads.append(thread)
                    thread.start()
                trees = [self._next_result() for _ in self._requests]
            except BaseException as error:
                self._stop.set()
                self._leave(threads, error)
                raise
            for thread in threads:
                thread.join()
        return trees

    def _plan(self, pools: ConnectionPools) -> None:
        """Put the largest first: the last one to arrive then is a small one."""
        sizes = find_sizes(self._requests, pools, self._settings.connections)
        ordered = sorted(self._requests, key=lambda request: -sizes[request.sha256])
        self._waiting.extend((request, False) for request in ordered)
        remote = [request for request in ordered if not request.is_local]
        size_bytes = sum(sizes[request.sha256] for request in remote)
        self._reporter.report(FetchPlanned(file_count=len(remote), size_bytes=size_bytes))

    def _next_result(self) -> Tree:
        """Wait for the next tree; raises what its thread raised."""
        while True:
            try:
                # with a time limit, because on Windows Ctrl-C does not end a wait without
                result = self._results.get(timeout=1.0)
            except Empty:
                continue
            if isinstance(result, BaseException):
                raise result
            return result

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
        """What each thread does until nothing is left."""
        while True:
            try:
                request, patient = self._waiting.popleft()
            except IndexError:
                return
            try:
                tree = self._fetch_guarded(request, patient, pools)
            except _StoppedError:
                return
            except BaseException as error:
                self._results.put(error)
                return
            if tree is None:
                self._waiting.append((request, True))
            else:
                self._results.put(tree)

    def _fetch_guarded(self, request: FetchRequest, patient: bool, pools: ConnectionPools) -> Tree | None:
        """Fetch one wheel under its guard; None if another process is at it and we do not wait yet."""
        self._check()
        guard = self._store.guard(tree_id(request.sha256))
        if patient:
            with guard.hold(self._reporter, request.filename, self._check):
                return self._fetch(request, pools)
        with guard.try_hold() as mine:
            return self._fetch(request, pools) if mine else None

    def _fetch(self, request: FetchRequest, pools: ConnectionPools) -> Tree:
        """Download and unpack one wheel, unless another process has just done it."""
        tree = self._store.find_tree(request.sha256)
        if tree is not None:
            return tree
        if request.is_local:
            return self._unpack(request, _find_local(request))
        from envforge.fetch.archives import archive_guard, archive_path

        identity = tree_id(request.sha256)
        archive = archive_path(self._archives, identity)
        guard = archive_guard(self._archives, identity)
        with guard.hold(self._reporter, request.filename, self._check):
            with self._turn(self._downloading):
                self._download(request, archive, pools)
            tree = self._unpack(request, archive)
            with store_failures(archive, f"remove {request.filename}"):
                archive.unlink(missing_ok=True)
        return tree

    def _download(self, request: FetchRequest, archive: Path, pools: ConnectionPools) -> None:
        """Have the archive in its place, whole and verified."""
        from envforge.net.download import download

        with store_failures(archive, f"download {request.filename}"):
            if archive.exists():
                # left by a process that was killed before it could unpack it
                if _digest(archive) == request.sha256:
                    return
                archive.unlink()
            download(
                request.url,
                archive,
                sha256=request.sha256,
                size_bytes=request.size_bytes,
                filename=request.filename,
                index_name=request.index,
                index_url=request.index_url,
                pools=pools,
                settings=self._settings,
                reporter=self._reporter,
                check=self._check,
            )

    def _unpack(self, request: FetchRequest, archive: Path) -> Tree:
        """Unpack a verified archive and publish the tree."""
        from envforge.fetch.unpack import unpack_wheel

        with self._turn(self._unpacking), self._store.staging() as staging:
            staged = staging / "tree"
            with store_failures(staged, f"unpack {request.filename}"):
                staged.mkdir()
            tree, files = unpack_wheel(
                archive,
                staged,
                filename=request.filename,
                archive_sha256=request.sha256,
                name=request.name,
                version=request.version,
                check=self._check,
            )
            tree = self._store.publish_tree(staged, tree, files)
        stored = TreeStored(filename=request.filename, file_count=tree.file_count, size_bytes=tree.size_bytes)
        self._reporter.report(stored)
        return tree

    def _check(self) -> None:
        if self._stop.is_set():
            raise _StoppedError

    @contextmanager
    def _turn(self, semaphore: threading.BoundedSemaphore) -> Iterator[None]:
        """Wait for one of the places that there are."""
        while not semaphore.acquire(timeout=0.2):
            self._check()
        try:
            self._check()
            yield
        finally:
            semaphore.release()


def _find_local(request: FetchRequest) -> Path:
    """The file of a ``file:`` URL, when it is the locked one.

    Raises:
        ArchiveError: it is not there, or it is another file (HashError).
    """
    from urllib.request import url2pathname

    place = Path(url2pathname(urlsplit(request.url).path))
    try:
        found = _digest(place)
    except OSError as error:
        raise ArchiveError(
            f"{request.filename} cannot be read: {error.strerror}",
            context=[f"path: {place}"],
            hints=["put the file back, or lock again with `envforge lock`"],
        ) from error
    if found != request.sha256:
        raise HashError(
            f"{request.filename} is not the file that was locked",
            context=[f"expected: sha256 {request.sha256}", f"got: sha256 {found}", f"path: {place}"],
            hints=["put the file back, or lock again with `envforge lock`"],
        )
    return place


def _digest(place: Path) -> str:
    from hashlib import file_digest

    with open(place, "rb") as content:
        return file_digest(content, "sha256").hexdigest()


def _processor_count() -> int:
    """Processors that this process may use (a container or a batch job has fewer than the machine)."""
    affinity: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
