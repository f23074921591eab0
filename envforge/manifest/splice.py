"""Changes to a TOML text that leave every other byte as it is: array entries, keys, tables.

tomlkit writes arrays back from its own tree; a trailing comma, the space after a bracket, the comment
above the next table or a blank line then move (measured on its 0.15). Here an entry is cut out or put
in where it stands. Texts are valid TOML before and after.
"""

from __future__ import annotations

from collections.abc import Sequence

from envforge.manifest.positions import ArraySpan, EntrySpan, Positions, scan_positions

_INDENT = "    "
_LONGEST_LINE = 88
_MOST_ON_A_LINE = 3


def newline_of(text: str) -> str:
    """The line ending of a text: that of its first line."""
    end = text.find("\n")
    return "\r\n" if end > 0 and text[end - 1] == "\r" else "\n"


def quote(value: str) -> str:
    """A TOML string; a literal one if that saves escaping the double quotes of markers."""
    import json

    return f"'{value}'" if '"' in value and "'" not in value else json.dumps(value, ensure_ascii=False)


def quote_list(values: Sequence[str]) -> str:
    """A TOML array on one line."""
    return f"[{', '.join(map(quote, values))}]"


def replace_entry(text: str, array: ArraySpan, index: int, value: str) -> str:
    """Put another string in an entry's place."""
    entry = array.entries[index]
    return text[: entry.start] + quote(value) + text[entry.end :]


def insert_entry(text: str, array: ArraySpan, index: int, value: str) -> str:
    """Put a string before entry ``index``, or last; on a line of its own where the others are."""
    if not array.entries:
        return _insert_only(text, array, value)
    if index == 0:
        return _insert_first(text, array, value)
    return _insert_after(text, array, index - 1, value)


def _insert_only(text: str, array: ArraySpan, value: str) -> str:
    newline, inside = newline_of(text), text[array.start + 1 : array.end - 1]
    if "\n" not in inside:
        return text[: array.start + 1] + quote(value) + text[array.end - 1 :]
    # nothing but comments inside: the entry stands below them, the bracket keeps its line
    closing = text.rfind("\n", 0, array.end) + 1
    indent = text[closing : array.end - 1]
    return f"{text[:closing]}{indent}{_INDENT}{quote(value)},{newline}{text[closing:]}"


def _insert_first(text: str, array: ArraySpan, value: str) -> str:
    start = array.entries[0].start
    indent = _indent_before(text, start)
    if indent is None:
        return f"{text[:start]}{quote(value)}, {text[start:]}"
    line = _line_with_comments(text, start)
    return f"{text[:line]}{indent}{quote(value)},{newline_of(text)}{text[line:]}"


def _insert_after(text: str, array: ArraySpan, index: int, value: str) -> str:
    before = array.entries[index]
    indent = _array_indent(text, array)
    own_line = f"{newline_of(text)}{indent}{quote(value)}"
    if before.comma is not None:
        after = before.comma + 1
        if _something_follows(text, array, after):
            return f"{text[:after]} {quote(value)},{text[after:]}"
        end = _line_end(text, after)
        return f"{text[:end]}{own_line},{text[end:]}"
    if not _something_follows(text, array, before.end):
        end = _line_end(text, before.end)
        return f"{text[: before.end]},{text[before.end : end]}{own_line}{text[end:]}"
    starts_line = _indent_before(text, before.start) is not None
    between = own_line if starts_line else f" {quote(value)}"
    return f"{text[: before.end]},{between}{text[before.end :]}"


def remove_entry(text: str, array: ArraySpan, index: int) -> str:
    """Take an entry out, with its comma, the comment behind it, and its line if nothing else is on it."""
    entry = array.entries[index]
    if len(array.entries) == 1 and not _has_comments(text, array):
        return f"{text[: array.start]}[]{text[array.end :]}"
    end = entry.end if entry.comma is None else entry.comma + 1
    # without a comma behind it, the one before it separates nothing any more
    previous = array.entries[index - 1] if index and entry.comma is None else None
    if _indent_before(text, entry.start) is not None and not _something_follows(text, array, end):
        start, end = text.rfind("\n", 0, entry.start) + 1, text.find("\n", end) + 1
        return _without_comma(text, previous, start) + text[end:]
    following = array.entries[index + 1].start if index + 1 < len(array.entries) else None
    if following is not None and "\n" not in text[end:following]:
        return text[: entry.start] + text[following:]
    start = len(text[: entry.start].rstrip(" \t"))
    if previous is not None and previous.comma is not None and not text[previous.comma + 1 : start].strip():
        start = previous.comma
        return text[:start] + text[end:]
    return _without_comma(text, previous, start) + text[end:]


