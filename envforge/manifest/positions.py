"""Where things stand in a TOML text: the offset of every key and array entry, by dotted path.

:mod:`tomllib` gives values without positions, so a fault's line and an edit's place are found here.
The scanner only walks texts that tomllib has already accepted; it judges nothing and decodes no value.

Standard: TOML 1.0.
"""

from __future__ import annotations

import re
import tomllib

from envforge.manifest.dotted import child, item
from envforge.struct import Struct, field

_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_EQUALS = re.compile(r"[ \t]*=[ \t]*")
_KEY_PART = re.compile(r"""[ \t]*([A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')[ \t]*""")
_SCALAR = re.compile(
    r'''"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?'{3,5}|"(?:[^"\\]|\\.)*"|'[^']*'|[^,\]}#\r\n]*[^,\]}#\r\n \t]''',
    re.DOTALL,
)
_LAST_PART = re.compile(r'(?:\[\d+\]|\.?[A-Za-z0-9_-]+|\.?"(?:[^"\\]|\\.)*")$')


class EntrySpan(Struct, frozen=True):
    """An array's entry: ``text[start:end]``, and the offset of the comma after it, if it has one."""

    start: int
    end: int
    comma: int | None


class ArraySpan(Struct, frozen=True):
    """An array: ``text[start:end]``, brackets included, and its entries in order."""

    start: int
    end: int
    entries: tuple[EntrySpan, ...]


class HeaderSpan(Struct, frozen=True):
    """A ``[table]``: start of its last pair, None if it has none, and the end of that pair or the header."""

    last_pair: int | None
    end: int


class Positions(Struct):
    """What a scan found.

    Args:
        text: what was scanned.
        starts: dotted path → offset of the key, the table header or the array entry.
        values: dotted path → (start, end) of the value of a key or entry.
        arrays: dotted path → span of the array.
        headers: dotted path of a ``[table]`` → where its own pairs end.
    """

    text: str
    starts: dict[str, int] = field(default_factory=dict)
    values: dict[str, tuple[int, int]] = field(default_factory=dict)
    arrays: dict[str, ArraySpan] = field(default_factory=dict)
    headers: dict[str, HeaderSpan] = field(default_factory=dict)

    def line(self, where: str) -> int:
        """Line (from 1) of a dotted path, or of the nearest table above it; 1 where there is none."""
        while where and where not in self.starts:
            where = _LAST_PART.sub("", where)
        return self.text.count("\n", 0, self.starts.get(where, 0)) + 1


def scan_positions(text: str) -> Positions:
    """Find every key and array entry of a TOML text that tomllib accepts."""
    return _Scanner(text).scan()


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found = Positions(text)
        self.table_counts: dict[str, int] = {}

    def scan(self) -> Positions:
        table = ""
        while self._skip_blank():
            start = self.at
            if self.text[start] == "[":
                table = self._header()
                self.found.headers[table] = HeaderSpan(None, self.at)
            else:
                self._pair(table)
                self.found.headers[table] = HeaderSpan(start, self.at)
        return self.found

    def _skip_blank(self) -> bool:
        """Go to the next thing that is neither white space nor comment; False at the end."""
        self._match(_BLANK)
        return self.at < len(self.text)

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str]:
        match = pattern.match(self.text, self.at)
        if match is None:  # tomllib accepted the text, so this is a fault of the scanner
            raise AssertionError(f"no {pattern.pattern!r} at offset {self.at}")
        self.at = match.end()
        return match

    def _key(self) -> list[str]:
        parts = []
        while True:
            part = self._match(_KEY_PART)[1]
            quoted = part[0] in "\"'"
            parts.append(next(iter(tomllib.loads(f"{part} = 0"))) if quoted else part)
            if self.text[self.at] != ".":
                return parts
            self.at += 1

    def _header(self) -> str:
        start = self.at
        brackets = 2 if self.text.startswith("[[", start) else 1
        self.at += brackets
        parts = self._key()
        self.at += brackets
        where = ""
        for depth, part in enumerate(parts, 1):
            where = child(where, part)
            self.found.starts.setdefault(where, start)
            if depth == len(parts) and brackets == 2:
                self.table_counts[where] = self.table_counts.get(where, 0) + 1
            if where in self.table_counts:
                where = item(where, self.table_counts[where] - 1)
        self.found.starts[where] = start
        return where

    def _pair(self, where: str) -> None:
        start = self.at
        for part in self._key():
            where = child(where, part)
            self.found.starts.setdefault(where, start)
        self._match(_EQUALS)
        self._value(where)

    def _value(self, where: str) -> None:
        start = self.at
        if self.text[self.at] == "[":
            self._array(where)
        elif self.text[self.at] == "{":
            self._inline_table(where)
        else:
            self._match(_SCALAR)
        self.found.values[where] = (start, self.at)

    def _array(self, where: str) -> None:
        opening = self.at
        entries: list[EntrySpan] = []
        self.at += 1
        while self._skip_blank() and self.text[self.at] != "]":
            start = self.at
            entry = item(where, len(entries))
            self.found.starts[entry] = start
            self._value(entry)
            end = self.at
            entries.append(EntrySpan(start, end, self._comma()))
        self.at += 1
        self.found.arrays[where] = ArraySpan(opening, self.at, tuple(entries))

    def _inline_table(self, where: str) -> None:
        self.at += 1
        while self._skip_blank() and self.text[self.at] != "}":
            self._pair(where)
            self._comma()
        self.at += 1

    def _comma(self) -> int | None:
        self._skip_blank()
        if self.text[self.at] != ",":
            return None
        self.at += 1
        return self.at - 1
