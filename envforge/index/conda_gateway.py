"""py-rattler's gateway and solver as calls that block, with clear failures.

One gateway and one event loop live as long as the object. The gateway keeps the records it has read, so a
second question costs one solve and no loading: 0.09 s where the first takes 0.17 s (360 records of
conda-forge). How answers are kept on disk and asked for again is rattler's: shards (CEP 16) where a channel
has them, else ``repodata.json.zst``, ``.bz2`` or plain; ``Cache-Control`` and ETags are honoured.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, TypeVar

from envforge.errors import EnvforgeError, NetworkError
from envforge.index.conda_failures import Fault, FaultKind, channel_error, unreachable_error
from envforge.index.conda_folders import readable_folder_url
from envforge.net.conda_client import ChannelCredentials, ChannelLocation, rattler_client
from envforge.store.sharing import own_folder
from envforge.struct import replace

if TYPE_CHECKING:
    from asyncio import Runner
    from datetime import datetime

    from rattler import Channel, Gateway, GenericVirtualPackage, RepoDataRecord

    from envforge.net.settings import NetworkSettings

T = TypeVar("T")
Rows: TypeAlias = "list[RepoDataRecord]"
_Make: TypeAlias = "Callable[[Gateway, list[Channel]], Coroutine[Any, Any, T]]"

NOARCH: Literal["noarch"] = "noarch"
CACHE_NAME = "repodata-v1"
_NO_PACKAGE = "_"  # a question about it loads what is needed to answer any
_ALL_STATUSES = frozenset(range(400, 600))


class SolverQuestion(NamedTuple):
    """What the solver is asked, as it wants to hear it.

    Args:
        platform: subdir.
        specs: match specs of what is wanted.
        constraints: match specs that hold for what is installed without asking for it.
        virtual_packages: what the system has.
        preferred: records to keep where they can be.
        exclude_newer: the last instant that is old enough, naive UTC; None for any time.
    """

    platform: str
    specs: Sequence[str]
    constraints: Sequence[str]
    virtual_packages: Sequence[GenericVirtualPackage]
    preferred: Sequence[RepoDataRecord]
    exclude_newer: datetime | None


class ChannelGateway:
    """Asks the channels of a manifest, in the order of their priority.

    Args:
        channels: with their variables expanded.
        network: offline, refresh (all is fetched again), retries; ``timeout_s`` is how long nothing may come
            before the servers are asked whether they live.
        environ: for credentials.
        cache: root of the cache.
    """

    def __init__(
        self,
        channels: Sequence[ChannelLocation],
        network: NetworkSettings,
        environ: Mapping[str, str],
        cache: Path,
    ) -> None:
        self.channels = tuple(channels)
        self._network = network
        self._environ = environ
        self._cache = cache
        self._credentials = ChannelCredentials(self.channels, environ)
        self._lock = threading.RLock()
        self._runner: Runner | None = None
        self._gateway: Gateway | None = None
        self._opened: dict[str, list[Channel]] = {}
        self._copies: dict[str, str] = {}
        self._leftovers = ExitStack()

    def close(self) -> None:
        """Stop the event loop; nothing can be asked any more.

        rattler's threads let go of Python objects for a moment yet: a process ends as the command line does.
        """
        if self._runner is not None:
            self._runner.close()
        self._leftovers.close()

    def query(self, specs: Sequence[str], platform: str) -> list[Rows]:
        """The records that match, of each channel (in order) and subdir (the platform's, ``noarch``).

        Args:
            specs: names, or match specs.
            platform: subdir.

        Raises:
            OfflineError: it is not cached, and the network is forbidden.
            NetworkError: a channel did not answer.
            PackageIndexError: a channel is none, or its answer cannot be used.
        """
        return self._ask(platform, _query(specs, platform))

    def query_all(self, specs: Sequence[str], platforms: Sequence[str]) -> list[list[Rows] | None]:
        """:meth:`query` for several platforms at once; None for one that failed: ask it alone to hear why."""
        return self._ask_all([(platform, _query(specs, platform)) for platform in platforms])

    def names(self, subdir: str) -> frozenset[str]:
        """All names of packages in a subdir, a platform's or ``noarch``. Raises as :meth:`query`."""
        found = self._ask(
            subdir,
            lambda gateway, channels: gateway.names(
                channels,
                [subdir],  # type: ignore[list-item]
                channel_relations="disabled",
            ),
        )
        return frozenset(name.normalized for name in found)

    def solve(self, question: SolverQuestion) -> Rows:
        """The best records, in no order.

        Raises:
            rattler.exceptions.SolverError: there are none.
            rattler.exceptions.InvalidMatchSpecError: a spec is none.
            EnvforgeError: as :meth:`query`.
        """
        return self._ask(question.platform, _solve(question))

    def solve_all(self, questions: Sequence[SolverQuestion]) -> list[Rows | None]:
        """:meth:`solve` of several at once, one a processor; None for one that failed: ask it alone."""
        return self._ask_all([(question.platform, _solve(question)) for question in questions])

    def public_url(self, text: str) -> str:
        """A URL, or a text with URLs in it, of a record as it is outside: not in a copy that was unpacked."""
        for copy, channel in self._copies.items():
            text = text.replace(copy, channel)
        return text

    def is_cached(self, channel: ChannelLocation, platform: str) -> bool:
        """Whether ``--offline`` would find something of a channel."""
        offline = replace(self._network, offline=True)
        beside = ChannelGateway([channel], offline, self._environ, self._cache)
        try:
            beside.query([_NO_PACKAGE], platform)
        except NetworkError:
            return False
        finally:
            beside.close()
        return True

    def _ask_all(self, asked: Sequence[tuple[str, _Make[T]]]) -> list[T | None]:
        """Ask for several platforms at once; None for what failed."""
        with self._lock:
            opened = [self._open(platform) for platform, _ in asked]

            async def ask_all() -> list[T | BaseException]:
                from asyncio import gather

                work = [make(*each) for (_, make), each in zip(asked, opened, strict=True)]
                return await gather(*work, return_exceptions=True)

            return [None if isinstance(found, BaseException) else found for found in self._run(ask_all)]

    def _ask(self, platform: str, make: _Make[T]) -> T:
        """Ask; where a fault can be repaired (a damaged cache, credentials in keyring) once more."""
        from rattler.exceptions import FetchRepoDataError, GatewayError, IoError

        with self._lock:
            gateway, channels = self._open(platform)
            repaired: set[tuple[FaultKind, str]] = set()
            while True:
                try:
                    return self._run(lambda: make(gateway, channels))
                except (GatewayError, FetchRepoDataError, IoError) as error:
                    fault = self._locate(str(error), platform)
                key = (fault.kind, fault.channel.name + fault.subdir)
                if key in repaired or not self._repair(fault):
                    raise self._failure(fault, platform)
                repaired.add(key)

    def _run(self, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        from asyncio import Runner

        found: list[T] = []

        async def keep() -> None:
            # Runner.run formats the task, and with it the beginnings of what it returns, into an error that
            # nobody sees: nine times 1 ms for the records of four platforms
            found.append(await self._patiently(make()))

        if self._runner is None:
            self._runner = Runner()
        self._runner.run(keep())
        return found[0]

    async def _patiently(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait as long as it takes while the servers are alive.

        rattler knows no limit for the time in which nothing comes, only one for a whole transfer, and the
        repodata of a large channel takes minutes on a slow line.
        """
        import asyncio

        task = asyncio.ensure_future(work)
        try:
            while True:
                done, _ = await asyncio.wait({task}, timeout=self._network.timeout_s)
                if done:
                    return task.result()
                self._check_servers()
        finally:
            task.cancel()

    def _check_servers(self) -> None:
        """Raises NetworkError where a channel's server does not answer at all."""
        if self._network.offline:
            return
        from envforge.net.client import HttpClient

        with HttpClient(replace(self._network, retries=0)) as client:
            for channel in self.channels:
                if channel.is_folder:
                    continue
                try:
                    client.get(f"{channel.clean_url}/", byte_range="0-0", expected=_ALL_STATUSES)
                except NetworkError as error:
                    raise unreachable_error(channel, error) from None

    def _open(self, platform: str) -> tuple[Gateway, list[Channel]]:
        if self._gateway is None:
            from rattler import Gateway
            from rattler.repo_data.gateway import SourceConfig

            self._gateway = Gateway(
                cache_dir=self._cache_folder(),
                default_config=SourceConfig(cache_action=self._cache_action),
                max_concurrent_requests=max(1, self._network.connections),
                client=rattler_client(self.channels, self._credentials, self._network, self._environ),
            )
        if platform not in self._opened:
            self._opened[platform] = [self._channel(channel, platform) for channel in self.channels]
        return self._gateway, self._opened[platform]

    def _channel(self, channel: ChannelLocation, platform: str) -> Channel:
        from rattler import Channel

        url = channel.clean_url
        if channel.is_folder:
            url = readable_folder_url(channel, (platform, NOARCH), self._cache)
            if url != channel.clean_url:
                self._copies[url] = channel.clean_url
        return Channel(url)

    def _cache_folder(self) -> Path:
        """Where rattler keeps what it fetched; of this run only, where the cache cannot be written."""
        folder = own_folder(self._cache / CACHE_NAME)
        if self._network.offline or _is_writable(folder):
            return folder
        from tempfile import TemporaryDirectory

        return Path(self._leftovers.enter_context(TemporaryDirectory(prefix="envforge-")))

    @property
    def _cache_action(self) -> Literal["cache-or-fetch", "force-cache-only", "no-cache"]:
        if self._network.offline:
            return "force-cache-only"
        return "no-cache" if self._network.refresh else "cache-or-fetch"

    def _locate(self, text: str, platform: str) -> Fault:
        """Which channel and subdir a failure is of; where rattler does not say, each is asked alone."""
        fault = Fault.parse(text, self.channels)
        if fault is not None:
            return fault
        from rattler.exceptions import FetchRepoDataError, GatewayError, IoError

        gateway, opened = self._open(platform)
        for channel, source in zip(self.channels, opened, strict=True):
            for subdir in (platform, NOARCH):
                try:
                    self._run(lambda: gateway.query([source], [subdir], [_NO_PACKAGE], recursive=False))  # type: ignore[list-item]  # noqa: B023
                except (GatewayError, FetchRepoDataError, IoError) as error:
                    return Fault(channel, subdir, str(error))
        return Fault(self.channels[0], platform, text)

    def _repair(self, fault: Fault) -> bool:
        """Do what may help; False where nothing was done."""
        if fault.channel.is_folder or self._network.offline:
            return False
        if fault.kind is FaultKind.REFUSED:
            return self._credentials.ask_keyring(fault.channel)
        if fault.kind is FaultKind.DAMAGED and self._gateway is not None:
            from rattler import Channel

            # A damaged file would stay: its ETag is right, so the server says that it has not changed.
            channel = Channel(fault.channel.clean_url)
            self._gateway.clear_repodata_cache(channel, [fault.subdir], clear_disk=True)  # type: ignore[list-item]
            return True
        return False

    def _failure(self, fault: Fault, platform: str) -> EnvforgeError:
        lookups = self._credentials.describe_lookups(fault.channel) if fault.kind is FaultKind.REFUSED else []
        is_cached = (
            fault.kind is FaultKind.UNREACHABLE
            and not self._network.offline
            and self.is_cached(fault.channel, platform)
        )
        return channel_error(fault, lookups=lookups, is_cached=is_cached, is_offline=self._network.offline)


def _query(specs: Sequence[str], platform: str) -> _Make[list[Rows]]:
    return lambda gateway, channels: gateway.query(
        channels,
        [platform, NOARCH],  # type: ignore[list-item]
        specs,
        recursive=False,
        channel_relations="disabled",
    )


def _solve(question: SolverQuestion) -> _Make[Rows]:
    from rattler import solve

    return lambda gateway, channels: solve(
        channels,
        question.specs,
        gateway=gateway,
        platforms=[question.platform, NOARCH],  # type: ignore[list-item]
        locked_packages=question.preferred,
        virtual_packages=question.virtual_packages,
        constraints=question.constraints,
        exclude_newer=question.exclude_newer,
        channel_relations="disabled",
    )


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)