def _without_comma(text: str, previous: EntrySpan | None, end: int) -> str:
    if previous is None or previous.comma is None:
        return text[:end]
    return text[: previous.comma] + text[previous.comma + 1 : end]


def spread_array(text: str, array: ArraySpan) -> str:
    """An array on one line with more entries, or longer, than is easy to read: one entry a line."""
    if "\n" in text[array.start : array.end] or not array.entries:
        return text
    line = text[text.rfind("\n", 0, array.start) + 1 : _line_end(text, array.end)]
    if len(array.entries) <= _MOST_ON_A_LINE and len(line) <= _LONGEST_LINE:
        return text
    newline = newline_of(text)
    indent = line[: len(line) - len(line.lstrip(" \t"))]
    entries = "".join(f"{indent}{_INDENT}{text[e.start : e.end]},{newline}" for e in array.entries)
    return f"{text[: array.start]}[{newline}{entries}{indent}]{text[array.end :]}"


def insert_key(text: str, table: str, key: str, value: str) -> str:
    """Add ``key = value`` as the last pair under the header ``[table]``, which must be there."""
    header = scan_positions(text).headers[table]
    indent = "" if header.last_pair is None else _indent_before(text, header.last_pair) or ""
    end = _line_end(text, header.end)
    return f"{text[:end]}{newline_of(text)}{indent}{key} = {value}{text[end:]}"


def replace_value(text: str, where: str, value: str) -> str:
    """Put another value (TOML) behind a key."""
    start, end = scan_positions(text).values[where]
    return text[:start] + value + text[end:]


def insert_pair_before(text: str, where: str, key: str, value: str) -> str:
    """Add ``key = value`` before another pair that begins a line; comments above that one stay with it."""
    positions = scan_positions(text)
    start = positions.starts[where]
    indent = _indent_before(text, start) or ""
    line = _line_with_comments(text, start)
    return f"{text[:line]}{indent}{key} = {value}{newline_of(text)}{text[line:]}"


def insert_pair_after(text: str, where: str, key: str, value: str) -> str:
    """Add ``key = value`` on a line of its own after the one that another pair ends on."""
    positions = scan_positions(text)
    indent = _indent_before(text, positions.starts[where]) or ""
    end = _line_end(text, positions.values[where][1])
    return f"{text[:end]}{newline_of(text)}{indent}{key} = {value}{text[end:]}"


def insert_inline_pair(text: str, table: str, key: str, value: str) -> str:
    """Add ``key = value`` as the last pair of an inline table."""
    positions = scan_positions(text)
    start, end = positions.values[table]
    pairs = _inline_pairs(positions, table)
    if not pairs:
        return f"{text[:start]}{{ {key} = {value} }}{text[end:]}"
    _, last = pairs[-1]
    return f"{text[:last]}, {key} = {value}{text[last:]}"


def remove_pair(text: str, where: str) -> str:
    """Take a pair out: with the lines it stands on, or out of the inline table that it stands in.

    Args:
        where: dotted path of the key; its value is not a table with a header.
    """
    positions = scan_positions(text)
    start, (_, end) = positions.starts[where], positions.values[where]
    if _indent_before(text, start) is not None and _ends_line(text, end):
        return text[: text.rfind("\n", 0, start) + 1] + text[_next_line(text, end) :]
    holder = next(
        (
            table
            for table, span in positions.values.items()
            if (start, end) in _inline_pairs(positions, table)
        ),
        "",
    )
    pairs = _inline_pairs(positions, holder)
    place = pairs.index((start, end))
    if len(pairs) == 1:
        before, after = positions.values[holder]
        return f"{text[:before]}{{}}{text[after:]}"
    if place == 0:
        return text[:start] + text[pairs[1][0] :]
    return text[: pairs[place - 1][1]] + text[end:]


