"""What ``add`` and ``remove`` share: where in the manifest, whether to sync, and what is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envforge.cli.commands.sync_options import add_installation, read_link_mode
from envforge.cli.options import Parser

if TYPE_CHECKING:
    from argparse import Namespace

    from envforge.cli.output import Output
    from envforge.workflows.additions import Place
    from envforge.workflows.change import ChangeReport
    from envforge.workflows.session import Session
    from envforge.workflows.sync_options import SyncOptions


def add_place(parser: Parser) -> None:
    """Declare where in the manifest, and whether to sync afterwards."""
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--group", metavar="NAME", help="in this dependency group")
    place.add_argument("--extra", metavar="NAME", help="in this extra of the project")
    place.add_argument("--dev", action="store_true", help="in the dependency group dev")
    place.add_argument("--variant", metavar="NAME", help="in this variant of the project")
    parser.add_argument("--conda", action="store_true", help="all are conda packages, as with conda:NAME")
    parser.add_argument("--no-sync", action="store_true", help="lock, but leave .venv alone")
    add_installation(parser)


def read_place(arguments: Namespace) -> Place:
    """Where in the manifest."""
    from envforge.workflows.additions import Place

    return Place(
        group="dev" if arguments.dev else arguments.group, extra=arguments.extra, variant=arguments.variant
    )


def read_sync(
    arguments: Namespace, session: Session, *, groups: tuple[str, ...] = (), extras: tuple[str, ...] = ()
) -> SyncOptions | None:
    """How to sync afterwards, None not to."""
    if arguments.no_sync:
        return None
    from envforge.workflows.sync_options import SyncOptions

    return SyncOptions(
        groups=groups,
        extras=extras,
        link_mode=read_link_mode(arguments, session),
        ignore_host=arguments.ignore_host,
    )


def show_change(output: Output, report: ChangeReport, *, verb: str, key: str, duration_s: float) -> None:
    """What was changed: manifest, lock, environment.

    Args:
        output: where to.
        report: of the workflow.
        verb: ``Added … to`` or ``Removed … from``, with ``{}`` for the requirements.
        key: name of the requirements in the document.
        duration_s: what it took.
    """
    from envforge.cli.changes import lock_diff_document, say_lock_diff, say_sync, sync_document
    from envforge.workflows.project_root import MANIFEST_NAME

    if output.json:
        output.document(
            {
                key: list(report.recorded),
                "where": report.where,
                "manifest": report.manifest,
                "diff": lock_diff_document(report.diff),
                "sync": sync_document(report.sync) if report.sync else None,
            }
        )
        return
    recorded = output.paint(", ".join(report.recorded), "bold")
    in_member = f" in {report.manifest}" if report.manifest != MANIFEST_NAME else ""
    output.say(f"{verb.format(recorded)} {report.where}{in_member}")
    if report.sync is None:
        say_lock_diff(output, report.diff)
    else:
        say_sync(output, report.sync, duration_s)
