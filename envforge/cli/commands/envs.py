"""``envforge envs``."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from envforge.cli.formats import format_age, format_size, format_table
from envforge.cli.surroundings import find_root, open_session

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from envforge.cli.options import Parser
    from envforge.cli.output import Output
    from envforge.workflows.envs import EnvironmentRow, EnvironmentsReport

_SHORT = 8
_HEADS = ("", "environment", "used", "python", "packages", "own", "shared", "made for", "stays")


def add_arguments(parser: Parser) -> None:
    """Declare options and arguments."""
    parser.usage = "%(prog)s [options]"
    parser.add_argument("--all", action="store_true", help="those of all projects on the tier")


def execute(arguments: Namespace, output: Output) -> int:
    """Show environments."""
    from envforge.workflows.envs import list_environments

    root = find_root(arguments) if arguments.all else None
    with open_session(arguments, output, root=root) as session:
        report = list_environments(session, everywhere=arguments.all)
    if output.json:
        output.document({"tier": str(report.tier), "environments": [_document(row) for row in report.rows]})
        return 0
    if not report.rows:
        output.say("There are no environments")
        return 0
    for number, (project, rows) in enumerate(groupby(report.rows, key=lambda row: row.project)):
        if arguments.all:
            output.data("\n" if number else "")
        for line in _project_lines(project, list(rows), report, titled=arguments.all):
            output.data(f"{line}\n")
    return 0


def _project_lines(
    project: str, rows: list[EnvironmentRow], report: EnvironmentsReport, *, titled: bool
) -> Iterator[str]:
    lost = "" if rows[0].state.name == "HERE" else f" ({rows[0].state})"
    if titled or lost:
        yield f"{project or rows[0].path.parent}{lost}"
    lines = format_table(
        [_HEADS, *(_cells(row, report.now_s) for row in rows)],
        right=(4, 5, 6),
    )
    yield lines[0]
    for row, line in zip(rows, lines[1:], strict=True):
        yield line
        for process in row.processes:
            yield f"     process {process.pid}: {_short(process.command)}"
        for lease in row.leases:
            if lease.is_alive is None:
                yield f"     {lease.owner.label}: {_short(lease.command)}"


def _cells(row: EnvironmentRow, now_s: float) -> tuple[str, ...]:
    age = format_age(now_s - row.used_s)
    return (
        "*" if row.is_current else "",
        row.path.name[:_SHORT],
        age if age == "now" else f"{age} ago",
        row.python,
        str(row.package_count),
        format_size(row.own_bytes),
        format_size(row.shared_bytes),
        row.target,
        str(row.stay) if row.stay else "until the next prune",
    )


def _short(command: str) -> str:
    return command if len(command) <= 80 else f"{command[:77]}..."


def _document(row: EnvironmentRow) -> dict[str, object]:
    return {
        "path": str(row.path),
        "project": row.project or None,
        "project_state": row.state.name.lower(),
        "current": row.is_current,
        "stays": str(row.stay) if row.stay else None,
        "used_s": row.used_s,
        "target": row.target,
        "python": row.python,
        "package_count": row.package_count,
        "own_bytes": row.own_bytes,
        "shared_bytes": row.shared_bytes,
        "processes": [{"pid": process.pid, "command": process.command} for process in row.processes],
        "leases": [
            {
                "owner": lease.owner.label,
                "command": lease.command,
                "alive": lease.is_alive,
            }
            for lease in row.leases
        ],
    }
