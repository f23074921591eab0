"""An archive that is unpacked as it arrives gives the same tree, or the same refusal, as one on disk."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from envforge.errors import ArchiveError
from envforge.fetch import sources
from envforge.fetch.sources import FileSource, NotStreamableError, Source
from envforge.fetch.unpack import unpack_wheel
from envforge.model.writing import WriteStrategy
from envforge.store.sealing import remove_sealed

from support.streams import arriving
from support.wheels import RawEntry, RawZip, wheel_files

DATA = st.one_of(
    st.binary(max_size=300),
    st.integers(0, 9000).map(lambda size: bytes(size)),
    st.integers(0, 3000).map(lambda size: bytes(range(256)) * (size // 256 + 1)),
)
FILES = st.dictionaries(
    st.sampled_from([f"demo/{name}" for name in "abcdefgh"]), DATA, min_size=1, max_size=6
)
LIES: list[dict[str, Any]] = [
    {"crc": 1},
    {"size": 3, "local_size": 3},
    {"local_size": 7},
    {"local_name": b"demo/other"},
    {"local_method": 3},
    {"offset": 0},
    {"offset": 99},
    {"compressed": 10_000},
    {"compressed": 1},
    {"payload": b"\xff\xff\xff"},
    {"mode": 0o120777},
    {"flags": 1},
]
HONEST: list[dict[str, Any]] = [
    {},
    {"method": 0},
    {"flags": 8, "zero_local": True, "descriptor": b"PK\x07\x08" + bytes(12)},
    {"mode": 0o100755},
    {"local_extra": b"\x99\x99\x04\x00abcd"},
    {"extra": b"\x99\x99\x04\x00abcd"},
    {"local_extra": b"\x99\x99\xff\x00" + bytes(255)},
]


@st.composite
def archives(draw: st.DrawFn) -> bytes:
    """A wheel in which entries are written in many ways, of which some are lies."""
    content = wheel_files(files=draw(FILES))
    names = draw(st.permutations(sorted(content)))
    entries = [
        RawEntry(name=name.encode(), data=content[name], **draw(st.sampled_from(HONEST))) for name in names
    ]
    if draw(st.booleans()):
        at = draw(st.integers(0, len(entries) - 1))
        name = names[at]
        entries[at] = RawEntry(name=name.encode(), data=content[name], **draw(st.sampled_from(LIES)))
    whole = RawZip(
        entries=entries, gap=draw(st.sampled_from([b"", b"garbage"])), zip64=draw(st.booleans())
    ).build()
    if draw(st.integers(0, 4)) == 0:
        at = draw(st.integers(0, len(whole) - 1))
        whole = whole[:at] + bytes([whole[at] ^ draw(st.integers(1, 255))]) + whole[at + 1 :]
    return whole[: draw(st.integers(0, len(whole)))] if draw(st.integers(0, 9)) == 0 else whole


def outcome(source: Source, folder: Path, strategy: WriteStrategy) -> object:
    """What came of it: the files with content and mode, or the words of the refusal."""
    staged = folder / "staged"
    staged.mkdir()
    try:
        tree, files = unpack_wheel(
            source,
            staged,
            filename="demo.whl",
            archive_sha256="00" * 32,
            name="demo",
            version="1.0",
            strategy=strategy,
        )
        found = {
            str(path.relative_to(staged)): (path.stat().st_mode, path.read_bytes() if path.is_file() else b"")
            for path in staged.rglob("*")
        }
        return tree, files, found
    except ArchiveError as error:
        return error.message, error.context
    finally:
        remove_sealed(staged)


@settings(max_examples=200, deadline=None)
@given(archives(), st.integers(1, 5000), st.integers(1, 4096), st.sampled_from([None, 1, 4096]))
def test_the_same_as_from_disk(content: bytes, piece_bytes: int, look_bytes: int, direct: int | None) -> None:
    before = sources._LOOK_BYTES
    sources._LOOK_BYTES = look_bytes
    try:
        with tempfile.TemporaryDirectory() as name:
            place = Path(name) / "archive"
            place.write_bytes(content)
            with FileSource(place) as source:
                expected = outcome(source, Path(name), WriteStrategy())
            strategy = WriteStrategy(direct_from_bytes=direct)
            assert outcome(arriving(content, piece_bytes), Path(name), strategy) == expected
    finally:
        sources._LOOK_BYTES = before


@given(archives(), st.integers(1, 5000), st.integers(0, 1 << 30), st.integers(1, 255))
@settings(max_examples=100, deadline=None)
def test_what_was_believed_beforehand_has_to_arrive(
    content: bytes, piece_bytes: int, place: int, change: int
) -> None:
    """One byte of what is looked at is another than the one that arrives: never the tree of both mixed."""
    if not content:
        return
    at = place % len(content)
    looked = content[:at] + bytes([content[at] ^ change]) + content[at + 1 :]
    source = arriving(content, piece_bytes, looked)
    arrived_otherwise = False
    with tempfile.TemporaryDirectory() as name:
        try:
            outcome(source, Path(name), WriteStrategy())
            source.drain()
        except NotStreamableError:
            arrived_otherwise = True
    seen = any(start <= at < start + len(data) for start, data in source._looked)
    assert arrived_otherwise is seen
