"""How time grows with packages, platforms and files: the same scenarios on stacks of rising size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from benchmarks.measuring import CommandFailedError, ToolProject
from benchmarks.results import Growth, Results, StackFacts
from benchmarks.rounds import Patience, facts_of, locked_count, measure
from benchmarks.scenarios import SCENARIOS
from benchmarks.stacks import Stack

_LOCKS = ("lock cold", "lock warm")
_SYNC = "sync warm, new environment"

Opened = Callable[[Stack], AbstractContextManager[list[ToolProject]]]


def measure_growth(
    results: Results,
    opened: Opened,
    patience: Patience,
    wanted: Callable[[str], bool],
    *,
    growing: Sequence[Stack],
    spreading: Sequence[Stack],
) -> None:
    """Add the points and their curves to ``results``.

    Args:
        results: where to.
        opened: gives the tools' projects of a stack, and removes them afterwards.
        patience: repetitions.
        wanted: whether a scenario is measured.
        growing: stacks of more and more packages.
        spreading: stacks for more and more platforms.
    """
    sizes = _points(results, growing, (*_LOCKS, _SYNC), opened, patience, wanted)
    spreads = _points(results, spreading, _LOCKS, opened, patience, wanted)
    curves = []
    for name in filter(wanted, _LOCKS):
        by_packages = [(float(count), facts.name) for facts, count in sizes]
        by_platforms = [(float(len(facts.platforms)), facts.name) for facts, _ in spreads]
        curves.append(_curve(f"{name}, by packages", "packages in the lock", name, by_packages))
        curves.append(_curve(f"{name}, by platforms", "platforms", name, by_platforms))
    if wanted(_SYNC):
        by_files = [(float(facts.files), facts.name) for facts, _ in sizes]
        curves.append(_curve(f"{_SYNC}, by files", "files in the environment", _SYNC, by_files))
    results.growth += [curve for curve in curves if curve.points]


def _points(
    results: Results,
    stacks: Sequence[Stack],
    names: Sequence[str],
    opened: Opened,
    patience: Patience,
    wanted: Callable[[str], bool],
) -> list[tuple[StackFacts, int]]:
    """Measure stacks; what each came to, and how many packages its lock has."""
    points = []
    # The import says nothing about growth, and is left out.
    scenarios = [SCENARIOS[name].without_import() for name in names if wanted(name)]
    for stack in stacks if scenarios else ():
        with opened(stack) as opened_projects:
            # The two whose locks can be told what to hold.
            projects = [project for project in opened_projects if project.name in ("envforge", "uv")]
            for scenario in scenarios if projects else ():
                results.runs += measure(scenario, projects, patience)
            facts = facts_of(stack, projects)
            results.stacks.append(facts)
            points.append((facts, _locked(projects)))
    return points


def _locked(projects: Sequence[ToolProject]) -> int:
    """Packages in a lock of any of them: they hold the same, but for what no platform needs."""
    for project in projects:
        try:
            project.put("base")
        except CommandFailedError:
            continue
        return locked_count(project)
    return 0


def _curve(name: str, x_label: str, scenario: str, points: list[tuple[float, str]]) -> Growth:
    return Growth(
        name=name, x_label=x_label, scenario=scenario, points=[point for point in points if point[0]]
    )
