"""The process in which py-rattler installs: it is started for one prefix, and ends with it.

A process of its own because py-rattler's tasks outlive a failure: who calls it and is told of a failure finds
that files are still being linked into the folder that was just removed (3 of 40 times, measured), and may
crash when it ends. This one reads an :class:`InstallJob` from stdin, tells what happens on stdout, a JSON
list a line, and ends at once when whoever started it does. What it tells is understood in
:mod:`envforge.link.conda_install`.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from envforge.metadata.rattler_records import to_rattler
from envforge.model.conda import CondaRecord
from envforge.net.conda_client import ChannelCredentials, ChannelLocation, rattler_client
from envforge.net.settings import NetworkSettings
from envforge.struct import Struct

if TYPE_CHECKING:
    from rattler import RepoDataRecord

OFFLINE_WORDS = "--offline forbids it"
_TOLD_BYTES = 1 << 18
"""Progress is told in steps of this: a gigabyte comes in a hundred thousand pieces."""
_STALLED_TIMEOUTS = 2


class InstallJob(Struct, frozen=True, kw_only=True):
    """What is to be installed where.

    Args:
        records: with URLs without credentials.
        prefix: absolute path; empty or absent.
        packages_cache: absolute path of py-rattler's cache of unpacked packages.
        channels: where the records come from, their variables expanded.
        network: offline, retries, how long a silence may be.
    """

    records: tuple[CondaRecord, ...]
    prefix: str
    packages_cache: str
    channels: tuple[ChannelLocation, ...]
    network: NetworkSettings


class _Voice:
    """Tells the process above, a line at a time, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def say(self, *words: object) -> None:
        line = (json.dumps(words) + "\n").encode()
        with self._lock:
            os.write(1, line)


class _Progress:
    """py-rattler's InstallerReporter; called from its threads."""

    def __init__(self, voice: _Voice) -> None:
        self._voice = voice
        self._names: list[str] = []
        self._received: dict[int, int] = {}
        self._lock = threading.Lock()
        self.running = 0
        self.last_word_s = time.monotonic()

    def on_populate_cache_start(self, operation: int, package_name: str) -> int:
        with self._lock:
            self._names.append(package_name)
            return len(self._names) - 1

    def on_download_start(self, cache_entry: int) -> int:
        self._count(1)
        self._received[cache_entry] = 0
        self._voice.say("download", self._names[cache_entry])
        return cache_entry

    def on_download_progress(self, download_idx: int, progress: int, total: int | None) -> None:
        self.last_word_s = time.monotonic()
        told = self._received[download_idx]
        if progress - told >= _TOLD_BYTES or progress == total:
            self._received[download_idx] = progress
            self._voice.say("received", self._names[download_idx], progress - told)

    def on_download_completed(self, download_idx: int) -> None:
        self._count(-1)
        self._voice.say("downloaded", self._names[download_idx])

    def _count(self, change: int) -> None:
        with self._lock:
            self.running += change
            self.last_word_s = time.monotonic()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("on_"):  # what nobody wants to know
            return lambda *_: 0
        raise AttributeError(name)


def main() -> None:
    """Do the job on stdin; the end of the process is the end of all of its threads."""
    import pickle
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started this is interrupted too, and ends it
    voice = _Voice()
    job = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        _install(job, voice)
    except Exception as error:
        voice.say("failed", str(error))
    else:
        voice.say("done")
    os._exit(0)


def _end_with_parent() -> None:
    """stdin ends when the process above does, whatever it dies of."""
    os.read(0, 1)
    os._exit(1)


def _install(job: InstallJob, voice: _Voice) -> None:
    """Install; where a server refuses, once more with what keyring has."""
    credentials = ChannelCredentials(job.channels, os.environ)
    try:
        _run(job, credentials, voice)
    except Exception as error:
        asked = [credentials.ask_keyring(channel) for channel in refusing_channels(str(error), job.channels)]
        if job.network.offline or not any(asked):
            raise
        _run(job, credentials, voice)


def refusing_channels(report: str, channels: Sequence[ChannelLocation]) -> list[ChannelLocation]:
    """The channels that refused a request, as py-rattler reports it."""
    if "401 Unauthorized" not in report and "403 Forbidden" not in report:
        return []
    return [
        channel
        for channel in channels
        if f"{channel.clean_url}/" in report or f"{channel.token_url}/" in report
    ]


def _run(job: InstallJob, credentials: ChannelCredentials, voice: _Voice) -> None:
    import asyncio

    import rattler
    from rattler.package_cache import PackageCache, ValidationMode

    progress = _Progress(voice)
    limit_s = _STALLED_TIMEOUTS * job.network.timeout_s
    threading.Thread(target=_watch, args=(progress, limit_s, voice), daemon=True).start()
    if job.network.offline:
        client = refusing_client()
    else:
        client = rattler_client(job.channels, credentials, job.network, os.environ)
    # "fast": that every file is there costs a stat for each, and scratch disks are purged file by file
    cache = PackageCache.new_layered([job.packages_cache], validation_mode=ValidationMode.fast())
    asyncio.run(
        rattler.install(
            [_converted(record) for record in job.records],
            job.prefix,
            installed_packages=[],
            package_cache=cache,
            execute_link_scripts=False,
            client=client,
            reporter=progress,
        )
    )


def _converted(record: CondaRecord) -> RepoDataRecord:
    try:
        return to_rattler(record)
    except Exception as error:
        raise ValueError(f"failed to read {record.filename}\nCaused by: {error}") from None


def _watch(progress: _Progress, limit_s: float, voice: _Voice) -> None:
    """End the process when nothing arrives any more; py-rattler would wait for ever."""
    while True:
        time.sleep(min(1.0, limit_s / 4))
        if progress.running and time.monotonic() - progress.last_word_s > limit_s:
            voice.say("failed", f"nothing has arrived for {limit_s:.0f} s: operation timed out")
            os._exit(0)


def refusing_client() -> Any:
    """A client for py-rattler that asks nobody anything."""
    from rattler.networking import AddHeadersMiddleware, Client

    def refuse(*_: str) -> None:
        raise RuntimeError(OFFLINE_WORDS)

    return Client([AddHeadersMiddleware(refuse)])
