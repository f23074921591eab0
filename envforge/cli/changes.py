"""Differences between environments and between locks, as lines for people and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envforge.cli.formats import count, format_duration, format_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from envforge.cli.output import Output
    from envforge.lock.diff import LockDiff, PackageDiff
    from envforge.workflows.sync_report import PackageChange, SyncReport

_MOST_LINES = 20
_SIGN_STYLES = {"+": "green", "-": "red", "~": "yellow"}


def say_changes(output: Output, changes: Iterable[PackageChange]) -> None:
    """A line for each changed package."""
    _say_lines(output, [_change_line(change) for change in changes])


def say_lock_diff(output: Output, diff: LockDiff) -> None:
    """A line for each package and each target that changed in the lock."""
    from envforge.lock.diff import format_diff

    _say_lines(output, list(format_diff(diff)))


def lock_diff_document(diff: LockDiff) -> dict[str, object]:
    """For ``--json``: versions are lists, because targets may need different ones."""
    return {
        "packages": _packages_document(diff.packages),
        "conda": _packages_document(diff.conda),
        "targets_added": list(diff.targets_added),
        "targets_removed": list(diff.targets_removed),
        "pythons": [
            {"target": python.target, "old": python.old, "new": python.new} for python in diff.pythons
        ],
    }


def _packages_document(packages: Iterable[PackageDiff]) -> list[dict[str, object]]:
    return [
        {
            "name": package.name,
            "old": list(package.old),
            "new": list(package.new),
            "targets": list(package.targets),
        }
        for package in packages
    ]


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
    return [
        {
            "name": change.name,
            "old": change.old or None,
            "new": change.new or None,
            "ecosystem": change.ecosystem,
        }
        for change in changes
    ]


def say_sync(output: Output, report: SyncReport, duration_s: float) -> None:
    """What a sync did, or would do."""
    if not report.changed and not report.changes and not report.repaired:
        output.say("Environment is up to date")
        return
    details = changes_text(report.changes) or ("what was gone is back" if report.repaired else "")
    details = f" ({details})" if details else ""
    if report.variant.name:
        output.say(f"Variant {output.paint(report.variant.name, 'bold')}: {report.variant.reason}")
    verb = "Would sync" if report.dry_run else "Synced"
    duration = "" if report.dry_run else f" in {format_duration(duration_s)}"
    output.say(f"{verb} {output.paint(count(report.package_count, 'package'), 'bold')}{duration}{details}")
    say_changes(output, report.changes)
    for place in report.room if report.fetched_count else ():
        need = f"{format_size(place.need.likely_bytes)} in {count(place.need.likely_files, 'file')}"
        files = f", {count(place.room.free_files, 'file')}" if place.room.free_files is not None else ""
        output.say(
            f"Needs about {need} in {place.folders[0]} (free: {format_size(place.room.free_bytes)}{files})"
        )


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
        "variant": report.variant.name or None,
        "variant_reason": report.variant.reason or None,
        "repaired": report.repaired,
        "room": [
            {
                "folders": list(place.folders),
                "needed_bytes": place.need.likely_bytes,
                "needed_files": place.need.likely_files,
                "free_bytes": place.room.free_bytes,
                "free_files": place.room.free_files,
            }
            for place in report.room
        ],
    }


def _change_line(change: PackageChange) -> str:
    origin = " (conda)" if change.ecosystem == "conda" else ""
    if not change.old:
        return f"+ {change.name} {change.new}{origin}"
    if not change.new:
        return f"- {change.name} {change.old}{origin}"
    return f"~ {change.name} {change.old} → {change.new}{origin}"


def _say_lines(output: Output, lines: Sequence[str]) -> None:
    """Say them with coloured signs; a long list is cut unless details are asked for."""
    shown = lines if output.verbose or len(lines) <= _MOST_LINES else lines[:_MOST_LINES]
    for line in shown:
        output.say(output.paint(line[0], _SIGN_STYLES[line[0]]) + line[1:])
    if len(shown) < len(lines):
        output.say(output.paint(f"… and {len(lines) - len(shown)} more (-v shows all)", "dim"))
