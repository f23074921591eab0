"""What conda has to do with a failure: which of its packages is disputed, who wants it, what would help."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from envforge.errors import CondaUnsolvableError, RequirementError, ResolutionError
from envforge.model.conda import CondaRecord
from envforge.model.requirement import Requirement, parse_version
from envforge.resolve.candidates import Candidate
from envforge.resolve.conda import CondaLayer
from envforge.resolve.conda_solution import CondaSolution
from envforge.resolve.minimize import smallest_failing
from envforge.resolve.problem import NoSolutionError, Problem
from envforge.resolve.provider import CondaDemand, FromConda, FromPyPI
from envforge.struct import Struct

if TYPE_CHECKING:
    from packaging.version import Version

_MAX_REPORT_LINES = 12
_MAX_VERSIONS_TO_NAME = 3

Cause = tuple[Requirement, Candidate | None]


class CondaClash(Struct, frozen=True):
    """conda's side of a clash.

    Args:
        specs: the user's match specs that have a part in it.
        causes: requirements of PyPI packages that conda cannot meet, with who has them.
        facts: what conda has and why, one a line.
        hints: what the user can do.
    """

    specs: Sequence[str]
    causes: Sequence[Cause]
    facts: Sequence[str]
    hints: Sequence[str]


def find_conda_clash(failure: NoSolutionError, smallest: Problem, problem: Problem) -> CondaClash | None:
    """What conda has to do with a failure, None where it has nothing.

    Args:
        failure: of the smallest problem.
        smallest: part of the problem that has no solution.
        problem: everything that the user asks for.
    """
    layer = smallest.layer
    on_conda = _causes_on_conda(failure)
    if layer is None or not (layer.part.specs or on_conda):
        return None
    causes = _smallest_causes(on_conda, layer)
    disputed = dict.fromkeys(requirement.name for requirement, _ in causes)
    best = layer.solve({})
    specs = layer.part.specs
    facts = []
    for name in disputed:
        is_brought = best is not None and name in best.provides
        facts.append(_provenance(name, best, specs) if best and is_brought else _offer(name, layer))
    return CondaClash(
        specs=specs,
        causes=causes,
        facts=[*facts, *_report(causes, layer)],
        hints=[*_tried_specs(specs, problem), *_ways_out(disputed, best)],
    )


def _offer(name: str, layer: CondaLayer) -> str:
    """What conda has of a project that no conda dependency brings."""
    versions = sorted(layer.versions(name), key=_version_key, reverse=True)
    shown = ", ".join(versions[:_MAX_VERSIONS_TO_NAME])
    more = " and older ones" if len(versions) > _MAX_VERSIONS_TO_NAME else ""
    return f"conda has {name} {shown}{more}" if versions else f"conda has no {name}"


def _version_key(version: str) -> tuple[bool, Version | str]:
    try:
        return True, parse_version(version)
    except RequirementError:
        return False, version


def _causes_on_conda(failure: NoSolutionError) -> list[Cause]:
    """What PyPI packages ask of projects that conda may bring, in the last conflict."""
    found: dict[Cause, None] = {}
    from_conda = {demand.name for demand, _ in failure.causes if isinstance(demand, FromConda)}
    for demand, choice in failure.causes:
        if isinstance(choice, CondaSolution):
            continue
        if isinstance(demand, CondaDemand):
            found[Requirement(demand.name, specifier=demand.specifier), choice] = None
        elif isinstance(demand, FromPyPI):
            found[Requirement(demand.name, specifier=f"=={demand.version}"), choice] = None
        elif isinstance(demand, Requirement) and demand.name in from_conda:
            found[demand, choice] = None
    return list(found)


def _demands(causes: Sequence[Cause]) -> Mapping[str, frozenset[str]]:
    demands: dict[str, set[str]] = {}
    for requirement, _ in causes:
        demands.setdefault(requirement.name, set()).add(requirement.specifier)
    return {name: frozenset(specifiers) for name, specifiers in demands.items()}


def _smallest_causes(causes: Sequence[Cause], layer: CondaLayer) -> Sequence[Cause]:
    """The fewest that conda cannot meet together; all of them where conda can."""
    if layer.solve(_demands(causes)) is not None:
        return causes
    return smallest_failing(causes, lambda part: bool(part) and layer.solve(_demands(part)) is None)


def _provenance(name: str, solution: CondaSolution, specs: Sequence[str]) -> str:
    """``conda: scikit-image → scikit-image 0.25.2 → numpy 2.1.0``: how a project gets in."""
    record = solution.record_of(name)
    way = _way_to(record, solution, specs)
    return f"conda: {' → '.join(way)} brings {name} {solution.provides[name]}"


def _way_to(goal: CondaRecord, solution: CondaSolution, specs: Sequence[str]) -> list[str]:
    by_name = {record.name: record for record in solution.records}
    starts = {spec.split(" ", 1)[0].split("[", 1)[0]: spec for spec in specs}
    came_from: dict[str, str] = {}
    queue = deque(starts)
    seen = set(starts)
    while queue and goal.name not in seen:
        name = queue.popleft()
        for dependency in by_name[name].depends if name in by_name else ():
            needed = dependency.split(" ", 1)[0]
            if needed not in seen:
                seen.add(needed)
                came_from[needed] = name
                queue.append(needed)
    way = [goal.name]
    while way[-1] in came_from:
        way.append(came_from[way[-1]])
    names = [f"{name} {by_name[name].version}" if name in by_name else name for name in reversed(way)]
    return [f'"{starts[way[-1]]}"' if way[-1] in starts else "python", *names]


def _report(causes: Sequence[Cause], layer: CondaLayer) -> list[str]:
    """What the conda solver says of the demands together, shortened."""
    try:
        layer.ask_for_report(_demands(causes))
    except CondaUnsolvableError as error:
        lines = list(error.context)
        cut = [f"… and {len(lines) - _MAX_REPORT_LINES} more lines"] if lines[_MAX_REPORT_LINES:] else []
        return [*lines[:_MAX_REPORT_LINES], *cut]
    return []


def _tried_specs(specs: Sequence[str], problem: Problem) -> Iterator[str]:
    """Edits of one conda dependency after which everything resolves."""
    assert problem.layer is not None
    wanted = problem.layer.part.specs
    for spec in specs:
        name = spec.split(" ", 1)[0].split("[", 1)[0]
        if name == spec:
            continue
        edited = problem.with_specs([name if other == spec else other for other in wanted])
        try:
            answer = edited.solve()
        except (NoSolutionError, ResolutionError):
            continue
        records = answer.conda.records if answer.conda else ()
        for version in [record.version for record in records if record.name == name]:
            yield f'{name} {version} would fit: widen the conda dependency "{spec}" to include that'


def _ways_out(disputed: Mapping[str, None], best: CondaSolution | None) -> Iterator[str]:
    for name in disputed:
        if best is not None and name in best.provides and best.record_of(name).name == name:
            yield f"if {name} may come from PyPI, remove what brings it from tool.envforge.conda-dependencies"
            return
