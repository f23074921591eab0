"""Numbers as people read them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing costs more than all of this
    from collections.abc import Collection, Sequence


def format_duration(duration_s: float) -> str:
    """``12 ms``, ``0.21 s``, ``1.3 s``, ``32 s``, ``2 min 5 s``."""
    if duration_s < 0.0995:
        return f"{duration_s * 1000:.0f} ms"
    if duration_s < 0.995:
        return f"{duration_s:.2f} s"
    if duration_s < 9.95:
        return f"{duration_s:.1f} s"
    seconds = round(duration_s)
    if seconds < 60:
        return f"{seconds} s"
    return f"{seconds // 60} min {seconds % 60} s"


def format_latency(latency_s: float) -> str:
    """Of one operation: ``8.6 µs``, ``61 µs``, ``0.48 ms``, ``2.1 ms``, ``20 ms``."""
    for factor, unit in ((1e6, "µs"), (1e3, "ms")):
        number = latency_s * factor
        if number < 9.95:
            return f"{number:.1f} {unit}" if number >= 0.995 or unit == "µs" else f"{number:.2f} {unit}"
        if number < 99.5:
            return f"{number:.0f} {unit}"
    return format_duration(latency_s)


def format_rate(bytes_per_s: float) -> str:
    """``1.3 GB/s``."""
    return f"{format_size(bytes_per_s)}/s"


def format_size(size_bytes: float) -> str:
    """``312 B``, ``4.5 kB``, ``63 MB``, ``3.2 GB``: powers of 1000, as indexes and disks count."""
    if size_bytes < 999.5:
        return f"{size_bytes:.0f} B"
    for unit in ("kB", "MB", "GB"):
        size_bytes /= 1000
        if size_bytes < 9.95:
            return f"{size_bytes:.1f} {unit}"
        if size_bytes < 999.5:
            return f"{size_bytes:.0f} {unit}"
    return f"{size_bytes / 1000:.1f} TB"


def parse_size(text: str) -> int | None:
    """Bytes of ``40G``, ``500M``, ``1.5 TB``, ``20GiB``; None if it is no size.

    Powers of 1000, as :func:`format_size` writes them; of 1024 with an ``i``.
    """
    import re

    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*(?:([kmgt])(i?))?b?", text.strip().lower())
    if found is None:
        return None
    number, unit, binary = found.groups()
    power = " kmgt".index(unit) if unit else 0
    factor: int = (1024 if binary else 1000) ** power
    return round(float(number) * factor)


def format_age(age_s: float) -> str:
    """``now``, ``5 minutes``, ``3 hours``, ``12 days``."""
    for length_s, noun in ((86400.0, "day"), (3600.0, "hour"), (60.0, "minute")):
        if age_s >= length_s:
            return count(int(age_s // length_s), noun)
    return "now"


def format_table(rows: Sequence[Sequence[str]], *, right: Collection[int] = ()) -> list[str]:
    """Lines of a table without rules: columns as wide as they have to be, two blanks between them.

    Args:
        rows: all of the same length; the first may be the heads.
        right: numbers of the columns that stand at the right.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if number in right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def fold_table(
    rows: Sequence[Sequence[str]], width: int, *, right: Collection[int] = (), seam: int = 0
) -> list[list[str]]:
    """A table as one or more below each other, each as wide as the terminal at most, if that can be.

    Args:
        rows: all of the same length; the first column is repeated in each table.
        width: of the terminal; 0 for one table in any case.
        right: numbers of the columns that stand at the right.
        seam: the column with which another table begins where one is too wide, 0 for any.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    is_wide = bool(width) and sum(widths) + 2 * (len(widths) - 1) > width
    tables: list[list[int]] = [[0]]
    for number in range(1, len(widths)):
        shown = [*tables[-1], number]
        is_full = len(shown) > 2 and sum(widths[each] + 2 for each in shown) - 2 > width
        if is_wide and (is_full or number == seam):
            tables.append([0, number])
        else:
            tables[-1] = shown
    return [
        format_table(
            [[row[number] for number in shown] for row in rows],
            right=[place for place, number in enumerate(shown) if number in right],
        )
        for shown in tables
    ]


def count(number: int, noun: str) -> str:
    """``1 package``, ``175 packages``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
