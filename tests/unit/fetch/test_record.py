"""RECORD, read strictly and written so that others can read it."""

from __future__ import annotations

import csv
import hashlib
import io
from base64 import urlsafe_b64encode

import pytest

from envforge.errors import ArchiveError
from envforge.fetch.record import RecordRow, format_record, parse_record

DIGEST = urlsafe_b64encode(hashlib.sha256(b"x").digest()).decode()


def test_rows() -> None:
    rows = parse_record(
        "x.whl",
        f'a.py,sha256={DIGEST.rstrip("=")},1\r\n"b, ""c"".py",SHA256={DIGEST},\n\nx.dist-info/RECORD,,\n',
    )
    expected = RecordRow("sha256", hashlib.sha256(b"x").digest(), 1)
    assert rows == {
        "a.py": expected,
        'b, "c".py': expected._replace(size_bytes=None),
        "x.dist-info/RECORD": RecordRow("", b"", None),
    }


def test_the_same_row_twice_is_no_contradiction() -> None:
    row = f"a,sha256={DIGEST},1\n"
    assert len(parse_record("x.whl", row * 2)) == 1
    with pytest.raises(ArchiveError, match="two different rows"):
        parse_record("x.whl", row + f"a,sha256={DIGEST},2\n")


@pytest.mark.parametrize(
    "text",
    [
        "a\n",
        "a,b\n",
        "a,,,\n",
        f"a,sha256={DIGEST},one\n",
        f"a,md5={DIGEST},1\n",
        f"a,sha1={DIGEST},1\n",
        f"a,{DIGEST},1\n",
        "a,sha256=!,1\n",
        '"a,sha256=x,1\n',
        f'"a"b,sha256={DIGEST},1\n',
    ],
)
def test_damaged(text: str) -> None:
    with pytest.raises(ArchiveError, match="RECORD is damaged"):
        parse_record("x.whl", text)


def test_written_rows_are_read_again() -> None:
    digest = hashlib.sha256(b"x").hexdigest()
    text = format_record([("z.py", digest, 1), ('a "b",\n.py', digest, 1)], ["../../../bin/x", "d/RECORD"])
    rows = list(csv.reader(io.StringIO(text, newline="")))
    hashed = f"sha256={DIGEST.rstrip('=')}"
    assert rows == [
        ["../../../bin/x", "", ""],
        ['a "b",\n.py', hashed, "1"],
        ["d/RECORD", "", ""],
        ["z.py", hashed, "1"],
    ]
    assert "\r" not in text
