"""Differences between environments and between locks, as lines for people and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envforge.cli.formats import count, format_duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from envforge.cli.output import Output
    from envforge.workflows.sync import PackageChange, SyncReport

_MOST_LINES = 20


def say_changes(output: Output, changes: Sequence[PackageChange]) -> None:
    """A line for each changed package; a long list is cut unless details are asked for."""
    shown = changes if output.verbose or len(changes) <= _MOST_LINES else changes[:_MOST_LINES]
    for change in shown:
        output.say(_change_line(output, change))
    if len(shown) < len(changes):
        output.say(output.paint(f"… and {len(changes) - len(shown)} more (-v shows all)", "dim"))


def changes_text(changes: Iterable[PackageChange]) -> str:
    """``3 added, 1 removed, 2 changed``, without what there is none of; "" for no changes."""
    changes = list(changes)
    added = sum(not change.old for change in changes)
    removed = sum(not change.new for change in changes)
    numbers = (
        (added, "added"),
        (removed, "removed"),
        (len(changes) - added - removed, "changed"),
    )
    return ", ".join(f"{number} {word}" for number, word in numbers if number)


def changes_document(changes: Iterable[PackageChange]) -> list[dict[str, str | None]]:
    """For ``--json``: ``old`` or ``new`` is null for what is not there."""
    return [{"name": change.name, "old": change.old or None, "new": change.new or None} for change in changes]


def say_sync(output: Output, report: SyncReport, duration_s: float) -> None:
    """What a sync did, or would do."""
    if not report.changed and not report.changes:
        output.say("Environment is up to date")
        return
    details = changes_text(report.changes)
    details = f" ({details})" if details else ""
    verb = "Would sync" if report.dry_run else "Synced"
    duration = "" if report.dry_run else f" in {format_duration(duration_s)}"
    output.say(f"{verb} {output.paint(count(report.package_count, 'package'), 'bold')}{duration}{details}")
    say_changes(output, report.changes)


def sync_document(report: SyncReport) -> dict[str, object]:
    """A sync for ``--json``."""
    return {
        "venv": str(report.venv),
        "generation": str(report.generation) if report.generation else None,
        "python": report.python,
        "package_count": report.package_count,
        "changes": changes_document(report.changes),
        "fetched_count": report.fetched_count,
        "locked": report.locked,
        "changed": report.changed,
        "dry_run": report.dry_run,
    }


def _change_line(output: Output, change: PackageChange) -> str:
    if not change.old:
        return f"{output.paint('+', 'green')} {change.name} {change.new}"
    if not change.new:
        return f"{output.paint('-', 'red')} {change.name} {change.old}"
    return f"{output.paint('~', 'yellow')} {change.name} {change.old} → {change.new}"
