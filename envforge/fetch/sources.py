"""Where the bytes of an archive are read: a file, memory, or the wire.

An archive can be unpacked while it arrives, because its directory, which is at its end, can be asked
for beforehand. What was read beforehand is compared with the same bytes when these arrive, so that in
the end everything that was believed is covered by the digest of the whole.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from envforge.net.transfer import PIECE_BYTES

_LOOK_BYTES = 1 << 18
"""How much is looked at once: 166 of 170 wheels around torch have directory and metadata in this last bit."""

_MOST_LOOKED_BYTES = 32 << 20


class Source(Protocol):
    """The bytes of an archive, of which the length is known."""

    @property
    def size_bytes(self) -> int: ...

    def read(self, offset: int, most: int) -> bytes | memoryview:
        """Bytes from ``offset`` on: at least one, at most ``most``; none at the end."""
        ...


class NotStreamableError(Exception):
    """This archive has to be here as a whole before it can be read."""


class FileSource:
    """An archive on disk. Safe for several threads at once. Use as a context manager."""

    def __init__(self, path: Path) -> None:
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115
        self._seeking = threading.Lock()
        self.size_bytes = os.fstat(self._file.fileno()).st_size

    def __enter__(self) -> FileSource:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, offset: int, most: int) -> bytes:
        """Bytes of the file.

        Not a memory map: when a disk fails or a file is cut, a map kills the process instead of
        raising, and it is not faster (1.24 GB/s inflated with either).
        """
        if sys.platform != "win32":
            return os.pread(self._file.fileno(), most, offset)
        with self._seeking:
            self._file.seek(offset)
            return self._file.read(most)

    def pieces(self) -> Iterator[bytes]:
        """The whole file in order."""
        position = 0
        while piece := self.read(position, PIECE_BYTES):
            position += len(piece)
            yield piece


class MemorySource:
    """A small archive as a whole."""

    def __init__(self, content: bytes) -> None:
        self._content = memoryview(content)
        self.size_bytes = len(content)

    def read(self, offset: int, most: int) -> memoryview:
        """Bytes of it, not copied."""
        return self._content[offset : offset + most]


class StreamSource:
    """An archive that is just arriving: first looked at by ranges, then read from its first byte to its last.

    Args:
        pieces: its bytes in order.
        size_bytes: its length.
        find_range: asks for the bytes from one offset to before another, None if they cannot be had.
    """

    def __init__(
        self, pieces: Iterator[bytes], size_bytes: int, find_range: Callable[[int, int], bytes | None]
    ) -> None:
        self._pieces = pieces
        self.size_bytes = size_bytes
        self._find_range = find_range
        self._looked: list[tuple[int, bytes]] = []
        self._flowing = False
        self._piece = b""
        self._piece_at = 0

    def flow(self) -> None:
        """From now on bytes are taken as they arrive, and not before a place where one was already."""
        self._flowing = True

    def read(self, offset: int, most: int) -> bytes | memoryview:
        """Bytes of the archive.

        Raises:
            NotStreamableError: they cannot be had beforehand, or are gone by.
        """
        if not self._flowing:
            return self._look(offset, most)
        while offset >= self._piece_at + len(self._piece):
            if not self._advance():
                return b""
        if offset < self._piece_at:
            raise NotStreamableError("entries are not read in the order of their data")
        start = offset - self._piece_at
        return memoryview(self._piece)[start : start + most]

    def drain(self) -> None:
        """Receive what is left.

        Raises:
            NotStreamableError: what was read beforehand was not what arrived then.
        """
        while self._advance():
            pass

    def _look(self, offset: int, most: int) -> bytes:
        """Bytes by a request of their own, or from what an earlier one brought."""
        end = min(offset + most, self.size_bytes)
        if offset >= end:
            return b""
        for start, data in self._looked:
            if start <= offset < start + len(data):
                return data[offset - start : end - start]
        if end - offset > _MOST_LOOKED_BYTES:
            raise NotStreamableError("its directory is too large to be held in memory")
        # small reads come near each other, and the first is the archive's end
        data = self._find_range(start := max(0, min(offset, end - _LOOK_BYTES)), end) or b""
        if len(data) != end - start:
            raise NotStreamableError("the server gives no ranges")
        self._looked.append((start, data))
        return data[offset - start :]

    def _advance(self) -> bool:
        """Take the next piece; False at the end."""
        piece = next(self._pieces, None)
        if piece is None:
            return False
        self._piece_at += len(self._piece)
        self._piece = piece
        end = self._piece_at + len(piece)
        for start, data in self._looked:
            low, high = max(start, self._piece_at), min(start + len(data), end)
            if (
                low < high
                and data[low - start : high - start] != piece[low - self._piece_at : high - self._piece_at]
            ):
                raise NotStreamableError("the server sent two different files")
        return True
