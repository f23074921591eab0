"""The complete way to a resolution: resolvelib's search with back-jumping.

One identifier is one project. The extras that anybody asks of a project are united in its candidate,
so that a project never has two versions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from resolvelib import AbstractProvider, BaseReporter, ResolutionImpossible, ResolutionTooDeep
from resolvelib.resolvers import Resolution

from envforge.errors import ResolutionError, UnknownPackageError
from envforge.model.requirement import Requirement, specifier_admits
from envforge.resolve.candidates import Candidate, CandidateFinder, requirement_extras
from envforge.resolve.dependencies import DependencyReader, UnusableCandidateError

_MAX_ROUNDS = 200_000
_UNUSABLE = "\0unusable"


class NoSolutionError(Exception):
    """The search is exhausted.

    Args:
        causes: (requirement, the candidate that has it or None for a root) that met in the last conflict.
        unusable: reason by (name, version) for releases whose metadata ruled them out.
    """

    def __init__(
        self,
        causes: Sequence[tuple[Requirement, Candidate | None]],
        unusable: Mapping[tuple[str, str], str],
    ) -> None:
        super().__init__("no solution")
        self.causes = causes
        self.unusable = unusable


def search(
    roots: Sequence[Requirement], finder: CandidateFinder, reader: DependencyReader
) -> dict[str, Candidate]:
    """Candidates by name that meet all demands.

    Args:
        roots: requirements that hold for the finder's target.

    Raises:
        NoSolutionError: there are none.
        ResolutionError: gave up after very many rounds.
    """
    provider = _Provider(finder, reader)
    # Not Resolver: it follows parents to the roots without looking for cycles, and never ends where
    # two packages that need each other are pinned and no longer needed by anybody else.
    resolution: Resolution[Requirement, Candidate, str] = Resolution(provider, BaseReporter())
    try:
        state = resolution.resolve(list(roots), max_rounds=_MAX_ROUNDS)
    except ResolutionImpossible as impossible:
        causes = [(cause.requirement, cause.parent) for cause in impossible.causes]
        raise NoSolutionError(causes, provider.unusable) from None
    except ResolutionTooDeep:
        raise ResolutionError(
            f"no solution found in {_MAX_ROUNDS:,} steps for {finder.target.label}",
            hints=["give lower bounds to the packages whose old versions are being tried"],
        ) from None
    return _connected(roots, state.mapping, reader)


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


class _Provider(AbstractProvider[Requirement, Candidate, str]):
    """resolvelib's questions, answered from a finder and a reader."""

    def __init__(self, finder: CandidateFinder, reader: DependencyReader) -> None:
        self._finder = finder
        self._reader = reader
        self.unusable: dict[tuple[str, str], str] = {}

    def identify(self, requirement_or_candidate: Requirement | Candidate) -> str:
        return requirement_or_candidate.name

    def get_preference(
        self,
        identifier: str,
        resolutions: Mapping[str, Candidate],
        candidates: Mapping[str, Iterator[Candidate]],
        information: Mapping[str, Iterator[Any]],
        backtrack_causes: Sequence[Any],
    ) -> tuple[bool, bool, bool, str]:
        """What to pin first: what is in conflict, what has one version, what is bounded; then by name.

        Looks at texts only: asking for candidates here would fetch pages for an order.
        """
        in_conflict = any(
            identifier in (cause.requirement.name, cause.parent.name if cause.parent else "")
            for cause in backtrack_causes
        )
        specifiers = [fact.requirement.specifier for fact in information[identifier]]
        is_exact = any("==" in specifier for specifier in specifiers)
        is_bounded = any(specifiers)
        return (not in_conflict, not is_exact, not is_bounded, identifier)

    def find_matches(
        self,
        identifier: str,
        requirements: Mapping[str, Iterator[Requirement]],
        incompatibilities: Mapping[str, Iterator[Candidate]],
    ) -> Any:
        asked = list(requirements[identifier])
        refused = {candidate.version for candidate in incompatibilities[identifier]}
        if identifier.startswith(_UNUSABLE):
            return ()
        specifiers = list({requirement.specifier: None for requirement in asked if requirement.specifier})
        extras = requirement_extras(asked)

        def matches() -> Iterator[Candidate]:
            try:
                yield from self._finder.matches(identifier, specifiers, extras, refused)
            except UnknownPackageError:
                # A candidate that needs a project that does not exist is no candidate; whether the
                # user named it is asked when the failure is explained.
                return

        return matches

    def is_satisfied_by(self, requirement: Requirement, candidate: Candidate) -> bool:
        return candidate.extras.issuperset(requirement.extras) and specifier_admits(
            requirement.specifier, candidate.version
        )

    def get_dependencies(self, candidate: Candidate) -> Iterable[Requirement]:
        try:
            return self._reader.dependencies(candidate)
        except UnusableCandidateError as error:
            self.unusable[candidate.name, candidate.version] = str(error)
            # A demand that nothing can meet: the search goes on with the next version.
            return (Requirement(f"{_UNUSABLE} {candidate.name} {candidate.version}"),)
