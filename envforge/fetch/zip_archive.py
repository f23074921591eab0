"""Zip archives, read strictly: what two readers could understand differently is refused.

Standard: PKWARE APPNOTE 6.3.10 as far as wheels use it (PEP 427): stored and deflated entries, zip64,
data descriptors; no encryption, no links, no devices, nothing before or after the archive. The
directory and the local headers must agree, because tools exist that believe the one or the other.
Inflating is isal's (three times as fast as zlib, without the GIL). Names are only decoded here,
:mod:`envforge.fetch.archive_names` judges them.
"""

from __future__ import annotations

import stat
import struct
from collections.abc import Iterator
from typing import NamedTuple

from envforge.errors import ArchiveError
from envforge.fetch.sources import Source

PIECE_BYTES = 1 << 20
_READ_BYTES = 1 << 18
_STORED, _DEFLATED = 0, 8
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_PATCH, _DESCRIPTOR, _UTF8 = 0x20, 0x8, 0x800
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR64 = struct.Struct("<4sLQL")
_CENTRAL = struct.Struct("<4s2B5H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
_MOST_RATIO = 200
_FREE_RATIO_BYTES = 1 << 30
"""Archives may inflate to a gibibyte, larger ones to 200 times their size (real wheels: under 20)."""

_HINT = "the archive itself is at fault: use another version of the package, and tell its maintainers"


class ZipEntry(NamedTuple):
    """A row of the directory.

    ``limit`` is where the next entry (or the directory) begins: the data must end before it.
    """

    name: str
    raw_name: bytes
    flags: int
    method: int
    crc32: int
    compressed_bytes: int
    size_bytes: int
    offset: int
    extra_bytes: int
    mode: int
    limit: int

    @property
    def is_folder(self) -> bool:
        return self.name.endswith("/")

    @property
    def executable(self) -> bool:
        return bool(self.mode & 0o111)


def refused(filename: str, problem: str, entry: str = "") -> ArchiveError:
    """The error for an archive that is not what it should be."""
    context = [f"entry: {entry!r}"] if entry else []
    return ArchiveError(f"{filename} is refused: {problem}", context=context, hints=[_HINT])


class ZipArchive:
    """An archive: its checked directory, and the content of its entries.

    Args:
        source: its bytes.
        filename: what to call it in errors.

    Raises:
        ArchiveError: it is no zip archive, or one that is refused.
        OSError: it cannot be read.
    """

    def __init__(self, source: Source, filename: str) -> None:
        self.filename = filename
        self._source = source
        self.size_bytes = source.size_bytes
        self.entries = _with_limits(self, *_read_directory(self))

    def read_at(self, offset: int, count: int) -> bytes:
        """``count`` bytes from ``offset`` on."""
        parts: list[bytes | memoryview] = []
        while count:
            data = self._source.read(offset, count)
            if not data:
                raise refused(self.filename, "it ends too early")
            parts.append(data)
            offset += len(data)
            count -= len(data)
        return b"".join(parts)

    def read(self, entry: ZipEntry) -> bytes:
        """The whole content of a small entry."""
        return b"".join(self.pieces(entry))

    def pieces(self, entry: ZipEntry) -> Iterator[bytes | memoryview]:
        """The content of an entry in pieces of at most 1 MiB; checked to its last byte when exhausted.

        Raises:
            ArchiveError: local header, length, or CRC-32 are not what the directory says.
        """
        from isal.isal_zlib import crc32

        checksum = size = 0
        for piece in self._inflated(entry) if entry.method == _DEFLATED else self._compressed(entry):
            size += len(piece)
            if size > entry.size_bytes:
                raise refused(self.filename, "an entry is larger than it says", entry.name)
            checksum = crc32(piece, checksum)
            yield piece
        if size != entry.size_bytes:
            raise refused(self.filename, "an entry is smaller than it says", entry.name)
        if checksum != entry.crc32:
            raise refused(self.filename, "the CRC-32 of an entry is wrong", entry.name)

    def _inflated(self, entry: ZipEntry) -> Iterator[bytes]:
        from isal.isal_zlib import decompressobj
        from isal.isal_zlib import error as inflate_error

        inflate = decompressobj(-15)
        try:
            for data in self._compressed(entry):
                if inflate.eof:
                    raise refused(self.filename, "an entry goes on after its end", entry.name)
                piece = inflate.decompress(data, PIECE_BYTES)
                yield piece
                # a full piece may leave output inside the decompressor, with no input left to show it
                while inflate.unconsumed_tail or (len(piece) == PIECE_BYTES and not inflate.eof):
                    piece = inflate.decompress(inflate.unconsumed_tail, PIECE_BYTES)
                    yield piece
        except inflate_error as fault:  # type: ignore[misc]  # its stub says `error: Exception`
            raise refused(self.filename, f"an entry cannot be inflated ({fault})", entry.name) from None
        if not inflate.eof or inflate.unused_data:
            raise refused(self.filename, "the compressed data of an entry has the wrong length", entry.name)

    def _compressed(self, entry: ZipEntry) -> Iterator[bytes | memoryview]:
        """The bytes of an entry as they are in the archive; header and small data in one read."""
        head_bytes = _LOCAL.size + len(entry.raw_name) + entry.extra_bytes
        wanted = min(head_bytes + entry.compressed_bytes, _READ_BYTES, entry.limit - entry.offset)
        block = self.read_at(entry.offset, wanted)
        start = self._check_local(entry, block)
        first = block[start : start + entry.compressed_bytes]
        if first:
            yield first
        position = entry.offset + start + len(first)
        end = entry.offset + start + entry.compressed_bytes
        while position < end:
            data = self._source.read(position, min(_READ_BYTES, end - position))
            if not data:
                raise refused(self.filename, "it ends too early")
            position += len(data)
            yield data

    def _check_local(self, entry: ZipEntry, block: bytes) -> int:
        """Compare the local header with the directory; returns where the data begin in the block."""
        if len(block) < _LOCAL.size:
            raise refused(self.filename, "entries overlap", entry.name)
        row = _LOCAL.unpack_from(block)
        signature, _, flags, method, _, _, checksum, compressed, size, name_bytes, extra_bytes = row
        start: int = _LOCAL.size + name_bytes + extra_bytes
        if start > len(block):
            missing = min(start, entry.limit - entry.offset) - len(block)
            block += self.read_at(entry.offset + len(block), max(0, missing))
        if entry.offset + start + entry.compressed_bytes > entry.limit:
            raise refused(self.filename, "entries overlap", entry.name)
        name = block[_LOCAL.size : _LOCAL.size + name_bytes]
        if _FULL32 in (compressed, size):
            extra = block[_LOCAL.size + name_bytes : start]
            size, compressed = _wide(_find_extra(extra, 1), size, compressed)
        facts = (checksum, compressed, size)
        # written after the data when the header came first; then the header may say nothing
        silent = flags & _DESCRIPTOR and facts == (0, 0, 0)
        same = silent or facts == (entry.crc32, entry.compressed_bytes, entry.size_bytes)
        known = (signature, name, method, flags & _ENCRYPTED)
        if not same or known != (b"PK\x03\x04", entry.raw_name, entry.method, 0):
            raise refused(self.filename, "an entry's own header contradicts the directory", entry.name)
        return start


def _read_directory(archive: ZipArchive) -> tuple[list[ZipEntry], int]:
    """The directory's rows, and where it begins."""
    count, size, offset = _find_directory(archive)
    data = archive.read_at(offset, size)
    entries: list[ZipEntry] = []
    position = 0
    while position < len(data):
        entry, position = _parse_entry(archive.filename, data, position)
        entries.append(entry)
    if len(entries) != count:
        raise refused(archive.filename, f"its directory has {len(entries)} entries and says {count}")
    return entries, offset


def _find_directory(archive: ZipArchive) -> tuple[int, int, int]:
    """(entries, bytes, offset) of the directory, which must be the last thing in the file."""
    tail_at = max(0, archive.size_bytes - _END.size - _FULL16)
    tail = archive.read_at(tail_at, archive.size_bytes - tail_at)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + _END.size > len(tail):
        raise refused(archive.filename, "it is no zip archive, or it is cut off")
    _, disk, first_disk, here, count, size, offset, comment_bytes = _END.unpack_from(tail, at)
    if at + _END.size + comment_bytes != len(tail):
        raise refused(archive.filename, "something follows the end of the archive")
    end = tail_at + at
    locator = tail[at - _LOCATOR64.size : at] if at >= _LOCATOR64.size else b""
    if locator.startswith(b"PK\x06\x07"):
        _, _, end, _ = _LOCATOR64.unpack(locator)
        if end + _END64.size + _LOCATOR64.size != tail_at + at:
            raise refused(archive.filename, "its zip64 end record is not where it should be")
        row = _END64.unpack(archive.read_at(end, _END64.size))
        signature, _, _, _, disk, first_disk, here, count, size, offset = row
        if signature != b"PK\x06\x06":
            raise refused(archive.filename, "its zip64 end record is damaged")
    if disk or first_disk or here != count:
        raise refused(archive.filename, "it is one part of several")
    if offset + size != end:
        raise refused(archive.filename, "something stands before the archive, or its directory is damaged")
    return count, size, offset


def _parse_entry(filename: str, data: bytes, position: int) -> tuple[ZipEntry, int]:
    """The directory's row at ``position``, and where the next one begins."""
    if len(data) - position < _CENTRAL.size or data[position : position + 4] != b"PK\x01\x02":
        raise refused(filename, "its directory is damaged")
    row = _CENTRAL.unpack_from(data, position)
    _, _, _, _, flags, method, _, _, checksum, compressed, size = row[:11]
    name_bytes, extra_bytes, comment_bytes, disk, _, attributes, offset = row[11:]
    name_at = position + _CENTRAL.size
    raw_name = data[name_at : name_at + name_bytes]
    extra = data[name_at + name_bytes : name_at + name_bytes + extra_bytes]
    after = name_at + name_bytes + extra_bytes + comment_bytes
    if after > len(data):
        raise refused(filename, "its directory is damaged")
    name = _decode_name(filename, raw_name, flags, extra)
    if _FULL32 in (size, compressed, offset):
        size, compressed, offset = _wide(_find_extra(extra, 1), size, compressed, offset)
    mode = attributes >> 16
    entry = ZipEntry(name, raw_name, flags, method, checksum, compressed, size, offset, extra_bytes, mode, 0)
    problem = "it is on another disk" if disk else _entry_problem(entry)
    if problem:
        raise refused(filename, f"an entry cannot be unpacked: {problem}", name)
    return entry, after


def _entry_problem(entry: ZipEntry) -> str:
    """Why an entry is refused whatever its name is, ``""`` for no reason."""
    if entry.flags & (_ENCRYPTED | _PATCH):
        return "it is encrypted or a patch"
    kind = stat.S_IFMT(entry.mode)
    if kind == stat.S_IFLNK:
        return "it is a symbolic link"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR) or (kind == stat.S_IFDIR and not entry.is_folder):
        return "it is neither a file nor a folder"
    if entry.method not in (_STORED, _DEFLATED):
        return f"compression method {entry.method} (only stored and deflate are used in wheels)"
    if entry.method == _STORED and entry.compressed_bytes != entry.size_bytes:
        return "it is stored and has two sizes"
    if entry.is_folder and entry.size_bytes:
        return "it is a folder with content"
    return ""


