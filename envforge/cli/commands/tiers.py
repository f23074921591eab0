"""``envforge tiers``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from envforge.cli.formats import fold_table, format_duration, format_latency, format_rate, format_size
from envforge.cli.surroundings import start_folder
from envforge.struct import to_builtins

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from envforge.cli.options import Parser
    from envforge.cli.output import Output
    from envforge.model.storage import Rates, StoragePlace
    from envforge.workflows.tiers import SurveyedPlace, TierReport

_HEADINGS = (
    *("PLACE", "FILE SYSTEM", "DEVICE", "REACH", "LIFE", "FREE", "INODES", "QUOTA"),
    *("CREATE", "LINK", "STAT", "WRITE", "READ"),
)
_LEFT = 5
"""So many columns are text; the rest are numbers."""
_MEASURED = 8
"""From here on they are measured: a table of their own where one is too wide."""
_NOTHING = "-"


def add_arguments(parser: Parser) -> None:
    """Declare options and arguments."""
    parser.usage = "%(prog)s [options]"
    parser.epilog = "With --refresh all is measured again, and chosen as if nothing had been chosen before."


def execute(arguments: Namespace, output: Output) -> int:
    """Show the storage of this host."""
    from envforge.workflows.tiers import survey_tiers

    report = survey_tiers(
        dict(os.environ), start_folder(arguments), tier=arguments.tier, refresh=arguments.refresh
    )
    if output.json:
        output.document(_document(report))
    else:
        output.data("".join(f"{line}\n" for line in _lines(report, output)))
        measured = sum(each.measured_now for each in report.surveyed)
        if measured:
            output.detail(
                f"Measured {measured} of {len(report.surveyed)} in {format_duration(report.duration_s)}"
            )
    return 0


def _lines(report: TierReport, output: Output) -> Iterator[str]:
    """The table, without columns that say nothing, and below it why."""
    rows = [_HEADINGS, *(tuple(_cells(each.place)) for each in report.surveyed)]
    columns = [
        column
        for column in range(len(_HEADINGS))
        if any(row[column] != _NOTHING for row in rows[1:]) or column < _LEFT
    ]
    kept = [[row[column] for column in columns] for row in rows]
    right = [place for place, column in enumerate(columns) if column >= _LEFT]
    measured = next((place for place, column in enumerate(columns) if column >= _MEASURED), 0)
    for table in fold_table(kept, output.data_width, right=right, seam=measured):
        for number, line in enumerate(table):
            style = _style(report, number)
            yield output.paint(line, style, data=True) if style else line
        yield ""
    for each in report.surveyed:
        uses = f" [{_uses(each)}]" if each.uses else ""
        yield from _sentence(each.place.folder, f"{uses}: {each.reason}", output)
    if not report.places.keeps_archives:
        said = "Archives are not kept: what is unpacked stays, where all who need it see it."
        yield from _sentence("", said, output)
    if report.job:
        yield from _sentence("", f"This is {report.job}.", output)


def _sentence(folder: str, text: str, output: Output) -> Iterator[str]:
    """What is said of a folder, in lines that fit the terminal."""
    lines = [folder + text]
    if output.data_width:
        from textwrap import wrap

        width = output.data_width
        lines = wrap(lines[0], width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    first, *others = lines
    yield output.paint(folder, "bold", data=True) + first.removeprefix(folder)
    yield from others


def _style(report: TierReport, row: int) -> str:
    if row == 0:
        return "dim"
    return "green" if report.surveyed[row - 1].uses else "dim" if report.surveyed[row - 1].place.fault else ""


def _uses(each: SurveyedPlace) -> str:
    names = {"environments": "store and environments", "archives": "archives"}
    return ", ".join(names[use] for use in each.uses)


def _cells(place: StoragePlace) -> Iterator[str]:
    yield place.folder
    yield place.file_system or _NOTHING
    yield place.device_kind
    yield place.reach
    yield place.life
    yield format_size(place.free_bytes) if place.total_bytes else _NOTHING
    yield f"{place.free_inodes:,}" if place.free_inodes is not None else _NOTHING
    yield _quota_text(place)
    rates = place.rates
    for duration_s in (rates.create_s, rates.link_s, rates.stat_s) if rates else (None, None, None):
        yield _NOTHING if duration_s is None else format_latency(duration_s)
    for rate in (rates.best_write_bytes_per_s, rates.read_bytes_per_s) if rates else (None, None):
        yield _NOTHING if rate is None else format_rate(rate)


def _quota_text(place: StoragePlace) -> str:
    """What the user's quota leaves."""
    quota = place.quota
    if quota is None:
        return _NOTHING
    parts = [] if quota.left_bytes is None else [format_size(quota.left_bytes)]
    parts += [] if quota.left_inodes is None else [f"{quota.left_inodes:,} inodes"]
    return ", ".join(parts) + " left"


def _document(report: TierReport) -> dict[str, object]:
    return {
        "tier": str(report.places.tier),
        "archives": str(report.places.archives),
        "keeps_archives": report.places.keeps_archives,
        "steered_by": report.steered_by or None,
        "job": report.job or None,
        "memory_room_bytes": report.memory_room_bytes,
        "duration_s": round(report.duration_s, 6),
        "places": [_place_document(each) for each in report.surveyed],
    }


def _place_document(each: SurveyedPlace) -> dict[str, object]:
    place = each.place
    return {
        "folder": place.folder,
        "offered_by": place.offered_by,
        "uses": list(each.uses),
        "reason": each.reason,
        "fault": place.fault or None,
        "file_system": place.file_system,
        "mount_point": place.mount_point,
        "source": place.source,
        "device": place.device,
        "device_kind": place.device_kind,
        "reach": place.reach,
        "life": place.life,
        "total_bytes": place.total_bytes,
        "free_bytes": place.free_bytes,
        "free_inodes": place.free_inodes,
        "quota": to_builtins(place.quota) if place.quota else None,
        "symlinks": place.symlinks,
        "hardlinks": place.hardlinks,
        "rates": _rates_document(place.rates),
        "measured_now": each.measured_now,
    }


def _rates_document(rates: Rates | None) -> dict[str, float | None] | None:
    return to_builtins(rates) if rates else None
