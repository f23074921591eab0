"""What py-rattler's installer says when it fails, as errors with package, URL, reason and a way out.

py-rattler gives one exception with a chain of causes in one text, so texts are looked into here; a text that
is not known still comes with the package and its own words.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Sequence
from pathlib import Path

from envforge.errors import ArchiveError, EnvforgeError, HashError, NetworkError, OfflineError, StoreError
from envforge.link.conda_clobbers import find_folder_conflict
from envforge.link.conda_worker import OFFLINE_WORDS
from envforge.model.conda import CondaRecord
from envforge.net.auth import redact
from envforge.net.conda_failures import CONNECTION_HINT, innermost_cause, network_reason, status_of
from envforge.store.failures import store_error

_ARCHIVE = re.compile(r"failed to (?:fetch|link|read) (\S+?\.(?:conda|tar\.bz2))")
_FILE = re.compile(r"failed to link '([^']+)'")
_PANIC = re.compile(r"panicked at [^\n]*\n([^\n]+)")
_OS_ERROR = re.compile(r"\(os error (\d+)\)")
_PLACES = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
        errno.EACCES,
        errno.EPERM,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENAMETOOLONG,
        errno.EIO,
    }
)
_ON_THE_WAY = ("error sending request", "error decoding response body", "Request failed after")


def install_error(
    report: str,
    records: Sequence[CondaRecord],
    prefix: Path,
    packages_cache: Path,
    *,
    secrets: Sequence[str] = (),
    lookups: Sequence[str] = (),
) -> EnvforgeError:
    """The error for a failed installation.

    Args:
        report: what py-rattler said.
        records: what was being installed.
        prefix: where.
        packages_cache: where archives are unpacked.
        secrets: texts that must not be shown.
        lookups: where credentials were looked for, one a line.
    """
    for secret in secrets:
        report = report.replace(secret, "***")
    archive = _ARCHIVE.search(report)
    record = next((each for each in records if archive and each.filename == archive[1]), None)
    url = [f"url: {redact(record.url)}"] if record else []
    what = f"{record.name} {record.version} {record.build}" if record else "a conda package"
    fetching = "failed to fetch" in report
    if OFFLINE_WORDS in report:
        return OfflineError(
            f"{what} is not whole in the cache, and {OFFLINE_WORDS} to fetch it",
            context=url,
            hints=["run without --offline once, so that it is cached"],
        )
    if "Invalid checksum" in report or "hash mismatch" in report:
        return HashError(
            f"{what} is not the archive that was locked",
            context=[*url, *([f"expected: sha256 {record.sha256}"] if record and record.sha256 else [])],
            hints=[
                "a proxy or mirror may have changed it: run the command again",
                "if the channel has replaced it: envforge lock --upgrade",
            ],
        )
    if "no eligible writable layers" in report:
        return StoreError(
            "the cache of conda packages cannot be written: it is read-only, or another user's",
            context=[f"path: {packages_cache}"],
            hints=["name another place for the cache in ENVFORGE_CACHE_DIR"],
        )
    system = _OS_ERROR.search(report)
    if system is not None and int(system[1]) in _PLACES:
        place = packages_cache if fetching else prefix
        doing = f"unpack {what}" if fetching else f"install {what}"
        return store_error(OSError(int(system[1]), "", None), place, doing)
    if fetching and (status_of(report) or network_reason(report) or any(map(report.count, _ON_THE_WAY))):
        return _network_error(report, what, url, lookups)
    if "nothing has arrived" in report:
        return NetworkError(
            "conda packages cannot be fetched: nothing arrives any more",
            context=[report],
            hints=[CONNECTION_HINT, "run the command again: what has arrived is kept"],
        )
    if "placeholder" in report:
        return _too_long(report, what, url, prefix)
    if fetching and record is not None and record.url.startswith("http"):
        return _not_an_archive(report, what, url)
    return find_folder_conflict(records, packages_cache) or _damaged(report, what, url)


def _network_error(report: str, what: str, url: Sequence[str], lookups: Sequence[str]) -> NetworkError:
    reason, hint = network_reason(report) or (innermost_cause(report), CONNECTION_HINT)
    hints = [hint]
    if status_of(report) in (404, 410):
        hints = ["the channel has it no more: envforge lock --upgrade"]
    elif status_of(report) in (401, 403):
        hints = ["check the credentials of the channel"]
    return NetworkError(f"{what} cannot be fetched: {reason}", context=[*url, *lookups], hints=hints)


def _too_long(report: str, what: str, url: Sequence[str], prefix: Path) -> StoreError:
    file = _FILE.search(report)
    return StoreError(
        f"the path of the conda prefix is too long for {what}",
        context=[
            f"path: {prefix} ({len(str(prefix))} characters)",
            *([f"file: {file[1]} has less room for it"] if file else []),
            *url,
        ],
        hints=["choose a place with a shorter path with --tier DIR"],
    )


def _not_an_archive(report: str, what: str, url: Sequence[str]) -> ArchiveError:
    return ArchiveError(
        f"what the server sends is not the archive of {what}",
        context=[*url, f"reason: {innermost_cause(report)}"],
        hints=["open the URL in a browser: a login page or a proxy may have answered"],
    )


def _damaged(report: str, what: str, url: Sequence[str]) -> ArchiveError:
    file, panic = _FILE.search(report), _PANIC.search(report)
    return ArchiveError(
        f"{what} cannot be installed",
        context=[
            *url,
            *([f"file: {file[1]}"] if file else []),
            f"reason: {redact(panic[1]) if panic else innermost_cause(report)}",
        ],
        hints=["the archive is damaged, or made wrong; for another one: envforge lock --upgrade"],
    )
