"""The folder of archives, which many nodes may share: kept ones, and downloads under way.

``<tree id>.whl`` is a kept archive: whole, verified when it got its name, never changed. What is still
arriving is ``<tree id>.whl.part``, under ``<tree id>.guard``. Which kept ones go is not decided here.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from envforge.errors import StoreError
from envforge.fetch.sources import FileSource
from envforge.store.failures import store_failures
from envforge.store.guard import Guard, sweep_guards
from envforge.store.store import Store
from envforge.store.uses import note_use
from envforge.struct import Struct

_SUFFIX = ".whl"
_PART_S = 30 * 24 * 3600
"""How long half a download waits for somebody to go on with it."""


class KeptArchive(Struct, frozen=True, kw_only=True):
    """An archive that stays where it is.

    Args:
        tree_id: the tree that it becomes.
        path: the file.
        size_bytes: its length.
        used_s: when it was last read or written, seconds since the epoch by the file system's clock.
    """

    tree_id: str
    path: Path
    size_bytes: int
    used_s: float


def archive_path(archives: Path, tree_id: str) -> Path:
    """Where the archive of a tree is kept."""
    return archives / f"{tree_id}{_SUFFIX}"


def is_kept(archives: Path, tree_id: str) -> bool:
    """Whether the archive of a tree is kept, and this user may read it. The use is noted: it stays."""
    place = archive_path(archives, tree_id)
    return os.access(place, os.R_OK) and note_use(str(place))


def part_path(archives: Path, tree_id: str) -> Path:
    """Where as much of it is as has arrived."""
    return archives / f"{tree_id}{_SUFFIX}.part"


def archive_guard(archives: Path, tree_id: str) -> Guard:
    """The guard of a download: two stores may share the folder, so the tree's own guard is not enough."""
    return Guard(archives / f"{tree_id}.guard")


def kept_archives(archives: Path) -> list[KeptArchive]:
    """All that are kept, by id; none where there is no such folder.

    Raises:
        StoreError: the folder cannot be read.
    """
    found: list[KeptArchive] = []
    with store_failures(archives, "read the folder for archives"), suppress(FileNotFoundError):
        for entry in os.scandir(archives):
            if entry.name.endswith(_SUFFIX) and entry.is_file():
                status = entry.stat()
                archive = KeptArchive(
                    tree_id=entry.name.removesuffix(_SUFFIX),
                    path=Path(entry.path),
                    size_bytes=status.st_size,
                    used_s=status.st_mtime,
                )
                found.append(archive)
    return sorted(found, key=lambda archive: archive.tree_id)


class KeptContent:
    """A kept archive that is read once, from its beginning to its end, and hashed on the way.

    ``check`` is called for every piece; raises to stop.
    """

    def __init__(self, source: FileSource, digest: str, check: Callable[[], None]) -> None:
        self._source = source
        self._check = check
        self.total_bytes: int | None = source.size_bytes
        self._expected = digest
        self._digest = sha256()

    def pieces(self) -> Iterator[bytes]:
        """All of it."""
        for piece in self._source.pieces():
            self._check()
            self._digest.update(piece)
            yield piece

    def find_range(self, start: int, end: int) -> bytes:
        """Bytes from ``start`` to before ``end``."""
        return self._source.read(start, end - start)

    def is_right(self) -> bool:
        """Whether what was read is the locked archive."""
        return self._digest.hexdigest() == self._expected


def file_digest(place: Path) -> str:
    """The sha256 of a file, hex."""
    from hashlib import file_digest

    with open(place, "rb") as content:
        return file_digest(content, "sha256").hexdigest()


def mark_used(place: Path) -> None:
    """Note that a kept archive was of use now; another user's may not allow it."""
    with suppress(OSError):
        os.utime(place)


def sweep_archives(archives: Path, store: Store) -> int:
    """Remove downloads that killed processes left and nobody needs; returns how many files went.

    That is those whose tree is in the store, and those that nobody has touched for a month. What is
    kept is left alone, and what this user may not remove.
    """
    removed = 0
    for place in sorted(archives.glob(f"*{_SUFFIX}.part*")) if archives.is_dir() else ():
        tree_id = place.name.partition(".")[0]
        needed = not (store.trees / f"{tree_id}.json").exists()
        with suppress(OSError, StoreError), archive_guard(archives, tree_id).try_hold() as mine:
            if mine and place.exists() and not (needed and time.time() - place.stat().st_mtime < _PART_S):
                place.unlink()
                removed += 1
    return removed + sweep_guards(archives, "*.guard*") + sweep_guards(archives, "*.clock")
