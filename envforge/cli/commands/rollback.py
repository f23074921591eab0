"""``envforge rollback``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envforge.cli.options import positive_number
from envforge.cli.surroundings import open_session

if TYPE_CHECKING:
    from argparse import Namespace

    from envforge.cli.options import Parser
    from envforge.cli.output import Output


def add_arguments(parser: Parser) -> None:
    """Declare options and arguments."""
    parser.usage = "%(prog)s [options] [N]"
    parser.add_argument(
        "steps",
        metavar="N",
        nargs="?",
        type=positive_number,
        default=1,
        help="how many environments to go back (default: 1)",
    )


def execute(arguments: Namespace, output: Output) -> int:
    """Go back."""
    from envforge.workflows.rollback import rollback

    with open_session(arguments, output) as session:
        report = rollback(session, arguments.steps)
    if output.json:
        output.document(
            {
                "venv": str(report.venv),
                "generation": str(report.generation),
                "previous": str(report.previous),
            }
        )
    else:
        output.say(f"{report.venv} is {output.paint(report.generation.name, 'bold')} again")
        output.say(f"It was {report.previous.name}. The lock has not changed: sync and run go forward again")
        output.say("envforge run --no-sync runs in this one")
    return 0
