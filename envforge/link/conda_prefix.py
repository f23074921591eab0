"""conda prefixes: the conda part of environments, made by py-rattler, complete or absent, shared.

A prefix stands in its final place, because conda embeds its path into files. Its name is the digest of what
determines it, so that every environment with the same conda packages finds the same one. A marker is
written last: without it there is no prefix, and what stands there is removed and made again.

Standards: CEP 17 (where a Python has its site-packages), conda's prefix layout (``conda-meta``).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, perf_counter, sleep
from typing import TYPE_CHECKING

from envforge.errors import StoreError
from envforge.events import FetchPlanned, PrefixFinished, PrefixStarted, Reporter
from envforge.hashing import base32, sha256
from envforge.link.cancellation import Cancellation, CancelledError
from envforge.link.conda_packages import (
    check_local_archives,
    is_local,
    is_unpacked,
    is_whole,
    not_cached_error,
    sweep_packages,
    unpacked_stem,
)
from envforge.model.conda import CondaRecord, total_size_bytes
from envforge.store.failures import store_failures
from envforge.store.guard import Guard
from envforge.store.progress import ProgressTeller
from envforge.store.sealing import discard, remove_sealed
from envforge.store.sharing import is_shared, make_folders, share_all, share_handle
from envforge.store.uses import note_use
from envforge.struct import Struct

if TYPE_CHECKING:
    from envforge.net.conda_client import ChannelLocation
    from envforge.net.settings import NetworkSettings

MARKER = "envforge-prefix.json"
_FORMAT = 1
_DIGEST_LETTERS = 16
_BUILDING = "envforge-prefix.building"
_LOOK_S = 0.02
_QUIET_S = 0.3
_LONGEST_UNREST_S = 10.0
_LONGEST_PATH = 255
"""conda's build-time prefix has 255 characters: a longer path cannot take its place in a binary."""


