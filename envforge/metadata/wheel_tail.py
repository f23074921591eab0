"""METADATA out of the last bytes of a wheel: what to read, and what is still missing.

The end of a ZIP file tells where its directory is, and the directory where METADATA is; mostly all
three arrive with one request for the last 64 KB. Who fetches the bytes is not this module's business:
it is given the pieces that are there and answers with the file or with the range that it needs next.

Standards: APPNOTE.TXT 6.3 (ZIP, ZIP64), the binary distribution format.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping

from envforge.errors import MetadataError
from envforge.metadata.versions import canonical_version, is_release
from envforge.model.names import normalize_name
from envforge.struct import Struct

_END = struct.Struct("<4s4H2LH")
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_PACKED = struct.Struct("<2L")
_LENGTHS = struct.Struct("<3H")
_OFFSET = struct.Struct("<L")
_LOCAL = struct.Struct("<4s5H3L2H")
_LARGEST_DIRECTORY_BYTES = 256 << 20
_LARGEST_METADATA_BYTES = 64 << 20
_STORED, _DEFLATED, _ENCRYPTED = 0, 8, 1


class ByteRange(Struct, frozen=True):
    """Bytes of a file that are needed next.

    Args:
        offset: from its beginning.
        length: more than zero.
    """

    offset: int
    length: int


class _Entry(Struct, frozen=True):
    """One row of the directory; ``next_offset`` is that of the next file, 0 for the last one."""

    flags: int
    method: int
    crc: int
    packed_bytes: int
    size_bytes: int
    offset: int
    next_offset: int


def read_wheel_metadata(pieces: Mapping[int, bytes], total_bytes: int, filename: str) -> bytes | ByteRange:
    """The content of ``{name}-{version}.dist-info/METADATA``, or the range that is needed to go on.

    Args:
        pieces: offset → bytes that are there; one of them reaches to the file's end.
        total_bytes: length of the whole file.
        filename: the wheel's name.

    Raises:
        MetadataError: this is no ZIP file, or METADATA is missing, damaged, or not this wheel's.
    """
    end_offset, tail = max(pieces.items(), key=lambda piece: (piece[0] + len(piece[1]), len(piece[1])))
    if end_offset + len(tail) != total_bytes:
        raise ValueError("no piece reaches to the end of the file")
    located = _locate_directory(pieces, tail, total_bytes, filename)
    if isinstance(located, ByteRange):
        return located
    offset, length, shift = located
    directory = _find_bytes(pieces, offset, length)
    if directory is None:
        return ByteRange(offset, length)
    entry = _find_entry(directory, filename)
    start = entry.offset + shift
    # How long its local header is, only that header tells; but it ends where the next thing begins.
    next_start = entry.next_offset + shift if entry.next_offset else offset
    if next_start <= start or start < 0:
        raise _damaged(filename, "its directory points nowhere")
    local = _find_bytes(pieces, start, next_start - start)
    if local is None:
        return ByteRange(start, next_start - start)
    return _unpack(entry, local, filename)


def _find_bytes(pieces: Mapping[int, bytes], offset: int, length: int) -> bytes | None:
    for start, piece in pieces.items():
        if start <= offset and offset + length <= start + len(piece):
            return piece[offset - start : offset - start + length]
    return None


def _locate_directory(
    pieces: Mapping[int, bytes], tail: bytes, total_bytes: int, filename: str
) -> tuple[int, int, int] | ByteRange:
    """(offset of the directory, its length, what to add to offsets because something precedes the ZIP)."""
    at = _find_end(tail)
    if at < 0:
        if len(tail) < min(total_bytes, _END.size + 0xFFFF):
            length = min(total_bytes, _END.size + 0xFFFF)
            return ByteRange(total_bytes - length, length)
        raise _damaged(filename, "it is no ZIP file")
    _, _, _, _, count, length, offset, _ = _END.unpack_from(tail, at)
    end = total_bytes - len(tail) + at
    if 0xFFFFFFFF in (length, offset) or count == 0xFFFF:
        locator_at = at - _END64_LOCATOR.size
        if locator_at < 0:
            return ByteRange(end - _END64_LOCATOR.size, total_bytes - end + _END64_LOCATOR.size)
        signature, _, end64, _ = _END64_LOCATOR.unpack_from(tail, locator_at)
        if signature == b"PK\6\7":
            record = _find_bytes(pieces, end64, _END64.size)
            if record is None:
                if end64 + _END64.size > total_bytes:
                    raise _damaged(filename, "its end points nowhere")
                return ByteRange(end64, _END64.size)
            fields = _END64.unpack(record)
            if fields[0] != b"PK\6\6":
                raise _damaged(filename, "its ZIP64 end record is missing")
            length, offset, end = fields[8], fields[9], end64
    start = end - length
    if start < 0 or offset > start or length > _LARGEST_DIRECTORY_BYTES or not length:
        raise _damaged(filename, "its directory cannot be where its end says")
    return start, length, start - offset


def _find_end(tail: bytes) -> int:
    """Where the end record is: the last one whose comment reaches exactly to the end of the file."""
    at = tail.rfind(b"PK\5\6")
    while at >= 0:
        if at + _END.size <= len(tail) and at + _END.size + _END.unpack_from(tail, at)[7] == len(tail):
            return at
        at = tail.rfind(b"PK\5\6", 0, at)
    return -1


def _find_entry(directory: bytes, filename: str) -> _Entry:
    """The one METADATA that belongs to the wheel's name."""
    parts = filename.split("-")
    project, expected = normalize_name(parts[0]), canonical_version(parts[1])
    found: list[int] = []
    rows: list[int] = []
    at = 0
    # torch has 12,000 rows: nothing is done to them that is not needed
    while at + _ENTRY.size <= len(directory) and directory.startswith(b"PK\1\2", at):
        rows.append(at)
        name_length, extra_length, comment_length = _LENGTHS.unpack_from(directory, at + 28)
        name_end = at + _ENTRY.size + name_length
        if directory.endswith(b".dist-info/METADATA", at + _ENTRY.size, name_end):
            folder = directory[at + _ENTRY.size : name_end - len(".dist-info/METADATA")]
            name, _, version = folder.decode("utf-8", "replace").rpartition("-")
            if normalize_name(name) == project and (
                version == parts[1] or (expected is not None and is_release(version, expected))
            ):
                found.append(at)
        at = name_end + extra_length + comment_length
    if at != len(directory):
        raise _damaged(filename, "its directory is broken")
    if len(found) != 1:
        raise _damaged(filename, "it has no METADATA of its own" if not found else "it has METADATA twice")
    return _read_entry(directory, found[0], rows)


