"""Zip archives: what is honest is read like zipfile does, what lies is refused."""

from __future__ import annotations

import io
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from envforge.errors import ArchiveError
from envforge.fetch.sources import FileSource
from envforge.fetch.zip_archive import ZipArchive

from support.wheels import RawEntry, RawZip, zip_bytes

Open = Callable[[bytes], ZipArchive]
BIG = os.urandom(1 << 20) + b"\0" * (5 << 20) + os.urandom(3 << 20)


def contents(archive: ZipArchive) -> dict[str, bytes]:
    return {entry.name: archive.read(entry) for entry in archive.entries}


def refusal(opened: Open, content: bytes) -> str:
    with pytest.raises(ArchiveError) as caught:
        contents(opened(content))
    assert caught.value.message.startswith("archive.zip is refused: ")
    assert caught.value.hints
    return caught.value.message.removeprefix("archive.zip is refused: ") + "".join(
        f" [{line}]" for line in caught.value.context
    )


def test_what_zipfile_writes(opened: Open) -> None:
    files = {"a.txt": b"hello", "empty": b"", "big.bin": BIG, "zeros": b"\0" * 4_000_000, "ü/日本.txt": b"x"}
    assert contents(opened(zip_bytes(files))) == files


@pytest.mark.parametrize("method", [0, 8])
@pytest.mark.parametrize("size", [0, 1, 262_100, 262_144, 262_145, 1 << 20, (1 << 20) + 1, 3 << 20])
def test_every_size_around_the_pieces(opened: Open, method: int, size: int) -> None:
    for data in (os.urandom(size), b"\0" * size):
        archive = opened(RawZip(entries=[RawEntry(name=b"a", data=data, method=method)]).build())
        pieces = list(archive.pieces(archive.entries[0]))
        assert b"".join(pieces) == data
        assert all(len(piece) <= 1 << 20 for piece in pieces)


def test_streamed_archives_with_data_descriptors(opened: Open) -> None:
    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.data = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            self.data += data
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[arg-type]
        archive.writestr("a", b"first" * 100)
        archive.writestr("b", b"second")
    assert contents(opened(bytes(pipe.data))) == {"a": b"first" * 100, "b": b"second"}


def test_zip64(opened: Open) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive, archive.open("a", "w", force_zip64=True) as file:
        file.write(b"wide")
    assert contents(opened(out.getvalue())) == {"a": b"wide"}
    assert contents(opened(RawZip(entries=[RawEntry(name=b"a", data=b"x")], zip64=True).build())) == {
        "a": b"x"
    }
    wide = struct.pack("<HHQQ", 1, 16, 5, 7)
    entry = RawEntry(
        name=b"a", data=b"hello", size=0xFFFFFFFF, compressed=0xFFFFFFFF, extra=wide, local_extra=wide
    )
    assert len(entry.body()) == 7
    assert contents(opened(RawZip(entries=[entry]).build())) == {"a": b"hello"}


def test_a_comment_and_folders_and_modes(opened: Open) -> None:
    entries = [
        RawEntry(name=b"folder/", method=0, mode=stat.S_IFDIR | 0o755),
        RawEntry(name=b"folder/run", data=b"#!", mode=stat.S_IFREG | 0o755),
        RawEntry(name=b"plain", data=b"x", mode=0),
    ]
    archive = opened(RawZip(entries=entries, comment=b"a remark").build())
    assert [(entry.name, entry.is_folder, entry.executable) for entry in archive.entries] == [
        ("folder/", True, True),
        ("folder/run", False, True),
        ("plain", False, False),
    ]


def test_names_without_the_utf8_flag_are_code_page_437(opened: Open) -> None:
    archive = opened(RawZip(entries=[RawEntry(name=b"caf\x82", data=b"x")]).build())
    assert archive.entries[0].name == "café"


