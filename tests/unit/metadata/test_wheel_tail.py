"""METADATA out of the end of a wheel: what is needed next, and wheels that lie."""

from __future__ import annotations

import pytest

from envforge.errors import MetadataError
from envforge.metadata.wheel_tail import ByteRange, read_wheel_metadata

from support.wheels import RawEntry, RawZip, wheel_bytes

NAME = "demo-1.0-py3-none-any.whl"
METADATA = b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n" * 20
PATH = b"demo-1.0.dist-info/METADATA"


def raw(*entries: RawEntry, **options: object) -> bytes:
    return RawZip(entries=entries, **options).build()  # type: ignore[arg-type]


def read(wheel: bytes, tail_bytes: int, name: str = NAME) -> tuple[bytes, int]:
    """(METADATA, how many requests it took) by asking for what is missing."""
    pieces = {max(0, len(wheel) - tail_bytes): wheel[max(0, len(wheel) - tail_bytes) :]}
    for requests in range(1, 6):
        outcome = read_wheel_metadata(pieces, len(wheel), name)
        if isinstance(outcome, bytes):
            return outcome, requests
        assert outcome.length > 0
        assert 0 <= outcome.offset <= outcome.offset + outcome.length <= len(wheel)
        pieces[outcome.offset] = wheel[outcome.offset : outcome.offset + outcome.length]
    raise AssertionError("never done")


def test_all_in_the_tail() -> None:
    wheel = raw(
        RawEntry(name=b"demo/big.bin", data=bytes(9999), method=0), RawEntry(name=PATH, data=METADATA)
    )
    assert read(wheel, 2000) == (METADATA, 1)
    assert read(wheel, 100_000) == (METADATA, 1)


def test_metadata_stands_before_the_tail() -> None:
    wheel = raw(
        RawEntry(name=PATH, data=METADATA), RawEntry(name=b"demo/big.bin", data=bytes(9999), method=0)
    )
    assert read(wheel, 400) == (METADATA, 2)


def test_the_directory_stands_before_the_tail() -> None:
    many = [RawEntry(name=b"demo/%d.py" % number, data=b"x") for number in range(300)]
    wheel = raw(RawEntry(name=PATH, data=METADATA), *many)
    assert read(wheel, 100)[0] == METADATA
    assert read(wheel, len(wheel) - 200) == (METADATA, 2)


def test_a_comment_and_its_false_end() -> None:
    wheel = raw(RawEntry(name=PATH, data=METADATA), comment=b"PK\x05\x06" + bytes(60_000))
    assert read(wheel, 100)[0] == METADATA
    assert read(wheel, 65_557)[0] == METADATA


def test_zip64() -> None:
    wheel = raw(
        RawEntry(name=PATH, data=METADATA),
        RawEntry(name=b"demo/x.bin", data=bytes(5000), method=0),
        zip64=True,
    )
    assert read(wheel, 22)[0] == METADATA
    assert read(wheel, 60)[0] == METADATA
    assert read(wheel, 4000)[0] == METADATA


def test_sizes_in_the_zip64_field() -> None:
    packed = len(RawEntry(name=PATH, data=METADATA).body())
    field = (1).to_bytes(2, "little") + (24).to_bytes(2, "little")
    field += b"".join(number.to_bytes(8, "little") for number in (len(METADATA), packed, 0))
    entry = RawEntry(
        name=PATH,
        data=METADATA,
        size=2**32 - 1,
        compressed=2**32 - 1,
        offset=2**32 - 1,
        extra=field,
        zero_local=True,
    )
    assert read(raw(entry), 30)[0] == METADATA


def test_something_before_the_zip() -> None:
    wheel = b"#!/bin/sh\n" * 30 + raw(RawEntry(name=PATH, data=METADATA))
    assert read(wheel, 30)[0] == METADATA


def test_stored_not_deflated_and_a_longer_local_header() -> None:
    entry = RawEntry(name=PATH, data=METADATA, method=0, local_extra=bytes(400))
    assert read(raw(entry, RawEntry(name=b"demo/x.py")), 100)[0] == METADATA


