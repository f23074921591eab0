"""``envforge add``."""

from __future__ import annotations

import argparse
from time import perf_counter
from typing import TYPE_CHECKING

from envforge.cli.commands.change_options import add_place, read_group, read_sync, show_change
from envforge.cli.surroundings import open_session
from envforge.errors import UsageError

if TYPE_CHECKING:
    from argparse import Namespace

    from envforge.cli.options import Parser
    from envforge.cli.output import Output


def add_arguments(parser: Parser) -> None:
    """Declare options and arguments."""
    parser.usage = "%(prog)s [options] REQUIREMENT..."
    parser.add_argument(
        "requirements", metavar="REQUIREMENT", nargs="+", help="such as torch or 'transformers[torch]>=4.40'"
    )
    add_place(parser)
    parser.add_argument("--conda", action="store_true", help=argparse.SUPPRESS)


def execute(arguments: Namespace, output: Output) -> int:
    """Add requirements."""
    _refuse_conda(arguments)
    from envforge.workflows.change import add

    start_s = perf_counter()
    group, extra = read_group(arguments), arguments.extra
    # What was just added is wanted now, also where its group is not synced by default.
    options = read_sync(arguments, groups=(group,) if group else (), extras=(extra,) if extra else ())
    with open_session(arguments, output) as session:
        report = add(session, arguments.requirements, group=group, extra=extra, sync=options)
    show_change(output, report, verb="Added {} to", key="added", duration_s=perf_counter() - start_s)
    return 0


def _refuse_conda(arguments: Namespace) -> None:
    named = [text for text in arguments.requirements if text.startswith("conda:")]
    if named or arguments.conda:
        what = ", ".join(named) or "--conda"
        raise UsageError(
            f"{what}: conda packages are not supported yet by this version",
            hints=["add a package from PyPI by its name alone"],
        )
