"""How long answers are fresh, and entries that a crash or another process leaves behind."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from envforge.net.cache import UNTOLD_FRESH_S, EntryFolder, Validity, may_be_stored, validity_of

DATE = "Sat, 21 Nov 2026 10:00:00 GMT"


class Headers(dict[str, str]):
    """Names in any case, as from a server."""

    def get(self, name: str, default: str = "") -> str:  # type: ignore[override]
        return {key.lower(): value for key, value in self.items()}.get(name.lower(), default)


@pytest.mark.parametrize(
    ("headers", "lifetime_s"),
    [
        ({}, UNTOLD_FRESH_S),
        ({"Cache-Control": "max-age=30, public"}, 30),
        ({"cache-control": 'MAX-AGE="30"'}, 30),
        ({"Cache-Control": "max-age=30", "Age": "20"}, 10),
        ({"Cache-Control": "max-age=30", "Age": "40"}, 0),
        ({"Cache-Control": "no-cache"}, 0),
        ({"Cache-Control": "no-store, max-age=9"}, 0),
        ({"Cache-Control": "public"}, UNTOLD_FRESH_S),
        ({"Date": DATE, "Expires": "Sat, 21 Nov 2026 10:01:00 GMT"}, 60),
        ({"Date": DATE, "Expires": "0"}, 0),
        ({"Expires": "Sat, 21 Nov 2026 10:01:00 GMT"}, 0),
        ({"Date": DATE, "Expires": "Sat, 21 Nov 2020 10:01:00 GMT"}, 0),
        ({"Date": DATE, "Expires": "Sat, 21 Nov 2026 10:01:00 GMT", "Cache-Control": "max-age=5"}, 5),
    ],
)
def test_lifetimes(headers: dict[str, str], lifetime_s: float) -> None:
    assert validity_of(Headers(headers)).lifetime_s == lifetime_s


def test_conditions() -> None:
    both = validity_of(Headers({"ETag": '"a"', "Last-Modified": DATE}))
    assert both.conditions() == {"If-None-Match": '"a"'}
    assert validity_of(Headers({"Last-Modified": DATE})).conditions() == {"If-Modified-Since": DATE}
    assert validity_of(Headers({})).conditions() == {}
    assert may_be_stored(Headers({"Cache-Control": "private"}))
    assert not may_be_stored(Headers({"Cache-Control": "private, No-Store"}))


def test_freshness_is_a_question_of_the_clock() -> None:
    validity = Validity(lifetime_s=10)
    assert validity.is_fresh(100, 100)
    assert validity.is_fresh(100, 109.9)
    assert not validity.is_fresh(100, 110)
    assert not validity.is_fresh(100, 99)  # a clock that was set back must not keep an entry for years


def test_entries(tmp_path: Path) -> None:
    entries = EntryFolder(tmp_path / "things-v1")
    key = entries.key("https://h/", "user")
    assert key != entries.key("https://h/u", "ser")
    assert entries.read(key) is None
    assert entries.write(key, b"0123456789", 1234.0)
    assert entries.read(key) == b"0123456789"
    part = entries.read_part(key, 3, 4)
    assert part is not None
    assert (part.content, part.total_bytes, part.stamp_s) == (b"3456", 10, 1234.0)
    entries.confirm(key, 2000.0)
    part = entries.read_part(key, 8, -1)
    assert part is not None
    assert (part.content, part.stamp_s) == (b"89", 2000.0)
    entries.write(key, b"")
    assert entries.read(key) == b""
    entries.remove(key)
    entries.remove(key)
    entries.confirm(key, 1.0)
    assert entries.read(key) is None


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    entries = EntryFolder(tmp_path / "file" / "below")
    key = entries.key("x")
    assert not entries.write(key, b"content")
    assert entries.read(key) is None


def test_a_folder_that_somebody_removed_is_made_again(tmp_path: Path) -> None:
    entries = EntryFolder(tmp_path / "x")
    key = entries.key("x")
    entries.write(key, b"1")
    Path(entries.path(key)).unlink()
    Path(entries.path(key)).parent.rmdir()
    entries.write(key, b"2")
    assert entries.write(key, b"3")
    assert entries.read(key) == b"3"


def test_readers_see_whole_entries_while_many_write(tmp_path: Path) -> None:
    entries = EntryFolder(tmp_path)
    key = entries.key("x")
    contents = [bytes([number]) * 200_000 for number in range(6)]
    seen: set[bytes] = set()

    def write(content: bytes) -> None:
        for _ in range(20):
            assert entries.write(key, content)

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        content = entries.read(key)
        if content is not None:
            seen.add(content)
    for thread in threads:
        thread.join()
    assert seen <= set(contents)
    assert len(os.listdir(Path(entries.path(key)).parent)) == 1
