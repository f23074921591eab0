"""The smallest shared objects that have a search path."""

from __future__ import annotations

import struct

_RPATH, _RUNPATH, _STRTAB, _STRSZ = 15, 29, 5, 10


def shared_object(
    search_path: str, *, rpath: bool = False, padding: int = 0, bits: int = 64, order: str = "<"
) -> bytes:
    """An ELF file with a DT_RUNPATH or DT_RPATH.

    Args:
        search_path: its text.
        rpath: whether it is a DT_RPATH.
        padding: bytes at the end.
        bits: 32 or 64.
        order: of bytes, ``"<"`` for the least first.
    """
    is_64 = bits == 64
    header_bytes, row_bytes, entry_bytes = (64, 56, 16) if is_64 else (52, 32, 8)
    strings = b"\0" + search_path.encode("utf-8", "surrogateescape") + b"\0"
    dynamic_at = header_bytes + 2 * row_bytes
    dynamic = [(_STRTAB, 0), (_STRSZ, len(strings)), (_RPATH if rpath else _RUNPATH, 1), (0, 0)]
    dynamic_bytes = entry_bytes * len(dynamic)
    strings_at = dynamic_at + dynamic_bytes
    dynamic[0] = (_STRTAB, strings_at)
    total = strings_at + len(strings)
    header = struct.pack(
        f"{order}16sHHI{'QQQ' if is_64 else 'III'}IHHHHHH",
        bytes((0x7F, *b"ELF", 2 if is_64 else 1, 1 if order == "<" else 2, 1)),
        *(3, 62, 1, 0, header_bytes, 0, 0, header_bytes, row_bytes, 2, header_bytes, 0, 0),
    )
    row = f"{order}IIQQQQQQ" if is_64 else f"{order}IIIIIIII"
    load, table = (
        struct.pack(row, kind, flags, at, at, at, size, size, align)
        if is_64
        else struct.pack(row, kind, at, at, at, size, size, flags, align)
        for kind, flags, at, size, align in ((1, 5, 0, total, 4096), (2, 6, dynamic_at, dynamic_bytes, 8))
    )
    entries = b"".join(struct.pack(f"{order}{'QQ' if is_64 else 'II'}", *entry) for entry in dynamic)
    return header + load + table + entries + strings + b"\0" * padding
