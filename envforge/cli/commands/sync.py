"""``envforge sync``."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from envforge.cli.commands.sync_options import add_selection, read_selection
from envforge.cli.surroundings import open_session

if TYPE_CHECKING:
    from argparse import Namespace

    from envforge.cli.options import Parser
    from envforge.cli.output import Output
    from envforge.workflows.session import Session
    from envforge.workflows.sync_options import SyncOptions
    from envforge.workflows.sync_report import SyncReport


def add_arguments(parser: Parser) -> None:
    """Declare options and arguments."""
    parser.usage = "%(prog)s [options]"
    add_selection(parser)
    parser.add_argument("--dry-run", action="store_true", help="only say what would change")
    parser.add_argument("--check", action="store_true", help="exit 1 if anything would change; do nothing")


def execute(arguments: Namespace, output: Output) -> int:
    """Sync, or say what a sync would do."""
    from envforge.workflows.sync_again import sync_shortest

    start_s = perf_counter()
    only_plan = arguments.dry_run or arguments.check
    with open_session(arguments, output) as session:
        options = read_selection(arguments, session)
        report = _plan(session, options) if only_plan else sync_shortest(session, options)
    _show(output, report, perf_counter() - start_s)
    return 1 if arguments.check and (report.changed or report.locked) else 0


def _plan(session: Session, options: SyncOptions) -> SyncReport:
    from envforge.workflows.sync import plan_sync

    return plan_sync(session, options)


def _show(output: Output, report: SyncReport, duration_s: float) -> None:
    from envforge.cli.changes import say_sync, sync_document

    if output.json:
        output.document(sync_document(report))
        return
    if report.locked and report.dry_run:
        output.say("Lock is not up to date" if report.had_lock else "There is no lock yet")
    elif report.locked:
        output.say(f"Locked on the way: envforge.lock {'has changed' if report.had_lock else 'is new'}")
    say_sync(output, report, duration_s)
