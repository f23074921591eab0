"""What py-rattler has unpacked of packages in its cache, and the archives of channels that are folders.

What comes over the network is compared with the record by py-rattler; the archives of a folder are taken as
they are, and kept in the cache as what the record says. So they are compared here.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from envforge.errors import HashError, OfflineError, StoreError
from envforge.host.processors import count_processors
from envforge.link.cancellation import Cancellation
from envforge.model.conda import CondaRecord
from envforge.store.failures import store_failures
from envforge.store.sealing import remove_sealed

_ABANDONED_S = 24 * 3600
_MOST_SHOWN = 5
_PIECE_BYTES = 1 << 20


def unpacked_stem(record: CondaRecord) -> str:
    """The name of its folder in the cache."""
    return f"{record.name}-{record.version}-{record.build}"


def is_unpacked(record: CondaRecord, packages_cache: Path) -> bool:
    """Whether py-rattler is going to take a package from its cache."""
    stem = unpacked_stem(record)
    if not (packages_cache / stem / "info" / "index.json").exists():
        return False
    held = _held_digest(stem, packages_cache)
    return not held or not record.sha256 or held == record.sha256


def is_whole(record: CondaRecord, packages_cache: Path) -> bool:
    """Whether py-rattler takes a package from its cache without a doubt: what it looks at first is there.

    It fetches again what is not, from wherever the record says, also from a folder.
    """
    stem = unpacked_stem(record)
    info = packages_cache / stem / "info"
    try:
        has_lists = all((info / name).stat().st_size > 0 for name in ("index.json", "paths.json"))
    except OSError:
        return False
    return has_lists and bool(record.sha256) and _held_digest(stem, packages_cache) == record.sha256


def _held_digest(stem: str, packages_cache: Path) -> str:
    """The SHA-256 of the archive that an entry of the cache is of, "" where that is not told.

    The ``.lock`` beside its folder holds a counter of eight bytes, and that.
    """
    try:
        held = (packages_cache / f"{stem}.lock").read_bytes()[8:40]
    except OSError:
        return ""
    return held.hex() if len(held) == 32 else ""


def is_local(record: CondaRecord) -> bool:
    """Whether its archive is in a folder, and needs no network."""
    return record.url.startswith("file:")


def not_cached_error(missing: Sequence[CondaRecord]) -> OfflineError:
    """The error for packages that would have to be downloaded."""
    shown = [f"{record} from {record.channel}" for record in missing[:_MOST_SHOWN]]
    more = len(missing) - len(shown)
    return OfflineError(
        f"{len(missing)} conda packages are not in the cache, and --offline forbids to fetch them",
        context=[*shown, *([f"and {more} more"] if more else [])],
        hints=["run without --offline once, so that they are cached"],
    )


def check_local_archives(records: Sequence[CondaRecord], cancellation: Cancellation) -> None:
    """Compare the archives of folders with their records; a gigabyte takes each processor a second.

    Raises:
        CancelledError: it was ended.
        StoreError: one is missing or cannot be read.
        HashError: one is not what was locked.
    """
    if not records:
        return
    from concurrent.futures import ThreadPoolExecutor

    others = Cancellation()

    def go_on() -> None:
        cancellation.check()
        others.check()

    with ThreadPoolExecutor(count_processors()) as pool:
        try:
            for checked in [pool.submit(_check_local_archive, each, go_on) for each in records]:
                checked.result()
        except BaseException:
            others.cancel()
            raise


def _check_local_archive(record: CondaRecord, go_on: Callable[[], None]) -> None:
    from envforge.net.local_files import file_url_path

    place = file_url_path(record.url)
    with store_failures(place, f"read the archive of {record}"):
        if not place.exists():
            raise StoreError(
                f"the archive of {record} is not in its channel any more",
                context=[f"file: {place}"],
                hints=["put it back, or take what is there: envforge lock --upgrade"],
            )
        algorithm, expected = _digest(record)
        found = _file_digest(place, algorithm, go_on) if expected else ""
    if found != expected:
        raise HashError(
            f"{record} is not the archive that was locked",
            context=[
                f"file: {place}",
                f"expected: {algorithm} {expected}",
                f"found: {found}",
            ],
            hints=["if the channel has replaced it: envforge lock --upgrade"],
        )


def _digest(record: CondaRecord) -> tuple[str, str]:
    return ("sha256", record.sha256) if record.sha256 else ("md5", record.md5)


def _file_digest(place: Path, algorithm: str, go_on: Callable[[], None]) -> str:
    """The digest of a file; ``go_on`` is called for each piece, and raises to end it."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with open(place, "rb", buffering=0) as file:
        go_on()
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
            go_on()
    return digest.hexdigest()


def sweep_packages(packages_cache: Path) -> None:
    """Remove what processes that were killed have left half unpacked."""
    with suppress(OSError):
        for entry in os.scandir(packages_cache):
            if entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                age_s = time.time() - entry.stat(follow_symlinks=False).st_mtime
                if age_s > _ABANDONED_S:
                    remove_sealed(entry.path)
