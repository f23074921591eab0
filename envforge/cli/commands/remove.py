"""``envforge remove``."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from envforge.cli.commands.change_options import add_place, read_place, read_sync, show_change
from envforge.cli.surroundings import find_member, open_session

if TYPE_CHECKING:
    from argparse import Namespace

    from envforge.cli.options import Parser
    from envforge.cli.output import Output


def add_arguments(parser: Parser) -> None:
    """Declare options and arguments."""
    parser.usage = "%(prog)s [options] NAME..."
    parser.add_argument(
        "names",
        metavar="NAME",
        nargs="+",
        help="package to remove, without a version; conda:NAME for one from conda",
    )
    add_place(parser)


def execute(arguments: Namespace, output: Output) -> int:
    """Remove requirements."""
    from envforge.workflows.change import remove

    start_s = perf_counter()
    member = find_member(arguments)
    with open_session(arguments, output) as session:
        report = remove(
            session,
            arguments.names,
            place=read_place(arguments),
            conda=arguments.conda,
            member=member,
            sync=read_sync(arguments, session),
        )
    show_change(output, report, verb="Removed {} from", key="removed", duration_s=perf_counter() - start_s)
    return 0
