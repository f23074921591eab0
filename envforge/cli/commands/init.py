"""``envforge init``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from envforge.cli.surroundings import open_session, start_folder

if TYPE_CHECKING:
    from argparse import Namespace

    from envforge.cli.options import Parser
    from envforge.cli.output import Output
    from envforge.workflows.init import InitReport


def add_arguments(parser: Parser) -> None:
    """Declare options and arguments."""
    parser.usage = "%(prog)s [options] [DIR]"
    parser.add_argument(
        "directory", metavar="DIR", nargs="?", default="", help="the project's folder (default: here)"
    )
    parser.add_argument("--name", metavar="NAME", help="the project's name (default: the folder's)")
    parser.add_argument(
        "--python", metavar="VERSION", help="such as 3.12 (default: the newest on this machine that fits)"
    )
    parser.add_argument(
        "--platform",
        metavar="PLATFORM",
        action="append",
        default=[],
        help="lock for this platform, such as linux-64 (repeatable)",
    )
    parser.add_argument("--stack", metavar="NAME", help="start from a known-good stack, with its lock")


def execute(arguments: Namespace, output: Output) -> int:
    """Start a project."""
    from envforge.workflows.init import init_project

    directory = Path(os.path.normpath(start_folder(arguments) / os.path.expanduser(arguments.directory)))  # noqa: PTH111
    with open_session(arguments, output, root=directory) as session:
        report = init_project(
            directory,
            name=arguments.name,
            python=arguments.python,
            platforms=arguments.platform,
            stack=arguments.stack,
            session=session,
        )
    _show(output, report)
    return 0


def _show(output: Output, report: InitReport) -> None:
    if output.json:
        output.document(
            {
                "path": str(report.path),
                "created": report.created,
                "changed": report.changed,
                "python": report.settings.python or None,
                "platforms": list(report.settings.platforms),
                "stack": report.stack,
                "workspace": str(report.workspace) if report.workspace else None,
            }
        )
        return
    if not report.changed:
        output.say(f"{report.path} has all it needs; nothing was changed")
        return
    from_stack = f" from the stack {report.stack}" if report.stack else ""
    output.say(
        f"{'Created' if report.created else 'Extended'} {output.paint(str(report.path), 'bold')}{from_stack}"
    )
    if report.workspace is not None:
        output.say(f"It is a member of the workspace in {report.workspace}, which has Python and platforms")
        output.say("next: add what it requires to its dependencies, then: envforge sync")
        return
    output.say(f"Python {report.settings.python or 'any'}, locked for {', '.join(report.settings.platforms)}")
    output.say(f"next: envforge {'sync' if report.stack else 'add NAME'}")
