"""The quick way to a resolution: settle, and check, without search.

Most resolutions have no real conflict: each package can have the newest version that everybody's
demands admit, and the conda part can be the best solution that they admit. The walk collects demands
from the roots, gives every package its best version under them, and repeats with the new versions'
demands until nothing moves. What it returns is checked by construction: in the last round every demand of
every candidate was collected, and is met. Where packages are left without a version it says which, and the
search (:mod:`.search`) decides about their conflict; so it does about everything where nothing settles.

On 173 packages with warm metadata a walk takes a tenth of what the search takes; for the second and
later targets, which start from the first one's versions, nearly all of it is one round.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from envforge.model.requirement import Requirement
from envforge.resolve.candidates import Candidate, CandidateFinder, requirement_extras
from envforge.resolve.dependencies import DependencyReader, UnusableCandidateError

if TYPE_CHECKING:
    from envforge.resolve.conda import CondaLayer
    from envforge.resolve.conda_solution import CondaSolution

_MAX_ROUNDS = 12


class Answer(NamedTuple):
    """Candidates that meet all demands on them.

    Args:
        pins: by name; what conda brings has no file.
        conda: the conda part, None without one.
    """

    pins: Mapping[str, Candidate]
    conda: CondaSolution | None = None


class Stuck(NamedTuple):
    """Where a walk ended without an answer.

    Args:
        names: packages of which no candidate meets all demands; none where it is not known.
        demands: everything that was asked of every package.
        pins: the candidates that asked.
    """

    names: tuple[str, ...] = ()
    demands: Mapping[str, Sequence[Requirement]] = {}
    pins: Mapping[str, Candidate] = {}


def walk(
    roots: Sequence[Requirement],
    finder: CandidateFinder,
    reader: DependencyReader,
    layer: CondaLayer | None = None,
) -> Answer | Stuck:
    """Candidates that meet all demands, or where that needs a search.

    Args:
        roots: requirements that hold for the finder's target.
        finder: of PyPI's candidates.
        reader: of their dependencies.
        layer: of conda's solutions, None where nothing is wanted from conda.

    Raises:
        UnknownPackageError: a project that is needed is on no index.
        CondaUnsolvableError: the conda part has no solution, whatever PyPI packages demand.
    """
    step = _Step({}, layer.require_solution() if layer else None, {}, frozenset())
    for _ in range(_MAX_ROUNDS):
        try:
            demands, expanded = _collect_demands(roots, step, finder, reader)
        except UnusableCandidateError:
            return Stuck()
        settled = _settle(demands, step._replace(pins=expanded), finder, layer)
        if isinstance(settled, Stuck):
            return settled
        if settled.pins == expanded and settled.conda == step.conda:
            return Answer(settled.pins, settled.conda)
        step = settled
    return Stuck()


class _Step(NamedTuple):
    """What a round starts from.

    Args:
        pins: candidates of the round before.
        conda: the conda part of the round before.
        in_the_way: releases from PyPI that an earlier conda part did not go with.
        brought: demanded projects that some conda part so far has brought.
    """

    pins: Mapping[str, Candidate]
    conda: CondaSolution | None
    in_the_way: Mapping[str, str]
    brought: frozenset[str]

    def best(self, name: str, asked: Sequence[Requirement], finder: CandidateFinder) -> Candidate | None:
        """What meets all that is asked of a project: what conda brings, else the best release."""
        extras, specifiers = requirement_extras(asked), _specifiers(asked)
        if self.conda is None or name not in self.conda.provides:
            return finder.best(name, specifiers, extras)
        from envforge.resolve.conda_solution import admits

        version = self.conda.provides[name]
        if all(admits(specifier, version) for specifier in specifiers):
            return Candidate(name, version, extras, None)
        return None


def _collect_demands(
    roots: Sequence[Requirement], step: _Step, finder: CandidateFinder, reader: DependencyReader
) -> tuple[dict[str, list[Requirement]], dict[str, Candidate]]:
    """Everything that is asked of every package that is reached, and by which candidates.

    Those are the pins of the last round; a package that has none is guessed from what is asked of it
    so far.
    """
    demands: dict[str, list[Requirement]] = {}
    expanded: dict[str, Candidate] = {}
    queue = deque(roots)
    while queue:
        requirement = queue.popleft()
        asked = demands.setdefault(requirement.name, [])
        asked.append(requirement)
        candidate = _current(requirement.name, asked, step, expanded, finder)
        if candidate is not None and expanded.get(requirement.name) != candidate:
            expanded[requirement.name] = candidate
            queue.extend(reader.dependencies(candidate))
    return demands, expanded


def _current(
    name: str,
    asked: Sequence[Requirement],
    step: _Step,
    expanded: Mapping[str, Candidate],
    finder: CandidateFinder,
) -> Candidate | None:
    """The candidate to expand: the pin or first guess, with all extras that are asked for by now."""
    extras = requirement_extras(asked)
    known = expanded.get(name) or step.pins.get(name)
    if known is None:
        return step.best(name, asked, finder)
    if extras == known.extras:
        return known
    return Candidate(name, known.version, extras, known.file)


def _settle(
    demands: Mapping[str, Sequence[Requirement]],
    step: _Step,
    finder: CandidateFinder,
    layer: CondaLayer | None,
) -> _Step | Stuck:
    """The best conda part, and the best candidate of every package, under all demands."""
    settled = _settle_conda(demands, step, layer) if layer else step
    if settled is None:
        return Stuck()
    pins = {name: settled.best(name, asked, finder) for name, asked in demands.items()}
    left_without = tuple(name for name, candidate in pins.items() if candidate is None)
    if left_without:
        return Stuck(left_without, demands, step.pins)
    return settled._replace(pins={name: pin for name, pin in pins.items() if pin is not None})


def _settle_conda(
    demands: Mapping[str, Sequence[Requirement]], step: _Step, layer: CondaLayer
) -> _Step | None:
    """The best conda part under the demands on what it brings, beside what comes from PyPI.

    Only what some conda part has brought is asked about: the channels have most of PyPI, and to read all of
    it for nothing would take longer than to resolve.
    """
    solution, brought = step.conda, step.brought
    in_the_way = dict(step.in_the_way)
    for _ in range(_MAX_ROUNDS):
        brought |= demands.keys() & solution.provides.keys() if solution else frozenset()
        on_conda = {name: frozenset(_specifiers(demands[name])) for name in brought & demands.keys()}
        solution = layer.solve(on_conda, in_the_way)
        if solution is None:
            return None
        from_pypi = {
            name: pin.version
            for name, pin in step.pins.items()
            if pin.file is not None and name not in solution.provides
        }
        constrained = layer.in_the_way(solution, from_pypi)
        in_the_way |= constrained
        if not constrained and demands.keys() & solution.provides.keys() <= brought:
            return _Step(step.pins, solution, in_the_way, brought)
    return None


def _specifiers(asked: Sequence[Requirement]) -> list[str]:
    return list({requirement.specifier: None for requirement in asked if requirement.specifier})
