"""Where the libraries that an ELF file needs are looked for: its DT_RUNPATH and DT_RPATH.

Source: System V gABI (file header, program header, dynamic section), for 32 and 64 bits and both byte orders.
Read without the section headers, which may be stripped. Not pyelftools: a few small reads take 0.03 ms where
that takes 2 ms for a file and 45 ms to be imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from struct import Struct
from typing import Any, NamedTuple, TypeAlias

Read: TypeAlias = Callable[[int, int], bytes]
"""(offset, count) → the bytes there, fewer at the end of the file; the offset may be any number."""

_MAGIC = b"\x7fELF"
_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_NULL, _DT_STRTAB, _DT_RPATH, _DT_RUNPATH = 0, 5, 15, 29
_HEAD_BYTES = 4096
_MOST_SEGMENTS = 256
_LONGEST_TABLE_BYTES = 1 << 20
_LONGEST_PATH_BYTES = 1 << 16


class RunPath(NamedTuple):
    """A search path.

    Args:
        offset: where in the file its text stands.
        text: folders, separated by colons.
    """

    offset: int
    text: bytes


class _Layout(NamedTuple):
    """How numbers stand in a file: where the program header is, one segment in it, one dynamic entry."""

    header: Struct  # offset, size of a segment's row, count
    segment: Struct  # type, offset, address, bytes in the file
    entry: Struct  # tag, value


class _Segment(NamedTuple):
    kind: int
    offset: int
    address: int
    size_bytes: int


def _layout(order: str, *, is_64: bool) -> _Layout:
    if is_64:
        return _Layout(Struct(f"{order}32xQ14xHH"), Struct(f"{order}I4xQQ8xQ16x"), Struct(f"{order}qQ"))
    return _Layout(Struct(f"{order}28xI10xHH"), Struct(f"{order}III4xI12x"), Struct(f"{order}iI"))


_LAYOUTS = {
    bytes((bits, order)): _layout("<>"[order - 1], is_64=bits == 2) for bits in (1, 2) for order in (1, 2)
}
"""By the two bytes after the magic number."""


def read_run_paths(read: Read) -> list[RunPath]:
    """The search paths of a file; none if it is no ELF file, is damaged, or has none.

    As for ld.so, there is one dynamic section, and of several entries of a kind the last one counts.

    Raises:
        OSError: of ``read``.
    """
    head = read(0, _HEAD_BYTES)
    layout = _LAYOUTS.get(head[4:6])
    if not head.startswith(_MAGIC) or layout is None or len(head) < layout.header.size:
        return []
    offset, row_bytes, count = layout.header.unpack_from(head)
    if row_bytes != layout.segment.size:
        return []
    table = read(offset, row_bytes * min(count, _MOST_SEGMENTS))
    segments = [_Segment(*row) for row in _rows(table, layout.segment)]
    dynamic = next((segment for segment in segments if segment.kind == _PT_DYNAMIC), None)
    if dynamic is None:
        return []
    table = read(dynamic.offset, min(dynamic.size_bytes, _LONGEST_TABLE_BYTES))
    return list(_run_paths(dict(_entries(table, layout)), segments, read))


def _rows(table: bytes, row: Struct) -> Iterator[tuple[Any, ...]]:
    return row.iter_unpack(table[: len(table) - len(table) % row.size])


def _entries(table: bytes, layout: _Layout) -> Iterator[tuple[int, int]]:
    for tag, value in _rows(table, layout.entry):
        if tag == _DT_NULL:
            return
        if tag in (_DT_STRTAB, _DT_RPATH, _DT_RUNPATH):
            yield tag, value


def _run_paths(entries: Mapping[int, int], segments: Sequence[_Segment], read: Read) -> Iterator[RunPath]:
    """What the entries of a dynamic section name in its table of texts."""
    texts = _place(entries[_DT_STRTAB], segments) if _DT_STRTAB in entries else None
    if texts is None:
        return
    for tag in (_DT_RPATH, _DT_RUNPATH):
        if tag in entries:
            text, end, _ = read(texts + entries[tag], _LONGEST_PATH_BYTES).partition(b"\0")
            if end:
                yield RunPath(texts + entries[tag], text)


def _place(address: int, segments: Iterable[_Segment]) -> int | None:
    """Where in the file an address is, None where no segment has it."""
    for segment in segments:
        if segment.kind == _PT_LOAD and 0 <= address - segment.address < segment.size_bytes:
            return segment.offset + address - segment.address
    return None