def test_rows_out_of_order() -> None:
    wheel = bytearray(
        raw(RawEntry(name=PATH, data=METADATA), RawEntry(name=b"demo/aaaaaaaaaaaaaaaaaaaa", data=b"x"))
    )
    start = wheel.index(b"PK\1\2")
    second = wheel.index(b"PK\1\2", start + 1)
    end = wheel.index(b"PK\5\6")
    swapped = bytes(wheel[:start] + wheel[second:end] + wheel[start:second] + wheel[end:])
    assert read(swapped, 200)[0] == METADATA


@pytest.mark.parametrize(
    ("filename", "folder"),
    [
        ("Foo_Bar-1.0-py3-none-any.whl", "foo_bar-1.0"),
        ("foo.bar-1.0-py3-none-any.whl", "Foo-Bar-1.0"),
        ("foo_bar-1.0.0rc1+l.1-py3-none-any.whl", "foo_bar-1.0.0rc1+l_1"),
        ("foo_bar-1.0-2-py3-none-any.whl", "foo_bar-1.0"),
    ],
)
def test_spellings_of_the_folder(filename: str, folder: str) -> None:
    wheel = raw(RawEntry(name=f"{folder}.dist-info/METADATA".encode(), data=METADATA))
    assert read(wheel, 9999, filename)[0] == METADATA


def test_vendored_and_foreign_metadata_does_not_count() -> None:
    others = [
        b"demo/_vendor/demo-1.0.dist-info/METADATA",
        b"other-1.0.dist-info/METADATA",
        b"demo-1.0.dist-info/METADATA/x",
    ]
    wheel = raw(*(RawEntry(name=name, data=b"no") for name in others), RawEntry(name=PATH, data=METADATA))
    assert read(wheel, 9999)[0] == METADATA


@pytest.mark.parametrize(
    ("wheel", "says"),
    [
        (b"", "no ZIP file"),
        (b"<html>log in</html>" * 5000, "no ZIP file"),
        (raw(RawEntry(name=b"demo/x.py")), "has no METADATA of its own"),
        (raw(RawEntry(name=b"demo-2.0.dist-info/METADATA", data=METADATA)), "has no METADATA of its own"),
        (raw(RawEntry(name=PATH, data=METADATA), RawEntry(name=PATH, data=b"other")), "METADATA twice"),
        (raw(RawEntry(name=PATH, data=METADATA, crc=1)), "another checksum"),
        (raw(RawEntry(name=PATH, data=METADATA, size=5)), "another checksum"),
        (raw(RawEntry(name=PATH, data=METADATA, size=2**31)), "cut off"),
        (raw(RawEntry(name=PATH, data=METADATA, compressed=2**30)), "cut off"),
        (raw(RawEntry(name=PATH, data=METADATA, payload=b"\xff" * 50)), "cannot be unpacked"),
        (raw(RawEntry(name=PATH, data=METADATA, method=14)), "packed in a way"),
        (raw(RawEntry(name=PATH, data=METADATA, flags=1)), "packed in a way"),
        (raw(RawEntry(name=PATH, data=METADATA, offset=7)), "not where its directory says"),
        (raw(RawEntry(name=PATH, data=METADATA, offset=2**31)), "points nowhere"),
        (raw(RawEntry(name=PATH, data=METADATA)).replace(b"PK\1\2", b"PK\1\3"), "directory is broken"),
        (
            raw(RawEntry(name=PATH, data=METADATA))[:-22] + b"PK\5\6" + bytes(8) + b"\xff" * 8 + bytes(2),
            "no ZIP|points|cannot be",
        ),
        (raw(), "cannot be where its end says"),
    ],
)
def test_damaged_wheels(wheel: bytes, says: str) -> None:
    for tail_bytes in (22, 200, 1 << 20):
        if tail_bytes == 22 and len(wheel) < 22:
            continue
        with pytest.raises(MetadataError, match=says) as caught:
            read(wheel, tail_bytes)
        assert NAME in caught.value.message


def test_an_honest_wheel() -> None:
    wheel = wheel_bytes()
    assert b"Name: demo" in read(wheel, 1 << 16)[0]
    assert isinstance(read_wheel_metadata({len(wheel) - 30: wheel[-30:]}, len(wheel), NAME), ByteRange)
