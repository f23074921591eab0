"""conda prefixes: the conda part of environments, made by py-rattler, complete or absent, shared.

A prefix stands in its final place, because conda embeds its path into files. Its name is the digest of what
determines it, so that every environment with the same conda packages finds the same one. A marker is
written last: without it there is no prefix, and what stands there is removed and made again.

Standards: CEP 17 (where a Python has its site-packages), conda's prefix layout (``conda-meta``).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from time import perf_counter

from envforge.errors import OfflineError, StoreError
from envforge.events import PrefixFinished, PrefixStarted, Reporter, Warned
from envforge.model.conda import CondaRecord, total_size_bytes
from envforge.net.conda_client import ChannelLocation
from envforge.net.settings import NetworkSettings
from envforge.store.failures import store_failures
from envforge.store.guard import Guard

MARKER = "envforge-prefix.json"
_FORMAT = 1
_DIGEST_LETTERS = 16
_LONGEST_PATH = 255
"""conda's build-time prefix has 255 characters: a longer path cannot take its place in a binary."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixSpec:
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
        """Its name. Short, because a path in the first line of a script may have 127 characters."""
        from base64 import b32encode

        names = {record.name for record in self.records}
        content = {
            "format": _FORMAT,
            "platform": self.platform,
            "records": sorted([record.url, record.sha256 or record.md5] for record in self.records),
            "link_scripts": sorted(names.intersection(self.link_scripts)),
        }
        digest = sha256(json.dumps(content, sort_keys=True).encode()).digest()
        return b32encode(digest)[:_DIGEST_LETTERS].decode().lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefix:
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
    """The complete prefix of a spec; None if it is not there. Reads one small file."""
    path = folder / spec.digest
    try:
        fields = json.loads((path / MARKER).read_bytes())
        prefix = Prefix(
            path=path,
            python=str(path / fields["python"]) if fields["python"] else "",
            python_version=fields["python_version"],
            site_packages=fields["site_packages"],
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return prefix if not prefix.python or Path(prefix.python).exists() else None


def ensure_prefix(
    spec: PrefixSpec,
    folder: Path,
    *,
    packages_cache: Path,
    channels: Sequence[ChannelLocation] = (),
    network: NetworkSettings,
    environ: Mapping[str, str],
    reporter: Reporter,
) -> Prefix:
    """Make a prefix, or find it made. One process makes it, others wait.

    Args:
        spec: what determines it.
        folder: of all prefixes of a tier, absolute.
        packages_cache: of archives and what is unpacked of them.
        channels: where the records come from, with their credentials.
        network: offline, retries.
        environ: for credentials, proxies and certificates.
        reporter: hears of downloads, scripts and clobbers.

    Raises:
        OfflineError: offline, and an archive is not in the cache; nothing was begun.
        HashError, ArchiveError, NetworkError, StoreError, BuildError: no prefix is left.
    """
    found = find_prefix(spec, folder)
    if found is not None:
        return found
    _check_path(folder / spec.digest)
    with store_failures(folder, "make a conda prefix"):
        folder.mkdir(parents=True, exist_ok=True)
    guard = Guard(folder.parent / "guards" / f"prefix-{spec.digest}")
    with guard.hold(reporter, "a conda prefix"):
        found = find_prefix(spec, folder)
        if found is not None:
            return found
        if network.offline:
            _check_cached(spec, packages_cache)
        return _make(spec, folder / spec.digest, packages_cache, channels, network, environ, reporter)


def _check_path(path: Path) -> None:
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise StoreError(
            f"the path of the conda prefix is too long: {len(os.fsencode(path))} bytes",
            context=[f"path: {path}", f"conda packages can hold {_LONGEST_PATH}"],
            hints=["choose a place with a shorter path with --tier DIR"],
        )


def _check_cached(spec: PrefixSpec, packages_cache: Path) -> None:
    missing = uncached_records(spec, packages_cache)
    if missing:
        shown = [str(record) for record in missing[:5]]
        more = [f"… and {len(missing) - 5} more"] if len(missing) > 5 else []
        raise OfflineError(
            f"{len(missing)} conda packages are not in the cache, and --offline forbids to fetch them",
            context=[*shown, *more],
            hints=["run the command once without --offline"],
        )


def uncached_records(spec: PrefixSpec, packages_cache: Path) -> list[CondaRecord]:
    """What of a prefix has to be downloaded before it can be made."""
    return [record for record in spec.records if not _is_cached(record, packages_cache)]


def _is_cached(record: CondaRecord, packages_cache: Path) -> bool:
    stem = record.filename.removesuffix(".conda").removesuffix(".tar.bz2")
    return record.url.startswith("file:") or any(
        (place / "info" / "index.json").exists() for place in packages_cache.glob(f"{stem}*")
    )


def _make(
    spec: PrefixSpec,
    path: Path,
    packages_cache: Path,
    channels: Sequence[ChannelLocation],
    network: NetworkSettings,
    environ: Mapping[str, str],
    reporter: Reporter,
) -> Prefix:
    from envforge.link.conda_install import install_records
    from envforge.link.link_scripts import run_link_scripts
    from envforge.store.sealing import remove_sealed

    start_s = perf_counter()
    count = len(spec.records)
    reporter.report(PrefixStarted(package_count=count, size_bytes=total_size_bytes(spec.records)))
    complete = False
    try:
        remove_sealed(path)
        install_records(spec.records, path, packages_cache, channels, network, environ, reporter)
        _tell_of_clobbers(path, reporter)
        run_link_scripts(spec.records, path, spec.link_scripts, environ, reporter)
        with store_failures(path, "make a conda prefix"):
            _write_marker(spec, path)
        complete = True
    finally:
        if not complete:
            remove_sealed(path)
    reporter.report(PrefixFinished(package_count=count, duration_s=perf_counter() - start_s))
    prefix = find_prefix(spec, path.parent)
    if prefix is None:
        raise StoreError(
            "the conda prefix is not as it was made", context=[f"path: {path}"], hints=["run it again"]
        )
    return prefix


def _write_marker(spec: PrefixSpec, path: Path) -> None:
    python = next((record for record in spec.records if record.name == "python"), None)
    minor = ".".join(python.version.split(".")[:2]) if python else ""
    windows = spec.platform.startswith("win-")
    default = "Lib/site-packages" if windows else f"lib/python{minor}/site-packages"
    fields = {
        "about": "This folder was made by envforge and is never changed.",
        "python": ("python.exe" if windows else "bin/python") if python else "",
        "python_version": python.version if python else "",
        "site_packages": (python.python_site_packages_path or default) if python else "",
        "link_scripts": sorted(spec.link_scripts),
    }
    aside = path / f".{MARKER}.new"
    aside.write_text(json.dumps(fields, indent=1) + "\n", encoding="utf-8")
    aside.replace(path / MARKER)


def _tell_of_clobbers(path: Path, reporter: Reporter) -> None:
    """What two packages bring: rattler keeps that of the one that comes last in order of dependency."""
    owners: dict[str, str] = {}
    for place in sorted((path / "conda-meta").glob("*.json")):
        fields = json.loads(place.read_bytes())
        for entry in fields.get("paths_data", {}).get("paths", ()):
            original = entry.get("original_path")
            if original:
                owners[original] = fields["name"]
    for clobbered, loser in sorted(owners.items()):
        reporter.report(
            Warned(
                message=f"{clobbered} comes from more than one conda package; that of {loser} is not used",
                hint="if the wrong one is used, leave one of the packages out",
            )
        )
