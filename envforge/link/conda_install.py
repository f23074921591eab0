"""py-rattler's installer: records to files in a prefix, with its events and failures in our words."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import rattler
from rattler.install.installer import InstallerReporter

from envforge.errors import ArchiveError, EnvforgeError, HashError, NetworkError, StoreError
from envforge.events import DownloadFinished, DownloadProgressed, DownloadStarted, FetchPlanned, Reporter
from envforge.metadata.rattler_records import to_rattler
from envforge.model.conda import CondaRecord, total_size_bytes
from envforge.net.conda_client import ChannelCredentials, ChannelLocation, rattler_client
from envforge.net.settings import NetworkSettings

_NETWORK_WORDS = ("status client error", "status server error", "error sending request", "connect", "fetch")


def install_records(
    records: Sequence[CondaRecord],
    prefix: Path,
    packages_cache: Path,
    channels: Sequence[ChannelLocation],
    network: NetworkSettings,
    environ: Mapping[str, str],
    reporter: Reporter,
) -> None:
    """Fetch, verify, unpack and link records. No script of a package is run.

    Raises:
        HashError, ArchiveError, NetworkError, StoreError: what stands in the prefix is of no use.
    """
    import asyncio

    known = [channel.expand(environ) for channel in channels]
    missing = [record.channel for record in records if record.channel not in {c.clean_url for c in known}]
    known += [ChannelLocation(name=url, url=url) for url in dict.fromkeys(missing)]
    client = rattler_client(known, ChannelCredentials(known, environ), network, environ)
    packages_cache.mkdir(parents=True, exist_ok=True)
    try:
        asyncio.run(
            rattler.install(
                [to_rattler(record) for record in records],
                prefix,
                cache_dir=packages_cache,
                execute_link_scripts=False,
                client=client,
                # rattler's protocol has bodies without a statement, which mypy takes for abstract
                reporter=_Progress(records, reporter),  # type: ignore[abstract]
            )
        )
    except EnvforgeError:
        raise
    except Exception as error:
        raise _in_our_words(str(error), records, prefix) from None


class _Progress(InstallerReporter):
    """rattler's reporter; called from its threads. What else it tells is of no interest."""

    def __init__(self, records: Sequence[CondaRecord], reporter: Reporter) -> None:
        self._by_name = {record.name: record for record in records}
        self._reporter = reporter
        self._lock = threading.Lock()
        self._entries: list[CondaRecord] = []
        self._received: dict[int, int] = {}
        reporter.report(FetchPlanned(file_count=len(records), size_bytes=total_size_bytes(records)))

    def on_populate_cache_start(self, operation: int, package_name: str) -> int:
        with self._lock:
            self._entries.append(self._by_name[package_name])
            return len(self._entries) - 1

    def on_download_start(self, cache_entry: int) -> int:
        record = self._entries[cache_entry]
        self._reporter.report(DownloadStarted(filename=record.filename, size_bytes=record.size_bytes))
        return cache_entry

    def on_download_progress(self, download_idx: int, progress: int, total: int | None) -> None:
        received = progress - self._received.get(download_idx, 0)
        self._received[download_idx] = progress
        if received > 0:
            filename = self._entries[download_idx].filename
            self._reporter.report(DownloadProgressed(filename=filename, received_bytes=received))

    def on_download_completed(self, download_idx: int) -> None:
        self._reporter.report(DownloadFinished(filename=self._entries[download_idx].filename))


def _in_our_words(report: str, records: Sequence[CondaRecord], prefix: Path) -> EnvforgeError:
    """What rattler says, with the package that it is about."""
    lines = [line.strip() for line in report.splitlines() if line.strip()]
    record = _mentioned(report, records)
    what = f"{record.name} {record.version} ({record.filename})" if record else "a conda package"
    context = [*([f"url: {record.url}"] if record else []), *lines[:6]]
    lower = report.lower()
    if "hash" in lower and ("mismatch" in lower or "expected" in lower):
        return HashError(
            f"{what} is not the archive that was locked",
            context=context,
            hints=["if the channel replaced it: envforge lock --upgrade"],
        )
    if any(word in lower for word in ("no space", "disk quota", "read-only", "permission denied")):
        return StoreError(
            f"cannot make the conda prefix: {lines[-1] if lines else report}",
            context=[f"path: {prefix}", *context],
            hints=["free some space, or choose another place with --tier DIR"],
        )
    if any(word in lower for word in _NETWORK_WORDS):
        return NetworkError(
            f"cannot fetch {what}", context=context, hints=["run the command again: what has arrived is kept"]
        )
    if "placeholder" in lower or ("prefix" in lower and "long" in lower):
        return StoreError(
            f"the path of the conda prefix is too long for {what}",
            context=[f"path: {prefix}", *context],
            hints=["choose a place with a shorter path with --tier DIR"],
        )
    return ArchiveError(
        f"{what} cannot be installed",
        context=context,
        hints=["the archive may be damaged; another version may work: envforge lock --upgrade"],
    )


def _mentioned(report: str, records: Sequence[CondaRecord]) -> CondaRecord | None:
    for record in records:
        stem = re.escape(f"{record.name}-{record.version}-{record.build}")
        if re.search(stem, report) or record.url in report:
            return record
    return next((record for record in records if re.search(rf"\b{re.escape(record.name)}\b", report)), None)
