"""``envforge why``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envforge.cli.surroundings import open_session

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator, Sequence

    from envforge.cli.options import Parser
    from envforge.cli.output import Output


def add_arguments(parser: Parser) -> None:
    """Declare options and arguments."""
    parser.usage = "%(prog)s [options] NAME"
    parser.add_argument("name", metavar="NAME", help="a package in the lock")
    parser.add_argument("--platform", metavar="PLATFORM", help="such as linux-64 (default: this machine's)")
    parser.add_argument(
        "--variant", metavar="NAME", default="", help="of the project (default: this machine's)"
    )


def execute(arguments: Namespace, output: Output) -> int:
    """Show the chains that lead to a package."""
    from envforge.workflows.tree import why

    with open_session(arguments, output) as session:
        report = why(session, arguments.name, platform=arguments.platform, variant=arguments.variant)
    if output.json:
        output.document(
            {
                "name": report.name,
                "version": report.version,
                "target": report.target,
                "chains": [list(chain) for chain in report.chains],
            }
        )
        return 0
    arrow = " → " if output.can_draw() else " -> "
    lines = [f"{output.paint(report.name, 'bold', data=True)} {report.version} ({report.target})"]
    lines += [f"  {arrow.join(_steps(chain))}" for chain in report.chains]
    output.data("\n".join(lines) + "\n")
    return 0


def _steps(chain: Sequence[str]) -> Iterator[str]:
    """``your project``, then each package with the requirement that brought it in."""
    yield chain[0]
    for requirement, package in zip(chain[1::2], chain[2::2], strict=True):
        yield f"{package} ({requirement})"
