"""What the cache of git holds, and how it is taken out of it: see :mod:`envforge.store.uses`."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from envforge.store.failures import store_failures
from envforge.store.guard import Guard, sweep_guards
from envforge.store.sweeping import is_abandoned
from envforge.store.uses import aside_path, is_fresh, withdraw
from envforge.struct import Struct

_OBJECTS = "lfs"


class CachedCommit(Struct, frozen=True, kw_only=True):
    """A commit with its files, or the large files of a remote.

    Args:
        name: ``<remote>/<commit>`` or ``<remote>/lfs``, by which it can be removed.
        url: of the remote.
        size_bytes: what it takes.
        used_s: when it was last used, seconds since the epoch.
    """

    name: str
    url: str
    size_bytes: int
    used_s: float

    @property
    def label(self) -> str:
        """For people."""
        what = self.name.rpartition("/")[2]
        return f"{self.url} large files" if what == _OBJECTS else f"{self.url} at {what[:12]}"


def list_commits(root: Path) -> Iterator[CachedCommit]:
    """All that is complete, by name; none where there is no such folder."""
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        url = ""
        for marker in sorted(folder.glob("*.json")):
            with suppress(OSError, ValueError, KeyError, TypeError):
                fields, used_s = json.loads(marker.read_bytes()), marker.stat().st_mtime
                url, size = str(fields["url"]), int(fields["size"])
                name = f"{folder.name}/{marker.stem}"
                yield CachedCommit(name=name, url=url, size_bytes=size, used_s=used_s)
        if (folder / _OBJECTS).is_dir():
            size, used_s = _measure(folder / _OBJECTS)
            yield CachedCommit(name=f"{folder.name}/{_OBJECTS}", url=url, size_bytes=size, used_s=used_s)


def drop_commit(root: Path, name: str, now_s: float) -> bool:
    """Remove a commit, or the large files of a remote, unless it was used just now; returns whether.

    Args:
        root: of the cache of git.
        name: as :class:`CachedCommit` has it.
        now_s: by the file system's clock.

    Raises:
        StoreError: it cannot be removed.
    """
    remote, _, what = name.partition("/")
    guard = Guard(root / "guards" / f"{remote}-{what}.guard")
    with store_failures(root / remote, "remove a commit"), guard.try_hold() as mine:
        if mine is None:
            return False
        if what == _OBJECTS:
            if is_fresh(_measure(root / remote / what)[1], now_s):
                return False
            shutil.rmtree(root / remote / what)
            return True
        aside = aside_path(root / remote)
        if not withdraw(root / remote / f"{what}.json", aside, now_s):
            return False
        aside.unlink(missing_ok=True)
        shutil.rmtree(root / remote / f"{what}.git")
    return True


def sweep_commits(root: Path) -> int:
    """Remove what killed processes left; returns how much that was."""
    removed = 0
    if not root.is_dir():
        return 0
    for folder in [root, *(place for place in root.iterdir() if place.is_dir())]:
        for place in [*folder.glob("*.new"), *folder.glob("*.withdrawn")]:
            if is_abandoned(place):
                removed += 1
                if place.is_dir():
                    shutil.rmtree(place, ignore_errors=True)
                else:
                    place.unlink(missing_ok=True)
        for place in folder.glob("*.git"):
            removed += _sweep_unfinished(root, place)
    return removed + sweep_guards(root / "guards")


def _sweep_unfinished(root: Path, place: Path) -> bool:
    """Remove a repository without a marker, unless somebody is about to complete it."""
    if place.with_suffix(".json").exists():
        return False
    with Guard(root / "guards" / f"{place.parent.name}-{place.stem}.guard").try_hold() as mine:
        if mine is None or place.with_suffix(".json").exists():
            return False
        shutil.rmtree(place, ignore_errors=True)
    return True


def _measure(folder: Path) -> tuple[int, float]:
    """Bytes of all files below a folder, and when one was last used."""
    total, used_s = 0, folder.stat().st_mtime
    for root, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                status = os.stat(os.path.join(root, name))  # noqa: PTH116, PTH118
                total, used_s = total + status.st_size, max(used_s, status.st_mtime)
    return total, used_s
