"""How much room a sync needs, estimated before anything is downloaded, and whether it is there.

What an archive becomes is only known when it is unpacked. Measured on the 170 wheels of a torch environment
(3.24 GB, 6.23 GB unpacked, 44,300 files): wheels of under 100 MB grow 3.2 times, larger ones 1.8 times, none
less than 1.1 times; how many files a wheel has goes with its size, from 14 for the small ones to a thousand.
So there are two numbers: what is likely, which only warns, and the least that it can be, which refuses.
"""

from __future__ import annotations

from collections.abc import Iterable

from envforge.struct import Struct, field

_LARGE_BYTES = 100_000_000
_SMALL_GROWTH, _LARGE_GROWTH = 3.2, 1.8
_LIKELY_FILES = ((100_000, 20), (1_000_000, 100), (10_000_000, 750))
_MANY_FILES = 1_200
_LEAST_FILES = 8
"""A tree and its metadata: folders included."""
_UNKNOWN_BYTES = 500_000
"""For archives whose size no index tells; half of all wheels are smaller than a tenth of it."""


class Need(Struct, frozen=True, kw_only=True):
    """Room that something takes; ``files`` are inodes, so folders count."""

    likely_bytes: int = 0
    least_bytes: int = 0
    likely_files: int = 0
    least_files: int = 0

    def __add__(self, other: Need) -> Need:
        return Need(
            likely_bytes=self.likely_bytes + other.likely_bytes,
            least_bytes=self.least_bytes + other.least_bytes,
            likely_files=self.likely_files + other.likely_files,
            least_files=self.least_files + other.least_files,
        )


class Room(Struct, frozen=True, kw_only=True):
    """What a user can still write to a file system.

    Args:
        free_bytes: as an ordinary user gets them, and as a quota allows.
        free_files: inodes; None where there is no fixed number.
    """

    free_bytes: int
    free_files: int | None = None


class PlaceNeed(Struct, frozen=True, kw_only=True):
    """What a sync needs of one file system, and what there is.

    Args:
        folders: where it is written to, the tier first.
        need: of all of them together.
        room: what is free.
    """

    folders: tuple[str, ...]
    need: Need = field(default_factory=Need)
    room: Room

    @property
    def is_impossible(self) -> bool:
        """Whether even the least does not fit."""
        return self._lacks(self.need.least_bytes, self.need.least_files)

    @property
    def is_doubtful(self) -> bool:
        """Whether what is likely does not fit."""
        return self._lacks(self.need.likely_bytes, self.need.likely_files)

    def _lacks(self, size_bytes: int, files: int) -> bool:
        free_files = self.room.free_files
        return size_bytes > self.room.free_bytes or (free_files is not None and files > free_files)


def unpacked_need(sizes_bytes: Iterable[int | None]) -> Need:
    """What archives become when they are unpacked.

    Args:
        sizes_bytes: of the archives, None where that is not known.
    """
    total = Need()
    for size_bytes in sizes_bytes:
        likely = size_bytes if size_bytes is not None else _UNKNOWN_BYTES
        growth = _LARGE_GROWTH if likely >= _LARGE_BYTES else _SMALL_GROWTH
        total += Need(
            likely_bytes=int(likely * growth),
            least_bytes=size_bytes or 0,
            likely_files=next((files for limit, files in _LIKELY_FILES if likely < limit), _MANY_FILES),
            least_files=_LEAST_FILES,
        )
    return total


def kept_need(sizes_bytes: Iterable[int | None]) -> Need:
    """What archives take that are kept as they are."""
    sizes = list(sizes_bytes)
    least = sum(size_bytes or 0 for size_bytes in sizes)
    unknown = sum(size_bytes is None for size_bytes in sizes)
    return Need(
        likely_bytes=least + unknown * _UNKNOWN_BYTES,
        least_bytes=least,
        likely_files=len(sizes),
        least_files=len(sizes),
    )


def environment_need(package_count: int) -> Need:
    """What an environment of links takes: 974 for 175 packages."""
    return Need(
        likely_bytes=package_count * 10_000 + 100_000,
        likely_files=package_count * 6 + 50,
        least_files=package_count + 10,
    )
