"""Options of every command that syncs: which groups and extras, and how files get into ``.venv``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envforge.cli.options import Parser
from envforge.errors import UsageError

if TYPE_CHECKING:
    from argparse import Namespace

    from envforge.plan.link_plan import LinkMode
    from envforge.workflows.session import Session
    from envforge.workflows.sync_options import SyncOptions

_LINK_MODES = ("shared", "hardlink", "copy")
_VARIABLE = "ENVFORGE_LINK_MODE"


def add_selection(parser: Parser) -> None:
    """Declare which groups and extras are wanted, and whether the lock may be renewed."""
    parser.add_argument("--frozen", action="store_true", help="never lock: fail if the lock does not fit")
    parser.add_argument(
        "--group", metavar="NAME", action="append", default=[], help="also this dependency group (repeatable)"
    )
    parser.add_argument(
        "--extra", metavar="NAME", action="append", default=[], help="also this extra (repeatable)"
    )
    parser.add_argument("--all-extras", action="store_true", help="also every extra of the project")
    parser.add_argument("--no-dev", action="store_true", help="without the default groups, such as dev")
    parser.add_argument(
        "--variant",
        metavar="NAME",
        default="",
        help="this variant of the project, from now on; auto: the one for this machine",
    )
    add_installation(parser)


def add_installation(parser: Parser) -> None:
    """Declare how files get into the environment, and what of this machine does not matter."""
    parser.add_argument(
        "--link-mode",
        metavar="MODE",
        choices=_LINK_MODES,
        help="shared (links into the store; default), hardlink, or copy",
    )
    parser.add_argument(
        "--ignore-host",
        action="store_true",
        help="warn only, where this machine lacks what the lock needs (a driver, a newer glibc)",
    )


def read_link_mode(arguments: Namespace, session: Session) -> LinkMode:
    """How files get into the environment: as the option says, else the variable, else shared.

    Raises:
        UsageError: the variable says something else.
    """
    from envforge.plan.link_plan import LinkMode

    said = arguments.link_mode or session.environ.get(_VARIABLE) or LinkMode.SHARED
    if said not in _LINK_MODES:
        raise UsageError(f"{_VARIABLE} is {said!r}", hints=[f"it can be {', '.join(_LINK_MODES)}"])
    return LinkMode(said)


def read_selection(arguments: Namespace, session: Session) -> SyncOptions:
    """The options as a value; ``--all-extras`` looks into the manifest.

    Raises:
        ManifestError: ``--all-extras`` and the manifest cannot be read.
    """
    from envforge.workflows.sync_options import SyncOptions

    extras = list(arguments.extra)
    if arguments.all_extras:
        from envforge.workflows.project import read_project

        extras += read_project(session.root).manifest.optional_dependencies
    return SyncOptions(
        frozen=arguments.frozen,
        groups=tuple(arguments.group),
        extras=tuple(dict.fromkeys(extras)),
        no_dev=arguments.no_dev,
        link_mode=read_link_mode(arguments, session),
        ignore_host=arguments.ignore_host,
        variant=arguments.variant,
    )
