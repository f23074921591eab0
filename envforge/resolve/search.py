"""The complete way to a resolution: resolvelib's search with back-jumping, over PyPI and conda."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from resolvelib import BaseReporter, ResolutionImpossible, ResolutionTooDeep
from resolvelib.resolvers import Resolution

from envforge.errors import ResolutionError
from envforge.model.requirement import Requirement
from envforge.resolve.candidates import Candidate
from envforge.resolve.conda import CondaLayer, CondaSpace
from envforge.resolve.conda_solution import CondaSolution
from envforge.resolve.dependencies import DependencyReader
from envforge.resolve.problem import NoSolutionError, Problem
from envforge.resolve.provider import CONDA, Choice, Demand, Provider
from envforge.resolve.viability import Viability
from envforge.resolve.walk import Answer
from envforge.struct import replace

_MAX_ROUNDS = 200_000
_MAX_EXPLAINING_ROUNDS = 2_000
_MAX_ROUNDS_OF_PART = 2_000
_MAX_CONDA_SOLUTIONS = 500


def search(problem: Problem) -> Answer:
    """Candidates that meet all demands.

    Raises:
        NoSolutionError: there are none.
        ResolutionError: gave up after very many rounds.
    """
    try:
        return _search_viable(problem)
    except NoSolutionError as failure:
        if problem.layer is None:
            raise _told_by_all(problem, failure) from None
        # Where it fails although conda has whatever is asked for, conda has no part in the conflict.
        anything = Provider(problem.finder, problem.reader, problem.layer, conda_has_anything=True)
        _search_once(problem.roots, anything)
        return _search_every_solution(problem, problem.layer, failure)


def search_part(problem: Problem) -> Answer:
    """The same for a part of a problem: gives up soon, and explains nothing.

    Raises:
        NoSolutionError: there are none, or such that a mere presence in conda decides.
        ResolutionError: gave up.
    """
    return _search_viable(problem, _MAX_ROUNDS_OF_PART)


def _search_viable(problem: Problem, max_rounds: int = 0) -> Answer:
    """Search among the candidates that the user's requirements leave."""
    finder, reader, layer = problem.finder, problem.reader, problem.layer
    may_bring = layer.may_bring if layer is not None else lambda _: False
    viability = Viability(problem.roots, finder, reader, may_bring)
    provider = Provider(finder, reader, layer, may_be_pinned=viability.admits)
    return _search_once(problem.roots, provider, max_rounds)


def _told_by_all(problem: Problem, failure: NoSolutionError) -> NoSolutionError:
    """The failure of a search that leaves nothing out: it tells who met, if it ends in time."""
    try:
        _search_once(problem.roots, Provider(problem.finder, problem.reader), _MAX_EXPLAINING_ROUNDS)
    except NoSolutionError as told:
        return told
    except ResolutionError:
        return failure
    raise AssertionError("a release that is part of an answer was left out")


def _search_every_solution(problem: Problem, layer: CondaLayer, failure: NoSolutionError) -> Answer:
    """Try one conda solution after the other, each standing for all that look the same to PyPI.

    The search before learned from demands only. It misses an answer where a project's mere presence or
    absence on conda's side decides.

    Raises:
        NoSolutionError: ``failure``, when no solution is left.
    """
    spaces = deque([CondaSpace()])
    failed: set[CondaSolution] = set()
    while spaces:
        if len(failed) > _MAX_CONDA_SOLUTIONS:
            raise ResolutionError(
                f"no solution found with {_MAX_CONDA_SOLUTIONS} conda parts for {problem.target.label}",
                hints=["give lower bounds to the packages that both conda and PyPI have"],
            )
        space = spaces.popleft()
        solution = layer.best_in(space)
        if solution is None:
            continue
        provider = Provider(problem.finder, problem.reader, layer, solution=solution)
        try:
            return _search_once(problem.roots, provider)
        except NoSolutionError:
            failed.add(solution)
            spaces.extend(layer.split(space, solution, provider.consulted))
            spaces.extend(
                replace(space, brought={**space.brought, name: version})
                for name, version in provider.in_the_way.items()
                if name not in space.brought
            )
    raise failure


def _search_once(roots: Sequence[Requirement], provider: Provider, max_rounds: int = 0) -> Answer:
    # Not Resolver: it follows parents to the roots without looking for cycles, and never ends where
    # two packages that need each other are pinned and no longer needed by anybody else.
    resolution: Resolution[Demand, Choice, str] = Resolution(provider, BaseReporter())
    max_rounds = max_rounds or _MAX_ROUNDS
    try:
        state = resolution.resolve(provider.demands_of(roots), max_rounds=max_rounds)
    except ResolutionImpossible as impossible:
        causes = [(cause.requirement, cause.parent) for cause in impossible.causes]
        raise NoSolutionError(causes, provider.unusable) from None
    except ResolutionTooDeep:
        raise ResolutionError(
            f"no solution found in {max_rounds:,} steps for {provider.label}",
            hints=["give lower bounds to the packages whose old versions are being tried"],
        ) from None
    pins = {name: choice for name, choice in state.mapping.items() if isinstance(choice, Candidate)}
    conda = state.mapping.get(CONDA)
    return Answer(
        _connected(roots, pins, provider.reader), conda if isinstance(conda, CondaSolution) else None
    )


def _connected(
    roots: Sequence[Requirement], pins: Mapping[str, Candidate], reader: DependencyReader
) -> dict[str, Candidate]:
    """The pins that the roots lead to, with the extras that are asked for on the way.

    A search leaves behind what it pinned for candidates that it gave up.
    """
    connected: dict[str, Candidate] = {}
    queue = deque(roots)
    while queue:
        requirement = queue.popleft()
        known = connected.get(requirement.name)
        extras = frozenset(requirement.extras) | (known.extras if known else frozenset())
        if known is None or known.extras != extras:
            pin = pins[requirement.name]
            connected[pin.name] = Candidate(pin.name, pin.version, extras, pin.file)
            queue.extend(reader.dependencies(connected[pin.name]))
    return connected
