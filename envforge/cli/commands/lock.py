"""``envforge lock``."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from envforge.cli.surroundings import open_session
from envforge.errors import UsageError

if TYPE_CHECKING:
    from argparse import Namespace

    from envforge.cli.options import Parser
    from envforge.cli.output import Output
    from envforge.workflows.lock import LockReport


def add_arguments(parser: Parser) -> None:
    """Declare options and arguments."""
    parser.usage = "%(prog)s [options]"
    parser.add_argument(
        "--check", action="store_true", help="exit 1 if the lock is not up to date; write nothing"
    )
    parser.add_argument("-U", "--upgrade", action="store_true", help="keep no locked version")
    parser.add_argument(
        "-P",
        "--upgrade-package",
        metavar="NAME",
        action="append",
        default=[],
        help="do not keep the locked version of this package (repeatable)",
    )
    parser.add_argument(
        "--exclude-newer",
        metavar="DATE",
        default="",
        help="ignore files uploaded on or after this date, such as 2026-11-01, or younger than 7d",
    )


def execute(arguments: Namespace, output: Output) -> int:
    """Lock, or check the lock."""
    exclude_newer = _instant(arguments.exclude_newer)
    if arguments.check and (arguments.upgrade or arguments.upgrade_package or exclude_newer):
        raise UsageError(
            "--check writes nothing, so it cannot upgrade", hints=["leave out --check, or the other options"]
        )
    from envforge.workflows.lock import check_lock, lock_project
    from envforge.workflows.upgrades import Upgrades

    start_s = perf_counter()
    upgrades = Upgrades(
        everything=arguments.upgrade,
        packages=tuple(arguments.upgrade_package),
        exclude_newer=exclude_newer,
    )
    with open_session(arguments, output) as session:
        report = check_lock(session) if arguments.check else lock_project(session, upgrades)
    _show(output, report, perf_counter() - start_s)
    return 0


def _instant(text: str) -> str:
    """A date or time in ISO 8601 as an instant in UTC, ``2026-11-01T00:00:00Z``, or an age; "" stays."""
    if not text:
        return ""
    from envforge.model.cutoff import canonical_age, canonical_instant

    try:
        return canonical_age(text) or canonical_instant(text)
    except (ValueError, OverflowError):
        hint = "write 2026-11-01 or 2026-11-01T12:00:00Z, or an age such as 7d"
        raise UsageError(f"--exclude-newer: {text!r} is no date and no age", hints=[hint]) from None


def _show(output: Output, report: LockReport, duration_s: float) -> None:
    from envforge.cli.changes import lock_diff_document, say_lock_diff
    from envforge.cli.formats import count, format_duration

    lock = report.lock
    if output.json:
        output.document(
            {
                "path": str(report.path),
                "written": report.written,
                "platforms": list(dict.fromkeys(target.target.platform for target in lock.targets)),
                "targets": [target.id for target in lock.targets],
                "python": lock.targets[0].target.python if lock.targets else None,
                "package_count": lock.package_count,
                "diff": lock_diff_document(report.diff),
            }
        )
        return
    if not report.written:
        output.say("Lock is up to date")
        return
    packages = output.paint(count(lock.package_count, "package"), "bold")
    platforms = count(len({target.target.platform for target in lock.targets}), "platform")
    variants = {target.target.variant for target in lock.targets} - {""}
    with_variants = f" and {count(len(variants), 'variant')}" if variants else ""
    output.say(f"Locked {packages} for {platforms}{with_variants} in {format_duration(duration_s)}")
    say_lock_diff(output, report.diff)