class PrefixSpec(Struct, frozen=True, kw_only=True):
    """What determines a prefix.

    Args:
        records: what is installed.
        platform: subdir it is for.
        link_scripts: names of the packages whose scripts may run.
    """

    records: tuple[CondaRecord, ...]
    platform: str
    link_scripts: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Its name. Short, because a path in the first line of a script may have 127 characters.

        What a record says of its dependencies does not count: channels correct that, the files are the same.
        """
        names = {record.name for record in self.records}
        content = {
            "format": _FORMAT,
            "platform": self.platform,
            "records": sorted(_identity(record) for record in self.records),
            "link_scripts": sorted(names.intersection(self.link_scripts)),
        }
        return base32(sha256(json.dumps(content, sort_keys=True).encode()).digest(), _DIGEST_LETTERS)


def _identity(record: CondaRecord) -> list[str]:
    """What decides which files a record becomes."""
    content = record.sha256 or record.md5 or record.url
    return [unpacked_stem(record), record.subdir, content, record.noarch, record.python_site_packages_path]


class Prefix(Struct, frozen=True, kw_only=True):
    """A complete prefix.

    Args:
        path: absolute.
        python: absolute path of its Python, "" for none.
        python_version: full, "" for none.
        site_packages: of that Python, relative to the prefix.
    """

    path: Path
    python: str
    python_version: str
    site_packages: str


def find_prefix(spec: PrefixSpec, folder: Path) -> Prefix | None:
    """The complete prefix of a spec; None if it is not there, or was purged. Reads one small file.

    Its use is noted. One that was moved here from elsewhere is none: its old path is in its files.
    """
    path = folder / spec.digest
    try:
        fields = json.loads((path / MARKER).read_bytes())
        prefix = Prefix(
            path=path,
            python=str(path / fields["python"]) if fields["python"] else "",
            python_version=fields["python_version"],
            site_packages=fields["site_packages"],
        )
        if fields["path"] != str(path) and not Path(fields["path"]).samefile(path):
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    # A purge by age takes first what nobody reads, such as the records of its packages.
    records = [path / "conda-meta" / f"{unpacked_stem(record)}.json" for record in spec.records[:1]]
    needed = [*records, Path(prefix.python)] if prefix.python else records
    if not all(place.exists() for place in needed):
        return None
    return prefix if note_use(f"{path}/{MARKER}") else None


def ensure_prefix(
    spec: PrefixSpec,
    folder: Path,
    *,
    packages_cache: Path,
    channels: Sequence[ChannelLocation] = (),
    network: NetworkSettings,
    environ: Mapping[str, str],
    reporter: Reporter,
    cancellation: Cancellation | None = None,
) -> Prefix:
    """Make a prefix, or find it made. One process makes it, others wait.

    Args:
        spec: what determines it.
        folder: of all prefixes of a tier, absolute.
        packages_cache: of what is unpacked of archives, shared by all prefixes; absolute.
        channels: where the records come from, with their credentials.
        network: offline, retries.
        environ: of the process, for credentials, proxies and certificates.
        reporter: hears of downloads, scripts and clobbers.
        cancellation: ends it; no prefix is left then either.

    Raises:
        CancelledError: it was ended.
        OfflineError: offline, and an archive is not in the cache; nothing was begun.
        HashError, ArchiveError, NetworkError, StoreError, BuildError: no prefix is left.
    """
    found = find_prefix(spec, folder)
    if found is not None:
        return found
    from envforge.link.conda_install import install_records  # who finds a prefix needs none of it

    _check_path(folder / spec.digest)
    with store_failures(folder, "make a conda prefix"):
        make_folders(folder)
        make_folders(packages_cache)
    cancellation = cancellation or Cancellation()
    guard = Guard(folder.parent / "guards" / f"prefix-{spec.digest}")
    with guard.hold(reporter, "a conda prefix", cancellation.check) as hold:
        prefix = find_prefix(spec, folder)
        if prefix is None:
            reporter = ProgressTeller(reporter, hold)
            packed = _announce(spec, packages_cache, reporter, cancellation, offline=network.offline)
            path, start_s = folder / spec.digest, perf_counter()
            if packed or not _make_here(spec, path, packages_cache, environ, reporter, cancellation):
                with _under_construction(path):
                    install_records(
                        spec.records, path, packages_cache, channels, network, environ, reporter, cancellation
                    )
                    _complete(spec, path, environ, reporter)
            reporter.report(PrefixFinished(len(spec.records), perf_counter() - start_s))
            sweep_packages(packages_cache)
            prefix = find_prefix(spec, folder)
    if prefix is None:
        raise _changed_error(folder / spec.digest)
    return prefix


def _changed_error(path: Path) -> StoreError:
    return StoreError(
        "the conda prefix is not as it was made",
        context=[f"path: {path}"],
        hints=["run the command again"],
    )


def _announce(
    spec: PrefixSpec, packages_cache: Path, reporter: Reporter, cancellation: Cancellation, *, offline: bool
) -> list[CondaRecord]:
    """Say what is going to be made of what; what cannot be had is told before anything is begun.

    Returns:
        What is not sure to be unpacked.
    """
    packed = [record for record in spec.records if not is_whole(record, packages_cache)]
    missing = uncached_records(packed, packages_cache)
    if missing and offline:
        raise not_cached_error(missing)
    check_local_archives([record for record in packed if is_local(record)], cancellation)
    reporter.report(PrefixStarted(package_count=len(spec.records), size_bytes=total_size_bytes(spec.records)))
    if missing:
        reporter.report(FetchPlanned(file_count=len(missing), size_bytes=total_size_bytes(missing)))
    return packed


def _make_here(
    spec: PrefixSpec,
    path: Path,
    packages_cache: Path,
    environ: Mapping[str, str],
    reporter: Reporter,
    cancellation: Cancellation,
) -> bool:
    """Make a prefix of what is unpacked, in this process.

    Returns:
        False where that failed: nothing is left then. True also where somebody else is at it by now.
    """
    from envforge.link.conda_unpacked import UnfinishedError, link_unpacked

    try:
        with _under_construction(path):
            link_unpacked(spec.records, path, packages_cache, cancellation)
            _complete(spec, path, environ, reporter)
    except UnfinishedError:
        if not _await_quiet(path):
            return True
        # of whichever archive something is gone, it is unpacked again
        check_local_archives([record for record in spec.records if is_local(record)], cancellation)
        return False
    except (CancelledError, KeyboardInterrupt):
        _await_quiet(path)  # the guard is held until then
        raise
    return True


def _await_quiet(path: Path) -> bool:
    """Wait until py-rattler's tasks have found that their prefix is gone; what they still make goes, too.

    Returns:
        Whether the place is free: somebody else may be at work there by now, who took the guard over.
    """
    end_s = monotonic() + _LONGEST_UNREST_S
    quiet_since_s = monotonic()
    while monotonic() < min(quiet_since_s + _QUIET_S, end_s):
        sleep(_LOOK_S)
        if os.path.lexists(path):
            if (path / MARKER).exists() or (path / _BUILDING).exists():
                return False
            with store_failures(path, "make a conda prefix"):
                clear_prefix(path)
            quiet_since_s = monotonic()
    return True


def _complete(spec: PrefixSpec, path: Path, environ: Mapping[str, str], reporter: Reporter) -> None:
    """What comes after the packages' files; the marker last."""
    from envforge.link.conda_clobbers import clobber_warnings, find_clobbers
    from envforge.link.link_scripts import run_link_scripts

    with store_failures(path, "make a conda prefix"):
        for warning in clobber_warnings(find_clobbers(path)):
            reporter.report(warning)
        run_link_scripts(spec.records, path, spec.link_scripts, environ, reporter)
        if is_shared(path.parent):
            share_all(path)
        _write_marker(spec, path)


