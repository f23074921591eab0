"""RECORD: what a wheel says is in it, and what an installed distribution says was installed.

Standard: https://packaging.python.org/specifications/recording-installed-packages/ and the binary
distribution format. Read strictly; digests weaker than SHA-256 are refused, as the standard says.
"""

from __future__ import annotations

import csv
import io
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterable
from typing import NamedTuple

from envforge.fetch.zip_archive import refused

_ALGORITHMS = frozenset({"sha256", "sha384", "sha512", "sha3_256", "sha3_384", "sha3_512", "blake2b"})


class RecordRow(NamedTuple):
    """Digest and length that RECORD has for a file. ``size_bytes`` is None where it tells none."""

    algorithm: str
    digest: bytes
    size_bytes: int | None


def parse_record(filename: str, text: str) -> dict[str, RecordRow]:
    """Read a wheel's RECORD: path → row. Rows without digest have an empty ``algorithm``.

    Raises:
        ArchiveError: a row is no row, or a path is there twice with different digests.
    """
    rows: dict[str, RecordRow] = {}
    try:
        for fields in csv.reader(io.StringIO(text, newline=""), strict=True):
            if not fields:
                continue
            path, digest, size = fields
            row = _parse_row(digest, size)
            if rows.setdefault(path, row) != row:
                raise refused(filename, "RECORD has two different rows for a file", path)
    except (ValueError, csv.Error) as error:
        raise refused(filename, f"RECORD is damaged ({error})") from None
    return rows


def _parse_row(digest: str, size: str) -> RecordRow:
    """Read the second and third column; ValueError says what is wrong."""
    size_bytes = int(size) if size else None
    if not digest:
        return RecordRow("", b"", size_bytes)
    algorithm, separator, value = digest.partition("=")
    if not separator or algorithm.lower() not in _ALGORITHMS:
        raise ValueError(f"{algorithm!r} is no digest that is allowed")
    padded = value.rstrip("=") + "=" * (-len(value.rstrip("=")) % 4)
    return RecordRow(algorithm.lower(), b64decode(padded, altchars=b"-_", validate=True), size_bytes)


def format_record(rows: Iterable[tuple[str, str, int]], unhashed: Iterable[str]) -> str:
    """Write an installed RECORD, sorted by path.

    Args:
        rows: (path relative to site-packages, sha256 in hex, bytes).
        unhashed: paths whose content the store does not know (scripts, RECORD itself).
    """
    lines: list[tuple[str, str, int | str]] = [
        (path, f"sha256={urlsafe_b64encode(bytes.fromhex(digest)).rstrip(b'=').decode()}", size)
        for path, digest, size in rows
    ]
    lines += [(path, "", "") for path in unhashed]
    lines.sort(key=lambda line: line[0])
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()
