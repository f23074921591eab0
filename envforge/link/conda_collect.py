"""conda prefixes that no generation stands on, and unpacked packages that no prefix has: listed, taken away.

A prefix is withdrawn like everything in a store (:mod:`envforge.store.uses`), under the guard of those who
make it. The cache of packages is py-rattler's, which holds a lock on ``<package>.lock`` while it reads a
package; who removes one takes that lock for himself first.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from envforge.link.conda_prefix import MARKER
from envforge.store.failures import store_failures
from envforge.store.guard import Guard
from envforge.store.sealing import remove_sealed
from envforge.store.sharing import make_folders
from envforge.store.uses import aside_path, is_fresh, withdraw
from envforge.struct import Struct

_SIZE = re.compile(rb'"size_in_bytes"\s*:\s*(\d+)')


class StoredPrefix(Struct, frozen=True):
    """A complete prefix.

    Args:
        path: of its folder.
        packages: ``name-version-build`` of what is in it.
        used_s: when its use was last noted, seconds since the epoch.
    """

    path: Path
    packages: frozenset[str]
    used_s: float


class CachedPackage(Struct, frozen=True):
    """A package that py-rattler has unpacked: its folder, bytes of its files, when it was last used."""

    stem: str
    size_bytes: int
    used_s: float


def list_prefixes(folder: Path) -> Iterator[StoredPrefix]:
    """All prefixes of a tier that are complete."""
    with suppress(FileNotFoundError, NotADirectoryError):
        for path in sorted(folder.iterdir()):
            with suppress(OSError):
                used_s = (path / MARKER).stat().st_mtime
                metas = [name for name in os.listdir(path / "conda-meta") if name.endswith(".json")]
                yield StoredPrefix(path, frozenset(name.removesuffix(".json") for name in metas), used_s)


def drop_prefix(path: Path, now_s: float) -> bool:
    """Take a prefix away, unless it was used just now, or somebody is at it.

    Args:
        path: of its folder; no generation stands on it.
        now_s: by the file system's clock.

    Returns:
        Whether it is gone.

    Raises:
        StoreError: it cannot be removed.
    """
    tier = path.parent.parent
    guard = Guard(tier / "guards" / f"prefix-{path.name}")
    with store_failures(path, "remove a conda prefix"), guard.try_hold() as mine:
        aside = aside_path(tier / "tmp")
        make_folders(aside.parent)
        if not mine or not withdraw(path / MARKER, aside, now_s):
            return False
        _remove(path)
        aside.unlink(missing_ok=True)
    return True


def sweep_prefixes(folder: Path) -> int:
    """Remove prefixes that were never finished, or whose removal was not; returns how many went."""
    removed = 0
    with store_failures(folder, "clean the conda prefixes"):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            name = path.name.removeprefix(".removed-").partition("-")[0]
            with Guard(folder.parent / "guards" / f"prefix-{name}").try_hold() as mine:
                if mine and (path.name != name or not (path / MARKER).exists()):
                    _remove(path)
                    removed += 1
    return removed


def list_packages(packages_cache: Path) -> Iterator[CachedPackage]:
    """All packages that are unpacked; their sizes are what the packages themselves say."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(packages_cache) as listing:
        for entry in listing:
            if entry.name.startswith(".") or not entry.is_dir(follow_symlinks=False):
                continue
            with suppress(OSError):
                paths = Path(entry.path, "info", "paths.json")
                sizes = [int(size) for size in _SIZE.findall(paths.read_bytes())]
                status = Path(entry.path, "info", "index.json").stat()
                used_s = max(status.st_mtime, status.st_atime, entry.stat().st_mtime)
                yield CachedPackage(entry.name, sum(sizes), used_s)


def drop_package(packages_cache: Path, stem: str, now_s: float) -> bool:
    """Remove an unpacked package unless py-rattler is at it, or was just now. Returns whether it is gone.

    Raises:
        StoreError: it cannot be removed.
    """
    place = packages_cache / stem
    with store_failures(place, "remove a conda package"):
        with _locked(packages_cache / f"{stem}.lock", now_s) as mine:
            if not mine or not place.is_dir():
                return False
            aside = packages_cache / f".removed-{stem}-{os.urandom(6).hex()}"
            place.rename(aside)
            (packages_cache / f"{stem}.lock").unlink(missing_ok=True)
        remove_sealed(aside)
    return True


@contextmanager
def _locked(place: Path, now_s: float) -> Iterator[bool]:
    """Hold py-rattler's lock for the block; the value says whether it was free, and not used just now."""
    try:
        file = open(place, "rb")  # noqa: SIM115 - closed below
    except FileNotFoundError:
        yield True
        return
    with file:
        if is_fresh(os.fstat(file.fileno()).st_mtime, now_s):
            yield False
            return
        if sys.platform == "win32":
            yield True  # a file that is in use cannot be removed there
            return
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True


def _remove(path: Path) -> None:
    """Away first: who is still at work in it finds it gone."""
    aside = path if path.name.startswith(".removed-") else path.with_name(f".removed-{path.name}-{_random()}")
    with suppress(FileNotFoundError):
        if aside != path:
            path.rename(aside)
        remove_sealed(aside)


def _random() -> str:
    return os.urandom(6).hex()
