"""``envforge cache``: info, prune, verify, dir."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from envforge.cli.formats import count, format_age, format_size, format_table, parse_size
from envforge.cli.surroundings import find_root, open_session
from envforge.errors import UsageError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator, Sequence

    from envforge.cli.options import Parser
    from envforge.cli.output import Output
    from envforge.plan.prune import Item, Kind
    from envforge.workflows.cache_info import CacheReport, ProjectHolding
    from envforge.workflows.cache_prune import PruneReport
    from envforge.workflows.cache_verify import CacheVerifyReport, DamagedThing
    from envforge.workflows.session import Session

_ACTIONS = ("info", "prune", "verify", "dir")
_OPTIONS = {
    "max_size": ("--max-size", "prune"),
    "dry_run": ("--dry-run", "prune"),
    "all": ("--all", "prune"),
    "repair": ("--repair", "verify"),
}
_PLURALS = {"index entry": "index entries", "archive": "archives", "prefix": "prefixes"}


def add_arguments(parser: Parser) -> None:
    """Declare options and arguments."""
    parser.usage = "%(prog)s [options] info|prune|verify|dir"
    parser.add_argument(
        "action",
        metavar="ACTION",
        choices=_ACTIONS,
        help="info: what there is; prune: remove what nothing needs; verify: check it; dir: where it is",
    )
    parser.add_argument(
        "--max-size", metavar="SIZE", type=_size, help="prune: until all fits into SIZE, such as 40G"
    )
    parser.add_argument(
        "--all", action="store_true", help="prune: also earlier environments, and all that can be fetched"
    )
    parser.add_argument("--dry-run", action="store_true", help="prune: only say what would go")
    parser.add_argument("--repair", action="store_true", help="verify: fetch again what is damaged")


def execute(arguments: Namespace, output: Output) -> int:
    """Do what the action says."""
    for name, (option, action) in _OPTIONS.items():
        if getattr(arguments, name) not in (None, False) and arguments.action != action:
            raise UsageError(
                f"{option} does not belong to envforge cache {arguments.action}",
                hints=[f"did you mean: envforge cache {action} {option}?"],
            )
    with open_session(arguments, output, root=find_root(arguments)) as session:
        match arguments.action:
            case "info":
                return _info(session, output)
            case "prune":
                return _prune(arguments, session, output)
            case "verify":
                return _verify(arguments, session, output)
    return _dir(session, output)


def _size(text: str) -> int:
    size_bytes = parse_size(text)
    if size_bytes is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write it like 40G, 500M or 1.5T")
    return size_bytes


def _dir(session: Session, output: Output) -> int:
    places = session.places
    if output.json:
        output.document({"cache": str(places.cache), "tier": str(places.tier)})
    else:
        output.data(f"{places.cache}\n")
    return 0


def _info(session: Session, output: Output) -> int:
    from envforge.workflows.cache_info import cache_info

    report = cache_info(session)
    if output.json:
        output.document(_info_document(report))
        return 0
    for line in _info_lines(report, session.now_s):
        output.data(f"{line}\n")
    if report.unneeded_bytes:
        size = format_size(report.unneeded_bytes)
        output.say(f"{output.paint('hint:', 'cyan')} envforge cache prune would free {size}")
    return 0


def _info_lines(report: CacheReport, now_s: float) -> Iterator[str]:
    places = report.places
    yield from format_table(_place_rows(report))
    yield ""
    rows = [("", "count", "size", "not needed")]
    for kind, holding in report.holdings.items():
        spare = ""
        if holding.unneeded_count:
            spare = f"{holding.unneeded_count:,} ({format_size(holding.unneeded_bytes)})"
        size = "links" if kind == "environment" else format_size(holding.size_bytes)
        rows.append((_plural(kind), f"{holding.count:,}", size, spare))
    rows.append(("together", "", format_size(report.size_bytes), format_size(report.unneeded_bytes)))
    yield from format_table(rows, right=(1, 2, 3))
    if report.projects:
        yield ""
        heads = ("project", "environments", "in use", "size", "")
        yield from format_table(
            [heads, *(_project_row(project, now_s) for project in report.projects)], right=(1, 2, 3)
        )
    if report.pythons[1]:
        yield ""
        yield f"{count(report.pythons[1], 'Python')} in {report.pythons[0]}, which prune leaves alone"
    if places.site is not None:
        yield f"packages of the site's store in {places.site} are used, and left alone"


def _place_rows(report: CacheReport) -> list[tuple[str, str]]:
    places = report.places
    rows = [("cache", str(places.cache)), ("tier", str(places.tier)), ("archives", str(places.archives))]
    return [*rows, ("site store", str(places.site))] if places.site else rows


def _project_row(project: ProjectHolding, now_s: float) -> tuple[str, ...]:
    state = "" if project.state.name == "HERE" else str(project.state)
    if project.lost_s is not None:
        state += f" (seen {format_age(now_s - project.lost_s)} ago)" if now_s - project.lost_s > 60 else ""
    return (
        project.root or str(project.environments),
        str(project.count),
        str(project.in_use_count or ""),
        format_size(project.size_bytes),
        state,
    )


def _info_document(report: CacheReport) -> dict[str, object]:
    places = report.places
    return {
        "cache": str(places.cache),
        "tier": str(places.tier),
        "archives": str(places.archives),
        "site": str(places.site) if places.site else None,
        "size_bytes": report.size_bytes,
        "unneeded_bytes": report.unneeded_bytes,
        "holdings": {
            _plural(kind): {
                "count": holding.count,
                "size_bytes": holding.size_bytes,
                "unneeded_count": holding.unneeded_count,
                "unneeded_bytes": holding.unneeded_bytes,
            }
            for kind, holding in report.holdings.items()
        },
        "projects": [
            {
                "root": project.root or None,
                "environments": str(project.environments),
                "state": project.state.name.lower(),
                "lost_s": project.lost_s,
                "count": project.count,
                "in_use_count": project.in_use_count,
                "current": project.current or None,
                "size_bytes": project.size_bytes,
            }
            for project in report.projects
        ],
        "pythons": {"path": str(report.pythons[0]), "count": report.pythons[1]},
    }


def _prune(arguments: Namespace, session: Session, output: Output) -> int:
    from envforge.workflows.cache_prune import PruneOptions, prune

    options = PruneOptions(
        max_size_bytes=arguments.max_size, everything=arguments.all, dry_run=arguments.dry_run
    )
    report = prune(session, options)
    if output.json:
        output.document(_prune_document(report))
    else:
        _say_prune(report, output)
    return 0 if report.fits and not report.failures else 1


def _say_prune(report: PruneReport, output: Output) -> None:
    show = output.say if report.dry_run else output.detail
    for item in report.removed:
        show(f"- {item.key.kind} {item.label or item.key.name} ({format_size(item.size_bytes)})")
    for item in report.spared:
        output.detail(f"= {item.key.kind} {item.label or item.key.name} has come into use")
    for failure in report.failures:
        output.warn("\n".join([failure.message, *failure.context]), next(iter(failure.hints), ""))
    verb = "Would remove" if report.dry_run else "Removed"
    what = ", ".join(_counts(report.removed)) or "nothing"
    output.say(f"{verb} {what}: {format_size(report.freed_bytes)}, {format_size(report.left_bytes)} left")
    if report.swept_count:
        output.say(f"Cleaned up {count(report.swept_count, 'leftover')} of commands that have ended")
    if not report.fits and report.max_size_bytes is not None:
        output.warn(
            f"{format_size(report.max_size_bytes)} cannot be reached: the rest is in use",
            "envforge envs --all shows by whom",
        )
    for why, size_bytes in report.kept_bytes.items():
        output.say(f"  {format_size(size_bytes)}: {why}")


def _counts(removed: Sequence[Item]) -> Iterator[str]:
    kinds = dict.fromkeys(item.key.kind for item in removed)
    for kind in kinds:
        number = sum(item.key.kind is kind for item in removed)
        yield f"{number:,} {kind if number == 1 else _plural(kind)}"


def _plural(kind: Kind) -> str:
    return _PLURALS.get(str(kind), f"{kind}s")


def _prune_document(report: PruneReport) -> dict[str, object]:
    return {
        "removed": [_item_document(item) for item in report.removed],
        "spared": [_item_document(item) for item in report.spared],
        "freed_bytes": report.freed_bytes,
        "left_bytes": report.left_bytes,
        "swept_count": report.swept_count,
        "fits": report.fits,
        "kept_bytes": report.kept_bytes,
        "failures": [{"message": each.message, "context": list(each.context)} for each in report.failures],
        "dry_run": report.dry_run,
    }


def _item_document(item: Item) -> dict[str, object]:
    return {
        "kind": str(item.key.kind),
        "name": item.key.name,
        "label": item.label or None,
        "size_bytes": item.size_bytes,
        "used_s": item.used_s,
    }


def _verify(arguments: Namespace, session: Session, output: Output) -> int:
    from envforge.workflows.cache_verify import verify_cache

    report = verify_cache(session, repair=arguments.repair)
    if output.json:
        output.document(_verify_document(report))
    else:
        _say_verify(report, output, repair=arguments.repair)
    return 0 if report.is_sound else 1


def _say_verify(report: CacheVerifyReport, output: Output, *, repair: bool) -> None:
    for thing in report.damaged:
        output.data(f"{thing.path}: {thing.name} is damaged{' (mended)' if thing.mended else ''}\n")
        for problem in thing.problems:
            output.data(f"  {problem}\n")
        if thing.problem_count > len(thing.problems):
            output.data(f"  and {thing.problem_count - len(thing.problems)} more\n")
    for failure in report.failures:
        output.warn("\n".join([failure.message, *failure.context]), next(iter(failure.hints), ""))
    looked = [
        count(report.tree_count, "tree"),
        count(report.bundle_count, "bundle"),
        count(report.archive_count, "archive"),
    ]
    left = [thing for thing in report.damaged if not thing.mended]
    result = "all as it was stored"
    if left:
        result = f"{len(left)} damaged"
    elif report.damaged:
        result = f"{len(report.damaged)} were damaged, and are mended"
    output.say(f"Checked {', '.join(looked)} ({format_size(report.size_bytes)}): {result}")
    for hint in _verify_hints(left, repair=repair):
        output.say(f"{output.paint('hint:', 'cyan')} {hint}")


def _verify_hints(left: Sequence[DamagedThing], *, repair: bool) -> list[str]:
    if not left:
        return []
    if not repair:
        return ["envforge cache verify --repair fetches again what is damaged"]
    roots = dict.fromkeys(root for thing in left for root in thing.projects)
    return [f"run `envforge sync` in {root}: it makes anew what is missing" for root in roots]


def _verify_document(report: CacheVerifyReport) -> dict[str, object]:
    return {
        "tree_count": report.tree_count,
        "bundle_count": report.bundle_count,
        "archive_count": report.archive_count,
        "size_bytes": report.size_bytes,
        "damaged": [
            {
                "path": str(thing.path),
                "name": thing.name,
                "problem_count": thing.problem_count,
                "problems": list(thing.problems),
                "projects": list(thing.projects),
                "mended": thing.mended,
            }
            for thing in report.damaged
        ],
        "failures": [{"message": each.message, "context": list(each.context)} for each in report.failures],
    }