def _decode_name(filename: str, raw: bytes, flags: int, extra: bytes) -> str:
    """The name: UTF-8 if flagged, else code page 437 as the format's standard says."""
    try:
        name = raw.decode("utf-8" if flags & _UTF8 else "cp437")
    except UnicodeDecodeError:
        raise refused(filename, "the name of an entry is not UTF-8", repr(raw)) from None
    second = _find_extra(extra, 0x7075)[5:]  # Info-ZIP: version, CRC-32 of the other name, then this name
    if second and second != raw:
        raise refused(filename, "an entry has two names", name)
    return name


def _find_extra(extra: bytes, kind: int) -> bytes:
    """The extra field of a kind, empty where there is none or it is cut off."""
    position = 0
    while position + 4 <= len(extra):
        found, size = struct.unpack_from("<HH", extra, position)
        if found == kind:
            return extra[position + 4 : position + 4 + size]
        position += 4 + size
    return b""


def _wide(field: bytes, *values: int) -> list[int]:
    """Replace each value that does not fit 32 bits by the next of the zip64 field."""
    wide = iter(struct.unpack_from(f"<{len(field) // 8}Q", field))
    return [next(wide, value) if value == _FULL32 else value for value in values]


def _with_limits(archive: ZipArchive, entries: list[ZipEntry], directory_at: int) -> list[ZipEntry]:
    """The entries in the order of their data, each with the place where it must have ended."""
    filename = archive.filename
    entries.sort(key=lambda entry: entry.offset)
    if (entries[0].offset if entries else directory_at) != 0:
        raise refused(filename, "something stands before the archive")
    total = sum(entry.size_bytes for entry in entries)
    if total > max(_FREE_RATIO_BYTES, _MOST_RATIO * archive.size_bytes):
        raise refused(
            filename, f"its {archive.size_bytes} bytes would become {total} (a zip bomb inflates like this)"
        )
    starts = [*(entry.offset for entry in entries), directory_at]
    limits = starts[1:]
    for entry, limit in zip(entries, limits, strict=True):
        if entry.offset + _LOCAL.size + len(entry.raw_name) + entry.compressed_bytes > limit:
            raise refused(filename, "entries overlap", entry.name)
    return [entry._replace(limit=limit) for entry, limit in zip(entries, limits, strict=True)]
