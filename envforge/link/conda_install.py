"""Conda packages into a prefix by py-rattler, in a process of its own; its words as our events and errors."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envforge.errors import EnvforgeError, StoreError
from envforge.events import DownloadFinished, DownloadProgressed, DownloadStarted, Event, Reporter
from envforge.host.child_python import child_command
from envforge.host.exit_status import describe_end
from envforge.link.cancellation import Cancellation
from envforge.link.conda_failures import install_error
from envforge.link.conda_worker import InstallJob, refusing_channels
from envforge.model.conda import CondaRecord
from envforge.net.conda_client import ChannelCredentials, ChannelLocation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from subprocess import Popen

    from envforge.net.settings import NetworkSettings

_MOST_LINES = 10
_GRACE_S = 5.0


def install_records(
    records: Sequence[CondaRecord],
    prefix: Path,
    packages_cache: Path,
    channels: Sequence[ChannelLocation],
    network: NetworkSettings,
    environ: Mapping[str, str],
    reporter: Reporter,
    cancellation: Cancellation,
) -> None:
    """Fetch, verify, unpack and link records. No script of a package is run.

    When this returns or raises, nothing is at work in the prefix any more.

    Args:
        records: what is installed.
        prefix: absolute path.
        packages_cache: absolute path.
        channels: of the manifest; what a record says of another one is believed, but it gets no credentials
            except those of netrc.
        network: offline, retries, limit of silence.
        environ: of the process; for credentials, proxies and certificates.
        reporter: hears of the downloads.
        cancellation: ends it.

    Raises:
        CancelledError: it was ended.
        HashError, ArchiveError, NetworkError, OfflineError, StoreError: what is in the prefix is of no use.
    """
    job = InstallJob(
        records=tuple(records),
        prefix=str(prefix),
        packages_cache=str(packages_cache),
        channels=tuple(_all_channels(records, channels, environ)),
        network=network,
    )
    with _worker(job, environ) as process, cancellation.waking(process.kill):
        said = _listen(process, {record.name: record for record in records}, reporter)
    cancellation.check()
    report, noise = said
    if report is None and not any("panicked at" in line for line in noise):
        raise _crash(process.returncode, noise, prefix)
    if report != "":
        raise _in_our_words("\n".join([*noise, report or ""]), job, environ)


def _all_channels(
    records: Sequence[CondaRecord], channels: Sequence[ChannelLocation], environ: Mapping[str, str]
) -> Iterator[ChannelLocation]:
    """The manifest's channels that records come from, and what else records name."""
    named = {channel.clean_url: channel for channel in (each.expand(environ) for each in channels)}
    for url in dict.fromkeys(record.channel for record in records):
        yield named.get(url) or ChannelLocation(name=url, url=url)


@contextmanager
def _worker(job: InstallJob, environ: Mapping[str, str]) -> Iterator[Popen[bytes]]:
    """The process with its job; it has ended when the block has, whatever happened."""
    import pickle
    import subprocess

    process = subprocess.Popen(
        child_command("envforge.link.conda_worker", with_site=False),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**environ, "RUST_BACKTRACE": "0"},
    )
    try:
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # it died at once, and has said why
            pickle.dump(job, process.stdin)
            process.stdin.flush()  # and stays open: its end is ours
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


def _listen(
    process: Popen[bytes], records: Mapping[str, CondaRecord], reporter: Reporter
) -> tuple[str | None, list[str]]:
    """Pass on what is said until the end.

    Returns:
        The failure, "" for none, None where it ended without a word; and what else was said.
    """
    from subprocess import TimeoutExpired

    noise: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        words = _parse(line)
        match words:
            case ["done"]:
                return "", noise
            case ["failed", str(report)]:
                return report, noise
            case [str(what), str(name), *rest] if name in records:
                reporter.report(_event(what, records[name], *rest))
            case _:
                noise.append(line.decode(errors="replace").rstrip())
    with suppress(TimeoutExpired):  # it is dying: let it say of what
        process.wait(_GRACE_S)
    return None, noise


def _parse(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _event(what: str, record: CondaRecord, received_bytes: int = 0) -> Event:
    if what == "download":
        return DownloadStarted(filename=record.filename, size_bytes=record.size_bytes)
    if what == "received":
        return DownloadProgressed(filename=record.filename, received_bytes=received_bytes)
    return DownloadFinished(filename=record.filename)


def _crash(status: int | None, noise: Sequence[str], prefix: Path) -> StoreError:
    """The process ended without a word: killed for memory, most likely, or a fault of py-rattler."""
    how = "does not end" if status is None else describe_end(status)
    return StoreError(
        f"the process that installs conda packages {how}",
        context=[f"path: {prefix}", *noise[:_MOST_LINES]],
        hints=["run the command again; is there enough memory?"],
    )


def _in_our_words(report: str, job: InstallJob, environ: Mapping[str, str]) -> EnvforgeError:
    credentials = ChannelCredentials(job.channels, environ)
    lookups: list[str] = []
    for channel in refusing_channels(report, job.channels):
        lookups += credentials.describe_lookups(channel)
    return install_error(
        report,
        job.records,
        Path(job.prefix),
        Path(job.packages_cache),
        secrets=[channel.token for channel in job.channels if channel.token],
        lookups=lookups,
    )
