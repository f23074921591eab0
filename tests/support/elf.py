"""The smallest shared objects that have a search path."""

from __future__ import annotations

import struct

_RPATH, _RUNPATH, _STRTAB, _STRSZ = 15, 29, 5, 10


def shared_object(search_path: str, *, rpath: bool = False, padding: int = 0) -> bytes:
    """An ELF file (64 bit, little endian) with a DT_RUNPATH or DT_RPATH; ``padding`` makes it larger."""
    strings = b"\0" + search_path.encode() + b"\0"
    headers_end = 64 + 2 * 56
    dynamic = [(_STRTAB, 0), (_STRSZ, len(strings)), (_RPATH if rpath else _RUNPATH, 1), (0, 0)]
    strings_at = headers_end + 16 * len(dynamic)
    dynamic[0] = (_STRTAB, strings_at)
    total = strings_at + len(strings)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1" + b"\0" * 9, 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 64, 0, 0
    )
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, total, total, 4096)
    table = struct.pack("<IIQQQQQQ", 2, 6, headers_end, headers_end, headers_end, 64, 64, 8)
    rows = b"".join(struct.pack("<QQ", *row) for row in dynamic)
    return header + load + table + rows + strings + b"\0" * padding
