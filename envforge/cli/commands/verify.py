"""``envforge verify``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envforge.cli.formats import count
from envforge.cli.surroundings import open_session

if TYPE_CHECKING:
    from argparse import Namespace

    from envforge.cli.options import Parser
    from envforge.cli.output import Output


def add_arguments(parser: Parser) -> None:
    """Declare options and arguments."""
    parser.usage = "%(prog)s [options]"


def execute(arguments: Namespace, output: Output) -> int:
    """Check the environment; 1 if something is not as it was made."""
    from envforge.workflows.verify import verify

    with open_session(arguments, output) as session:
        report = verify(session)
    if output.json:
        output.document(
            {
                "generation": str(report.generation),
                "checked_count": report.checked_count,
                "findings": [
                    {"path": str(finding.path), "message": finding.message, "hint": finding.hint or None}
                    for finding in report.findings
                ],
            }
        )
    else:
        for finding in report.findings:
            output.data(f"{finding.path}: {finding.message}\n")
        for hint in dict.fromkeys(finding.hint for finding in report.findings if finding.hint):
            output.say(f"{output.paint('hint:', 'cyan')} {hint}")
        result = count(len(report.findings), "finding") if report.findings else "all as it was made"
        output.say(f"Checked {count(report.checked_count, 'file')}: {result}")
    return 1 if report.findings else 0