def _check_path(path: Path) -> None:
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise StoreError(
            f"the path of the conda prefix is too long: {len(os.fsencode(path))} bytes",
            context=[f"path: {path}", f"conda packages can hold {_LONGEST_PATH}"],
            hints=["choose a place with a shorter path with --tier DIR"],
        )


def uncached_records(records: Iterable[CondaRecord], packages_cache: Path) -> list[CondaRecord]:
    """What has to be downloaded before a prefix can be made. Two looks at the disk for each record."""
    return [record for record in records if not is_local(record) and not is_unpacked(record, packages_cache)]


@contextmanager
def _under_construction(path: Path) -> Iterator[Path]:
    """A place for a new prefix, empty; what is there after a failure is removed.

    Unless it is somebody else's by then: who is stopped for a minute while holding a guard (a laptop that
    sleeps) may find that another has made the prefix.
    """
    token = os.urandom(8).hex()
    building = path / _BUILDING
    with store_failures(path, "make a conda prefix"):
        clear_prefix(path)
        path.mkdir()
        building.write_text(token)
    try:
        yield path
        with store_failures(path, "make a conda prefix"):
            building.unlink(missing_ok=True)
    except BaseException:
        with suppress(FileNotFoundError):
            if building.read_text() == token:
                clear_prefix(path)
        raise


def clear_prefix(path: Path) -> None:
    """Remove a prefix: away first, so that a process still at work in it finds it gone.

    What is left of it because it is in use goes the next time.
    """
    discard(path, path.with_name(f".removed-{path.name}-{os.urandom(6).hex()}"))
    for place in path.parent.glob(f".removed-{path.name}-*"):
        with suppress(OSError):
            remove_sealed(place)


def _write_marker(spec: PrefixSpec, path: Path) -> None:
    python = next((record for record in spec.records if record.name == "python"), None)
    minor = ".".join(python.version.split(".")[:2]) if python else ""
    windows = spec.platform.startswith("win-")
    default = "Lib/site-packages" if windows else f"lib/python{minor}/site-packages"
    fields = {
        "path": str(path),
        "about": "This folder was made by envforge and is never changed.",
        "python": ("python.exe" if windows else "bin/python") if python else "",
        "python_version": python.version if python else "",
        "site_packages": (python.python_site_packages_path or default) if python else "",
        "link_scripts": sorted(spec.link_scripts),
    }
    aside = path / f".{MARKER}.new"
    with open(aside, "w", encoding="utf-8") as file:
        file.write(json.dumps(fields, indent=1) + "\n")
        share_handle(file.fileno(), path.parent)
    aside.replace(path / MARKER)
