"""``envforge run``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envforge.cli.commands.sync_options import add_selection, read_selection
from envforge.cli.surroundings import open_session
from envforge.errors import UsageError

if TYPE_CHECKING:
    from argparse import Namespace

    from envforge.cli.options import Parser
    from envforge.cli.output import Output

RUNS_A_PROGRAM = True
REPORTS = False


def add_arguments(parser: Parser) -> None:
    """Declare options; the program and its arguments never reach the parser."""
    parser.usage = "%(prog)s [options] [--] PROGRAM [ARGUMENT]..."
    parser.epilog = "Options after PROGRAM belong to the program."
    add_selection(parser)
    parser.add_argument("--no-sync", action="store_true", help="run in the environment as it is")


def execute(arguments: Namespace, output: Output) -> int:
    """Become the program."""
    if not arguments.program:
        raise UsageError("no program to run is given", hints=["such as: envforge run python train.py"])
    from envforge.workflows.run import run

    with open_session(arguments, output) as session:
        options = read_selection(arguments, session)
        run(session, arguments.program, options, no_sync=arguments.no_sync)
