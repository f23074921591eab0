"""``envforge add``."""

from __future__ import annotations

from argparse import SUPPRESS
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from envforge.cli.commands.change_options import add_place, read_place, read_sync, show_change
from envforge.cli.surroundings import find_member, open_session
from envforge.errors import UsageError

if TYPE_CHECKING:
    from argparse import Namespace

    from envforge.cli.options import Parser
    from envforge.cli.output import Output
    from envforge.workflows.git_additions import GitWish

_GIT_OPTIONS = ("branch", "tag", "rev", "subdirectory", "lfs")


def add_arguments(parser: Parser) -> None:
    """Declare options and arguments."""
    parser.usage = "%(prog)s [options] [REQUIREMENT...]"
    parser.add_argument(
        "requirements",
        metavar="REQUIREMENT",
        nargs="*",
        help="such as torch, 'transformers[torch]>=4.40', ./folder, git+https://host/lib@v1, conda:ffmpeg",
    )
    parser.add_argument(
        "-e",
        "--editable",
        metavar="DIR",
        action="append",
        default=[],
        help="a folder with a project, whose code is used where it stands (repeatable)",
    )
    parser.add_argument(
        "--torch",
        metavar="BUILD",
        default="",
        help="write variants for torch: auto (by the machine), or one build, such as cu128, rocm6.4, cpu",
    )
    # pip's: understood, to say what to do instead
    parser.add_argument("-r", "--requirement", metavar="FILE", default="", help=SUPPRESS)
    _add_git(parser)
    add_place(parser)


def _add_git(parser: Parser) -> None:
    parser.add_argument("--git", metavar="URL", default="", help="the repository that REQUIREMENT comes from")
    commit = parser.add_mutually_exclusive_group()
    commit.add_argument("--branch", metavar="NAME", default="", help="with --git: this branch")
    commit.add_argument("--tag", metavar="NAME", default="", help="with --git: this tag")
    commit.add_argument(
        "--rev", metavar="COMMIT", default="", help="with --git: this commit, or any name of one"
    )
    parser.add_argument(
        "--subdirectory", metavar="DIR", default="", help="with --git: the folder that has the project"
    )
    parser.add_argument("--lfs", action="store_true", help="with --git: fetch the large files of git-lfs")


def _read_git(arguments: Namespace) -> GitWish | None:
    from envforge.workflows.git_additions import GitWish

    options = {name: getattr(arguments, name) for name in _GIT_OPTIONS}
    if arguments.git:
        return GitWish(url=arguments.git, **options)
    if named := [f"--{name}" for name, value in options.items() if value]:
        raise UsageError(f"{named[0]} is of no use without --git URL")
    return None


def execute(arguments: Namespace, output: Output) -> int:
    """Add requirements."""
    from envforge.workflows.change import add

    if arguments.requirement:
        from envforge.workflows.local_additions import requirements_file_hint

        hint = requirements_file_hint(arguments.requirement)
        raise UsageError("envforge add reads no files of requirements", hints=[hint])
    git = _read_git(arguments)
    if not (arguments.requirements or arguments.editable or git):
        raise UsageError("nothing to add: a REQUIREMENT is missing", hints=["such as torch, or a path"])
    start_s = perf_counter()
    place = read_place(arguments)
    member = find_member(arguments)
    with open_session(arguments, output) as session:
        # What was just added is wanted now, also where its group is not synced by default.
        options = read_sync(
            arguments,
            session,
            groups=(place.group,) if place.group else (),
            extras=(place.extra,) if place.extra else (),
        )
        report = add(
            session,
            arguments.requirements,
            place=place,
            conda=arguments.conda,
            torch=arguments.torch,
            editable=arguments.editable,
            git=git,
            base=Path.cwd(),
            member=member,
            sync=options,
        )
    show_change(output, report, verb="Added {} to", key="added", duration_s=perf_counter() - start_s)
    return 0
