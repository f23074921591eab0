"""What py-rattler's installer says when it fails, as errors with package, URL, reason and a way out.

py-rattler gives one exception with a chain of causes in one text, so texts are looked into here; a text that
is not known still comes with the package and its own words.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from envforge.errors import ArchiveError, EnvforgeError, HashError, NetworkError, OfflineError, StoreError
from envforge.link.conda_clobbers import find_folder_conflict
from envforge.link.conda_worker import OFFLINE_WORDS
from envforge.model.conda import CondaRecord
from envforge.net.auth import redact
from envforge.net.conda_failures import CONNECTION_HINT, innermost_cause, network_reason, status_of
from envforge.store.failures import store_error
from envforge.struct import Struct

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


class _Report(Struct, frozen=True, kw_only=True):
    """What was said, and of what.

    Args:
        text: py-rattler's, without secrets.
        record: the package that it names, None where it names none.
        records: what was being installed.
        prefix: where.
        packages_cache: where archives are unpacked.
        lookups: where credentials were looked for, one a line.
    """

    text: str
    record: CondaRecord | None
    records: Sequence[CondaRecord]
    prefix: Path
    packages_cache: Path
    lookups: Sequence[str]

    @property
    def what(self) -> str:
        record = self.record
        return f"{record.name} {record.version} {record.build}" if record else "a conda package"

    @property
    def url(self) -> list[str]:
        """A line for the context, none where no package is named."""
        return [f"url: {redact(self.record.url)}"] if self.record else []

    @property
    def is_of_fetching(self) -> bool:
        return "failed to fetch" in self.text


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
    said = _Report(
        text=report,
        record=next((each for each in records if archive and each.filename == archive[1]), None),
        records=records,
        prefix=prefix,
        packages_cache=packages_cache,
        lookups=lookups,
    )
    found = (read(said) for read in _READINGS)
    return next((error for error in found if error is not None), None) or _damaged(said)


def _offline(said: _Report) -> EnvforgeError | None:
    if OFFLINE_WORDS not in said.text:
        return None
    return OfflineError(
        f"{said.what} is not whole in the cache, and {OFFLINE_WORDS} to fetch it",
        context=said.url,
        hints=["run without --offline once, so that it is cached"],
    )


def _another_archive(said: _Report) -> EnvforgeError | None:
    if "Invalid checksum" not in said.text and "hash mismatch" not in said.text:
        return None
    record = said.record
    return HashError(
        f"{said.what} is not the archive that was locked",
        context=[*said.url, *([f"expected: sha256 {record.sha256}"] if record and record.sha256 else [])],
        hints=[
            "a proxy or mirror may have changed it: run the command again",
            "if the channel has replaced it: envforge lock --upgrade",
        ],
    )


def _sealed_cache(said: _Report) -> EnvforgeError | None:
    if "no eligible writable layers" not in said.text:
        return None
    return StoreError(
        "the cache of conda packages cannot be written: it is read-only, or another user's",
        context=[f"path: {said.packages_cache}"],
        hints=["name another place for the cache in ENVFORGE_CACHE_DIR"],
    )


def _no_place(said: _Report) -> EnvforgeError | None:
    """The system refused to write: a full disk, no right."""
    system = _OS_ERROR.search(said.text)
    if system is None or int(system[1]) not in _PLACES:
        return None
    place, doing = (said.packages_cache, "unpack") if said.is_of_fetching else (said.prefix, "install")
    return store_error(OSError(int(system[1]), "", None), place, f"{doing} {said.what}")


def _unreachable(said: _Report) -> EnvforgeError | None:
    text = said.text
    is_of_network = status_of(text) or network_reason(text) or any(map(text.count, _ON_THE_WAY))
    if not said.is_of_fetching or not is_of_network:
        return None
    reason, hint = network_reason(text) or (innermost_cause(text), CONNECTION_HINT)
    if status_of(text) in (404, 410):
        hint = "the channel has it no more: envforge lock --upgrade"
    elif status_of(text) in (401, 403):
        hint = "check the credentials of the channel"
    return NetworkError(
        f"{said.what} cannot be fetched: {reason}", context=[*said.url, *said.lookups], hints=[hint]
    )


def _silence(said: _Report) -> EnvforgeError | None:
    if "nothing has arrived" not in said.text:
        return None
    return NetworkError(
        "conda packages cannot be fetched: nothing arrives any more",
        context=[said.text],
        hints=[CONNECTION_HINT, "run the command again: what has arrived is kept"],
    )


def _too_long(said: _Report) -> EnvforgeError | None:
    if "placeholder" not in said.text:
        return None
    file = _FILE.search(said.text)
    return StoreError(
        f"the path of the conda prefix is too long for {said.what}",
        context=[
            f"path: {said.prefix} ({len(str(said.prefix))} characters)",
            *([f"file: {file[1]} has less room for it"] if file else []),
            *said.url,
        ],
        hints=["choose a place with a shorter path with --tier DIR"],
    )


def _no_archive(said: _Report) -> EnvforgeError | None:
    if not said.is_of_fetching or said.record is None or not said.record.url.startswith("http"):
        return None
    return ArchiveError(
        f"what the server sends is not the archive of {said.what}",
        context=[*said.url, f"reason: {innermost_cause(said.text)}"],
        hints=["open the URL in a browser: a login page or a proxy may have answered"],
    )


def _folder_conflict(said: _Report) -> EnvforgeError | None:
    return find_folder_conflict(said.records, said.packages_cache)


_READINGS: Sequence[Callable[[_Report], EnvforgeError | None]] = (
    _offline,
    _another_archive,
    _sealed_cache,
    _no_place,
    _unreachable,
    _silence,
    _too_long,
    _no_archive,
    _folder_conflict,
)
"""The first that understands the report gives the error."""


def _damaged(said: _Report) -> ArchiveError:
    file, panic = _FILE.search(said.text), _PANIC.search(said.text)
    return ArchiveError(
        f"{said.what} cannot be installed",
        context=[
            *said.url,
            *([f"file: {file[1]}"] if file else []),
            f"reason: {redact(panic[1]) if panic else innermost_cause(said.text)}",
        ],
        hints=["the archive is damaged, or made wrong; for another one: envforge lock --upgrade"],
    )
