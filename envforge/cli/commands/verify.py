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
    parser.add_argument("--repair", action="store_true", help="make anew what is not as it was made")


def execute(arguments: Namespace, output: Output) -> int:
    """Check the environment; 1 if something is not as it was made, and was not repaired."""
    from envforge.workflows.verify import verify

    with open_session(arguments, output) as session:
        report = verify(session, repair=arguments.repair)
    if output.json:
        output.document(
            {
                "generation": str(report.generation),
                "checked_count": report.checked_count,
                "findings": [
                    {"path": str(finding.path), "message": finding.message, "hint": finding.hint or None}
                    for finding in report.findings
                ],
                "repaired": report.repaired,
            }
        )
    else:
        for finding in report.findings:
            output.data(f"{finding.path}: {finding.message}\n")
        hints = {} if report.repaired else dict.fromkeys(finding.hint for finding in report.findings)
        for hint in filter(None, hints):
            output.say(f"{output.paint('hint:', 'cyan')} {hint}")
        result = count(len(report.findings), "finding") if report.findings else "all as it was made"
        output.say(f"Checked {count(report.checked_count, 'file')}: {result}")
        if report.repaired:
            output.say("Repaired: the environment was made anew")
    return 1 if report.findings and not report.repaired else 0
