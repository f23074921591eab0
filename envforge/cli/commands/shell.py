"""``envforge shell``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envforge.cli.commands.sync_options import add_selection, read_selection
from envforge.cli.surroundings import open_session

if TYPE_CHECKING:
    from argparse import Namespace

    from envforge.cli.options import Parser
    from envforge.cli.output import Output

REPORTS = False


def add_arguments(parser: Parser) -> None:
    """Declare options and arguments."""
    parser.usage = "%(prog)s [options]"
    add_selection(parser)


def execute(arguments: Namespace, output: Output) -> int:
    """Become a shell in the environment."""
    from envforge.workflows.shell import shell

    with open_session(arguments, output) as session:
        shell(session, read_selection(arguments, session))
