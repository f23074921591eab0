"""envforge beside uv, Poetry, pdm and pip-tools on the same projects, registry and machine, in one run.

    python -m benchmarks                                        everything; takes hours, and 60 GB
    python -m benchmarks --stack small --tools envforge uv      some minutes
    python -m benchmarks --stack torch --only lock --json out.json
    python -m benchmarks --from a.json b.json --page            the page, from former runs
    python -m benchmarks --quick                                does it run? under a minute, no network

Each scenario runs A B A B … after a warm-up; what counts is the ratio of the medians, because absolute times
say more about the machine than about the tools. Caches are either all empty (cold) or all filled (warm);
each tool has its own, on the same file system.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.growth import measure_growth
from benchmarks.local_index import QUICK, QUICK_GROWING, QUICK_SPREADING, served_index
from benchmarks.measuring import ToolProject
from benchmarks.report import text_report, write_page
from benchmarks.results import Results, from_json, joined, to_json
from benchmarks.rounds import Patience, facts_of, measure
from benchmarks.scenarios import LOCK, START, SYNC
from benchmarks.setting import find_ground, install_tools, machine_facts
from benchmarks.stacks import STACKS, Stack, growing_stacks, spreading_stacks
from benchmarks.tools import CHECKOUT, PYPI, TOOLS

_PAGE = CHECKOUT / "docs" / "benchmarks.md"


def main(words: Sequence[str] | None = None) -> int:
    """Measure, or read what was measured; print the tables and write what was asked for."""
    options = _parse_arguments(words)
    if options.read:
        results = joined([from_json(json.loads(path.read_text(encoding="utf-8"))) for path in options.read])
    else:
        results = _measure_all(options)
    print(text_report(results))
    if options.json:
        options.json.write_text(json.dumps(to_json(results), indent=1) + "\n", encoding="utf-8")
    if options.page:
        write_page(results, options.page)
    return 0 if any(run.samples for run in results.runs) else 1


def _parse_arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_argument_group("what to measure")
    what.add_argument(
        "--stack",
        nargs="+",
        choices=[*STACKS, "growth"],
        default=[*STACKS, "growth"],
        help="projects; growth: the large one in pieces, and for more platforms (default: all)",
        metavar=f"{{{','.join([*STACKS, 'growth'])}}}",
    )
    what.add_argument(
        "--only", nargs="+", default=[], metavar="TEXT", help='scenarios whose name has TEXT, such as "lock"'
    )
    what.add_argument(
        "--tools",
        nargs="+",
        choices=[*TOOLS],
        metavar="TOOL",
        help=f"of {', '.join(TOOLS)} (all; with --quick envforge and uv)",
    )
    what.add_argument("--quick", action="store_true", help="made-up packages of a local index, one round")
    how = parser.add_argument_group("how")
    how.add_argument("--repeat", type=int, metavar="N", help="counted rounds (default: 5; 1 with --quick)")
    how.add_argument(
        "--python", default=sys.executable, help="interpreter for the environments (default: this)"
    )
    how.add_argument(
        "--index", default=PYPI, metavar="URL", help="simple index for all tools (default: PyPI)"
    )
    how.add_argument(
        "--workspace",
        type=Path,
        default=Path(".cache/benchmarks"),
        metavar="DIR",
        help="for tools, projects and caches: the file system that is measured (default: %(default)s)",
    )
    how.add_argument("--keep", action="store_true", help="use projects and caches of before, and leave them")
    how.add_argument("--no-install", action="store_true", help="use only tools that are there")
    how.add_argument(
        "--timeout", type=float, default=900, metavar="S", help="a command that takes longer has failed (900)"
    )
    how.add_argument(
        "--patience",
        type=float,
        default=180,
        metavar="S",
        help="a tool slower than this runs only once (180)",
    )
    out = parser.add_argument_group("what comes out, besides the tables")
    out.add_argument("--json", type=Path, metavar="FILE", help="machine, versions and all samples")
    out.add_argument(
        "--page",
        type=Path,
        nargs="?",
        const=_PAGE,
        metavar="FILE",
        help="renew the generated part of this Markdown file, and its plots (default: docs/benchmarks.md)",
    )
    out.add_argument(
        "--from",
        dest="read",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="measure nothing: read JSON of former runs",
    )
    options = parser.parse_args(words)
    if options.tools is None:
        options.tools = ["envforge", "uv"] if options.quick else [*TOOLS]
    if options.repeat is None:
        options.repeat = 1 if options.quick else 5
    if options.repeat < 1:
        parser.error("--repeat: at least 1")
    return options


def _measure_all(options: argparse.Namespace) -> Results:
    workspace = options.workspace.resolve()
    workspace.mkdir(parents=True, exist_ok=True)
    patience = Patience(repeat=options.repeat, limit_s=options.patience)
    with ExitStack() as block:
        index_url = block.enter_context(served_index()) if options.quick else options.index
        ground = find_ground(workspace, options.python, index_url, options.timeout)
        results = Results(machine=machine_facts(ground), date=time.strftime("%Y-%m-%d"), tools={})
        download = not (options.no_install or options.quick)
        installed = install_tools(options.tools, workspace, results, download=download)

        @contextmanager
        def opened(stack: Stack) -> Iterator[list[ToolProject]]:
            projects = [ToolProject(tool, stack, ground) for tool in installed]
            try:
                yield projects
            finally:
                for project in () if options.keep else projects:
                    project.remove()

        if not installed:
            return results
        try:
            with opened(QUICK) as projects:
                _measure_start(options, projects, results, patience)
            for stack in (
                [QUICK] if options.quick else [STACKS[name] for name in options.stack if name in STACKS]
            ):
                with opened(stack) as projects:
                    _measure_stack(options, stack, projects, results, patience)
            if "growth" in options.stack:
                growing = QUICK_GROWING if options.quick else growing_stacks()
                spreading = QUICK_SPREADING if options.quick else spreading_stacks()
                measure_growth(
                    results, opened, patience, _wanted(options), growing=growing, spreading=spreading
                )
        except KeyboardInterrupt:
            print("interrupted: what follows was measured until then", file=sys.stderr)
    return results


def _measure_start(
    options: argparse.Namespace, projects: list[ToolProject], results: Results, patience: Patience
) -> None:
    wanted = _wanted(options)
    for scenario in START:
        if wanted(scenario.name):
            for run in measure(scenario, projects, patience):
                run.stack = ""
                results.runs.append(run)


def _measure_stack(
    options: argparse.Namespace,
    stack: Stack,
    projects: list[ToolProject],
    results: Results,
    patience: Patience,
) -> None:
    wanted = _wanted(options)
    for scenario in (*LOCK, *SYNC):
        if wanted(scenario.name):
            results.runs += measure(scenario, projects, patience)
    results.stacks.append(facts_of(stack, projects))


def _wanted(options: argparse.Namespace) -> Callable[[str], bool]:
    return lambda name: not options.only or any(text in name for text in options.only)


if __name__ == "__main__":
    sys.exit(main())
