"""The short way out of a conflict: search it alone, and walk again with the versions that it has settled on.

Where the walk is stuck, mostly few packages cannot agree (boto3 and aiobotocore about botocore) while
hundreds beside them have nothing to do with it. A search over everything looks at each of them in each of
its rounds; a search over those who ask for what cannot be had, under what is asked of them, takes a tenth.
What comes of it is only a preference: the walk checks it against all demands.

On 376 packages with three conflicts: 0.6 s instead of 1.2 s for a lock of four platforms.
"""

from __future__ import annotations

from envforge.errors import ResolutionError
from envforge.model.requirement import Requirement
from envforge.resolve.minimize import smallest_failing
from envforge.resolve.problem import NoSolutionError, Problem
from envforge.resolve.search import search_part
from envforge.resolve.walk import Answer, Stuck, walk

_MAX_CONFLICTS = 10


def settle_conflicts(problem: Problem, stuck: Stuck) -> Answer | Stuck:
    """An answer, or where it needs a search over everything.

    Args:
        problem: what has to be met.
        stuck: where its walk ended.

    Raises:
        UnknownPackageError: a project that is needed is on no index.
    """
    versions: dict[str, str] = {}
    parties: set[str] = set()
    disputed: set[str] = set()
    for _ in range(_MAX_CONFLICTS):
        # Those of former conflicts, too: else one is settled at the cost of the other.
        parties |= _parties(problem, stuck)
        asked = {requirement for name in parties for requirement in stuck.demands.get(name, ())}
        disputed.update(stuck.names)
        asked |= {root for root in problem.roots if root.name in disputed}
        try:
            pins = search_part(problem.with_roots(sorted(asked, key=str))).pins
        except (NoSolutionError, ResolutionError):
            break
        learned = {name: pin.version for name, pin in pins.items() if pin.file is not None}
        if learned.items() <= versions.items():
            break
        versions |= learned
        reached = walk(problem.roots, problem.finder.preferring(versions), problem.reader, problem.layer)
        if isinstance(reached, Answer) or not reached.names:
            return reached
        stuck = reached
    return stuck


def _parties(problem: Problem, stuck: Stuck) -> set[str]:
    """Packages whose requirements cannot be met together."""
    opposing = {requirement for name in stuck.names for requirement in _opposing(problem, stuck, name)}
    return {
        name for name, pin in stuck.pins.items() if not opposing.isdisjoint(problem.reader.dependencies(pin))
    }


def _opposing(problem: Problem, stuck: Stuck, name: str) -> set[Requirement]:
    """What is asked of a package by a smallest set of specifiers that no release meets."""
    asked = stuck.demands[name]
    extras = frozenset(extra for requirement in asked for extra in requirement.extras)
    opposing = smallest_failing(
        sorted({requirement.specifier for requirement in asked}),
        lambda part: bool(part) and problem.finder.best(name, part, extras) is None,
    )
    return {requirement for requirement in asked if requirement.specifier in opposing}