def one(**fields: Any) -> bytes:
    return RawZip(
        entries=[RawEntry(name=b"first", data=b"1" * 50), RawEntry(name=b"bad", data=b"x" * 100, **fields)]
    ).build()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no zip archive"),
        (b"PK\x05\x06", "no zip archive"),
        (b"<html>not found</html>" * 50, "no zip archive"),
        (RawZip(entries=[RawEntry(name=b"a")], suffix=b"x").build(), "something follows"),
        (RawZip(entries=[RawEntry(name=b"a")], prefix=b"#!/bin/sh\n").build(), "something stands before"),
        (RawZip(entries=[RawEntry(name=b"a")], prefix=b"MZ", shift=2).build(), "contradicts|before"),
        (RawZip(entries=[RawEntry(name=b"a")], count=2).build(), "directory has 1 entries and says 2"),
        (one(flags=1), "encrypted"),
        (one(flags=0x40), "encrypted"),
        (one(flags=0x20), "patch"),
        (one(method=12), "compression method 12"),
        (one(method=14), "compression method 14"),
        (one(method=93), "compression method 93"),
        (one(mode=stat.S_IFLNK | 0o777), "symbolic link"),
        (one(mode=stat.S_IFCHR), "neither a file nor a folder"),
        (one(mode=stat.S_IFBLK), "neither a file nor a folder"),
        (one(mode=stat.S_IFIFO), "neither a file nor a folder"),
        (one(mode=stat.S_IFSOCK), "neither a file nor a folder"),
        (one(mode=stat.S_IFDIR), "neither a file nor a folder"),
        (one(crc=1), "CRC-32"),
        (one(size=99, local_size=99), "larger than it says"),
        (one(size=101, local_size=101), "smaller than it says"),
        (one(local_size=7), "contradicts"),
        (one(local_name=b"bat"), "contradicts"),
        (one(local_name=b"longer"), "contradicts|overlap"),
        (one(local_method=0), "contradicts"),
        (one(zero_local=True), "contradicts"),
        (one(offset=0), "overlap"),
        (one(offset=20), "overlap"),
        (one(offset=10_000_000), "overlap|too early"),
        (one(compressed=10_000), "overlap"),
        (one(compressed=3), "length|contradicts|inflated"),
        (one(payload=b"\xff\xff\xff\xff"), "inflated"),
        (one(payload=zlib.compress(b"x" * 100, wbits=-15)[:-1]), "length|inflated"),
        (one(payload=RawEntry(name=b"", data=b"x" * 100).body() + b"junk"), "wrong length"),
        (one(method=0, payload=b"y" * 100), "CRC-32"),
        (one(method=0, size=3), "two sizes"),
        (one(flags=0x800, local_name=b"bad", extra=b""), ""),
        (RawZip(entries=[RawEntry(name=b"\xff\xfe", flags=0x800)]).build(), "not UTF-8"),
        (RawZip(entries=[RawEntry(name=b"f/", data=b"x", method=0)]).build(), "folder with content"),
        (one(extra=struct.pack("<HHBI", 0x7075, 10, 1, 0) + b"other"), "two names"),
    ],
)  # fmt: skip
def test_refused(opened: Open, content: bytes, words: str) -> None:
    if not words:
        contents(opened(content))
        return
    problem = refusal(opened, content)
    assert any(word in problem for word in words.split("|")), problem
    if b"bad" in content and "directory" not in words:
        assert "bad" in problem or "first" in problem or "before" in problem, problem


def test_two_rows_for_the_same_data(opened: Open) -> None:
    first = RawEntry(name=b"a", data=b"x" * 100)
    assert "overlap" in refusal(
        opened, RawZip(entries=[first, RawEntry(name=b"a", data=b"x" * 100, offset=0)]).build()
    )


def test_a_second_end_record_inside_the_comment(opened: Open) -> None:
    inner = RawZip(entries=[RawEntry(name=b"evil", data=b"x")]).build()
    content = RawZip(entries=[RawEntry(name=b"good", data=b"y")], comment=inner).build()
    assert "before" in refusal(opened, content)


@pytest.mark.parametrize("field", range(5))
def test_a_lying_zip64_end(opened: Open, field: int) -> None:
    good = RawZip(entries=[RawEntry(name=b"a", data=b"x")], zip64=True).build()
    at = good.index(b"PK\x06\x06")
    offset, size = [(16, 4), (24, 8), (32, 8), (40, 8), (48, 8)][field]
    changed = bytearray(good)
    changed[at + offset : at + offset + size] = (7).to_bytes(size, "little")
    refusal(opened, bytes(changed))


def test_a_bomb_is_refused_before_it_goes_off(opened: Open) -> None:
    """42 KB that say that they become 40 GB."""
    entries = [
        RawEntry(name=str(number).encode(), payload=b"\0" * 4000, size=0xF0000000) for number in range(10)
    ]
    assert "zip bomb" in refusal(opened, RawZip(entries=entries).build())


def test_a_bomb_that_understates_itself(opened: Open) -> None:
    """One kilobyte declared, a gigabyte inside: refused after the first piece."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    payload = b"".join(deflate.compress(b"\0" * (1 << 20)) for _ in range(200)) + deflate.flush()
    entry = RawEntry(name=b"bomb", payload=payload, size=1000, crc=0)
    archive = opened(RawZip(entries=[entry]).build())
    pieces = archive.pieces(archive.entries[0])
    with pytest.raises(ArchiveError, match="larger than it says"):
        list(pieces)


def test_every_cut_is_refused(opened: Open) -> None:
    whole = zip_bytes({"a": b"hello", "b": b"x" * 1000})
    for cut in range(len(whole)):
        refusal(opened, whole[:cut])


def test_a_flipped_byte_is_refused_or_without_effect(opened: Open) -> None:
    files = {"a": b"hello" * 20, "b": b"x" * 10}
    whole = zip_bytes(files)
    for at in range(len(whole)):
        changed = whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :]
        try:
            found = contents(opened(changed))
        except ArchiveError:
            continue
        assert sorted(found.values()) == sorted(files.values())  # a date, a version, an attribute


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FileSource(tmp_path / "none")