def _read_entry(directory: bytes, at: int, rows: list[int]) -> _Entry:
    fields = _ENTRY.unpack_from(directory, at)
    packed, size, offset = _sizes(directory, at)
    following = rows[rows.index(at) + 1 :][:1]
    later = [other for row in following if (other := _sizes(directory, row)[2]) > offset]
    if following and not later:  # rows need not be in the order of the files, though they always are
        later = [other for row in rows if (other := _sizes(directory, row)[2]) > offset]
    return _Entry(fields[3], fields[4], fields[7], packed, size, offset, min(later, default=0))


def _sizes(directory: bytes, at: int) -> tuple[int, int, int]:
    """(packed length, length, offset) of a row, out of the ZIP64 field where it does not fit."""
    packed, size = _PACKED.unpack_from(directory, at + 20)
    (offset,) = _OFFSET.unpack_from(directory, at + 42)
    if 0xFFFFFFFF not in (packed, size, offset):
        return packed, size, offset
    name_length, extra_length, _ = _LENGTHS.unpack_from(directory, at + 28)
    extra_at = at + _ENTRY.size + name_length
    size, packed, offset = _wide(directory[extra_at : extra_at + extra_length], size, packed, offset)
    return packed, size, offset


def _wide(extra: bytes, *fields: int) -> Iterator[int]:
    """Replace the fields that are all ones by those of the ZIP64 extra field, in their order."""
    at = 0
    values = b""
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            values = extra[at + 4 : at + 4 + length]
            break
        at += 4 + length
    for field in fields:
        if field == 0xFFFFFFFF and len(values) >= 8:
            yield int.from_bytes(values[:8], "little")
            values = values[8:]
        else:
            yield field


def _unpack(entry: _Entry, local: bytes, filename: str) -> bytes:
    if len(local) < _LOCAL.size or local[:4] != b"PK\3\4":
        raise _damaged(filename, "METADATA is not where its directory says")
    fields = _LOCAL.unpack_from(local)
    start = _LOCAL.size + fields[9] + fields[10]
    packed = local[start : start + entry.packed_bytes]
    if entry.flags & _ENCRYPTED or entry.method not in (_STORED, _DEFLATED):
        raise _damaged(filename, "METADATA is packed in a way that wheels do not use")
    if len(packed) != entry.packed_bytes or entry.size_bytes > _LARGEST_METADATA_BYTES:
        raise _damaged(filename, "METADATA is cut off")
    content = packed
    if entry.method == _DEFLATED:
        try:
            content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, entry.size_bytes + 1)
        except zlib.error as error:
            raise _damaged(filename, f"METADATA cannot be unpacked: {error}") from None
    if len(content) != entry.size_bytes or zlib.crc32(content) != entry.crc:
        raise _damaged(filename, "METADATA has another checksum than its directory says")
    return content


def _damaged(filename: str, why: str) -> MetadataError:
    return MetadataError(
        f"{filename} is damaged: {why}", hints=["use another version, or tell the project that made it"]
    )