def remove_table(text: str, table: str) -> str:
    """Take a ``[table]`` out with its own pairs, and a blank line before it."""
    positions = scan_positions(text)
    start = text.rfind("\n", 0, positions.starts[table]) + 1
    end = _next_line(text, positions.headers[table].end)
    before = text[:start]
    newline = newline_of(text)
    if before.endswith(newline * 2):
        before = before[: -len(newline)]
    return before + text[end:]


def _inline_pairs(positions: Positions, table: str) -> list[tuple[int, int]]:
    """(start of the key, end of the value) of each pair of an inline table, in order; else empty."""
    if table not in positions.values:
        return []
    start, end = positions.values[table]
    if positions.text[start] != "{":
        return []
    spans = sorted(
        (positions.starts[where], value_end)
        for where, (value_start, value_end) in positions.values.items()
        if start < value_start and value_end < end and where in positions.starts
    )
    outer: list[tuple[int, int]] = []
    for span in spans:
        if not outer or span[0] >= outer[-1][1]:
            outer.append(span)
    return outer


def _ends_line(text: str, offset: int) -> bool:
    """Whether nothing but a comment stands behind ``offset`` on its line."""
    rest = text[offset : _line_end(text, offset)].strip()
    return not rest or rest.startswith("#")


def _next_line(text: str, offset: int) -> int:
    end = text.find("\n", offset)
    return len(text) if end < 0 else end + 1


def insert_table(text: str, header: str, pairs: Sequence[str], *, after: str = "") -> str:
    """Add a table: after ``[after]`` and what belongs to it, or at the end.

    Args:
        header: dotted path.
        pairs: its lines, ``key = value``.
        after: dotted path of a table, ``""`` for the end of the text.
    """
    newline = newline_of(text)
    block = newline.join([f"[{header}]", *pairs])
    end = _family_end(scan_positions(text), after)
    if end is not None:
        end = _line_end(text, end)
        return f"{text[:end]}{newline * 2}{block}{text[end:]}"
    if not text.strip():
        return f"{block}{newline}"
    body, ending = text.rstrip("\r\n"), newline if text.endswith("\n") else ""
    return f"{body}{newline * 2}{block}{ending}"


def _family_end(positions: Positions, table: str) -> int | None:
    """Where the last of ``[table]`` and the tables below it ends, None if there is none."""
    ends = [
        span.end for name, span in positions.headers.items() if name == table or name.startswith(f"{table}.")
    ]
    return max(ends) if table and ends else None


def _indent_before(text: str, offset: int) -> str | None:
    """The white space before the first thing on its line, None if it is not the first."""
    before = text[text.rfind("\n", 0, offset) + 1 : offset]
    return None if before.strip() else before


def _line_with_comments(text: str, offset: int) -> int:
    """Where the line of ``offset`` begins, or the comments right above it that belong to it."""
    line = text.rfind("\n", 0, offset) + 1
    while line > 0 and text[text.rfind("\n", 0, line - 1) + 1 : line].lstrip().startswith("#"):
        line = text.rfind("\n", 0, line - 1) + 1
    return line


def _array_indent(text: str, array: ArraySpan) -> str:
    """The indent of the entries that begin a line."""
    indents = (_indent_before(text, entry.start) for entry in array.entries)
    return next((indent for indent in indents if indent is not None), _INDENT)


def _line_end(text: str, offset: int) -> int:
    """Where the line of ``offset`` ends, before its line ending."""
    end = text.find("\n", offset)
    if end < 0:
        return len(text)
    return end - 1 if text[end - 1] == "\r" else end


def _something_follows(text: str, array: ArraySpan, offset: int) -> bool:
    """Whether an entry or the closing bracket stands behind ``offset`` on the same line."""
    rest = text[offset : min(_line_end(text, offset), array.end)].strip()
    return bool(rest) and not rest.startswith("#")


def _has_comments(text: str, array: ArraySpan) -> bool:
    outside = array.entries[0]
    return "#" in text[array.start : outside.start] or "#" in text[outside.end : array.end]
