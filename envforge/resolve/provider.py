"""resolvelib's questions, answered for PyPI and conda together.

One identifier is one project. The extras that anybody asks of a project are united in its candidate,
so that a project never has two versions. The conda part is one identifier more: its candidate is a
:class:`.conda.CondaSolution`, and whatever a release from PyPI requires of a project that conda may bring
is a demand on it too. So a conflict is between those who cause it, and the conda solver is asked again
with what was learned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from resolvelib import AbstractProvider

from envforge.errors import UnknownPackageError
from envforge.model.requirement import Requirement, specifier_admits
from envforge.resolve.candidates import Candidate, CandidateFinder, requirement_extras
from envforge.resolve.conda import CondaLayer
from envforge.resolve.conda_solution import CondaSolution, admits
from envforge.resolve.dependencies import DependencyReader, UnusableCandidateError
from envforge.struct import Struct

UNUSABLE = "\0unusable"
CONDA = "\0conda"
_WISH = ""
"""The version of a candidate that conda is asked to bring. The solution that does has the real one."""


class CondaWanted(Struct, frozen=True):
    """A demand on the conda part: there has to be one."""


class CondaDemand(Struct, frozen=True):
    """A demand on the conda part: what it brings of a project, if anything, meets a specifier."""

    name: str
    specifier: str


class FromPyPI(Struct, frozen=True):
    """A demand on the conda part: it does not bring a project, and goes with a release of it."""

    name: str
    version: str


class CondaPresence(Struct, frozen=True):
    """A demand on the conda part: it brings a project."""

    name: str


class FromConda(Struct, frozen=True):
    """A demand on a project: it is what the conda part brings."""

    name: str
    version: str


Demand = Requirement | CondaWanted | CondaDemand | CondaPresence | FromPyPI | FromConda
Choice = Candidate | CondaSolution


class Provider(AbstractProvider[Demand, Choice, str]):
    """Answers from a finder, a reader and, where something is wanted from conda, a layer.

    Args:
        finder: of PyPI's candidates.
        reader: of their dependencies.
        layer: of conda's solutions, or None.
        solution: the only conda part to consider, None for any.
        conda_has_anything: every project that conda may bring is there in whatever version is asked for,
            and needs nothing. What fails even so fails whatever conda does.
        may_be_pinned: whether a candidate of PyPI can be part of an answer at all.
    """

    def __init__(
        self,
        finder: CandidateFinder,
        reader: DependencyReader,
        layer: CondaLayer | None = None,
        *,
        solution: CondaSolution | None = None,
        conda_has_anything: bool = False,
        may_be_pinned: Callable[[Candidate], bool] = lambda _: True,
    ) -> None:
        self._finder = finder
        self._layer = layer
        self._solution = solution
        self._conda_has_anything = conda_has_anything
        self._may_be_pinned = may_be_pinned
        self.reader = reader
        self.unusable: dict[tuple[str, str], UnusableCandidateError] = {}
        self.consulted: dict[str, set[str]] = {}
        self.in_the_way: dict[str, str] = {}

    @property
    def label(self) -> str:
        """The target's."""
        return self._finder.target.label

    def demands_of(self, roots: Iterable[Requirement]) -> list[Demand]:
        """What a search starts from."""
        demands: list[Demand] = [] if self._layer is None or self._conda_has_anything else [CondaWanted()]
        for root in roots:
            demands += self._demands(root)
        return demands

    def identify(self, requirement_or_candidate: Demand | Choice) -> str:
        if isinstance(requirement_or_candidate, (Requirement, Candidate, FromConda)):
            return requirement_or_candidate.name
        return CONDA

    def get_preference(
        self,
        identifier: str,
        resolutions: Mapping[str, Choice],
        candidates: Mapping[str, Iterator[Choice]],
        information: Mapping[str, Iterator[Any]],
        backtrack_causes: Sequence[Any],
    ) -> tuple[bool, bool, bool, bool, str]:
        """What to pin first: conda, what is in conflict, what has one version, what is bounded; then by name.

        Looks at texts only: asking for candidates here would fetch pages for an order.
        """
        in_conflict = any(
            identifier
            in (self.identify(cause.requirement), self.identify(cause.parent) if cause.parent else "")
            for cause in backtrack_causes
        )
        specifiers = [
            fact.requirement.specifier
            for fact in information[identifier]
            if isinstance(fact.requirement, Requirement)
        ]
        is_exact = any("==" in specifier for specifier in specifiers)
        return (identifier != CONDA, not in_conflict, not is_exact, not any(specifiers), identifier)

    def find_matches(
        self,
        identifier: str,
        requirements: Mapping[str, Iterator[Demand]],
        incompatibilities: Mapping[str, Iterator[Choice]],
    ) -> Any:
        asked = list(requirements[identifier])
        refused = list(incompatibilities[identifier])
        if identifier == CONDA:
            return [solution for solution in self._conda_matches(asked) if solution not in refused]
        if identifier.startswith(UNUSABLE):
            return ()
        return lambda: self._matches(identifier, asked, refused)

    def is_satisfied_by(self, requirement: Demand, candidate: Choice) -> bool:
        if isinstance(candidate, CondaSolution):
            return self._is_met_by_conda(requirement, candidate)
        if isinstance(requirement, FromConda):
            return candidate.file is None and candidate.version == requirement.version
        assert isinstance(requirement, Requirement)
        if not candidate.extras.issuperset(requirement.extras):
            return False
        if candidate.file is None:
            return candidate.version == _WISH or admits(requirement.specifier, candidate.version)
        return specifier_admits(requirement.specifier, candidate.version)

    def get_dependencies(self, candidate: Choice) -> Iterable[Demand]:
        if isinstance(candidate, CondaSolution):
            return [FromConda(name, version) for name, version in candidate.provides.items()]
        if candidate.version == _WISH:
            return [] if self._conda_has_anything else [CondaPresence(candidate.name)]
        try:
            requirements = self.reader.dependencies(candidate)
        except UnusableCandidateError as error:
            self.unusable[candidate.name, candidate.version] = error
            # A demand that nothing can meet: the search goes on with the next version.
            return (Requirement(f"{UNUSABLE} {candidate.name} {candidate.version}"),)
        if self._layer is None:
            return requirements
        demands = [demand for requirement in requirements for demand in self._demands(requirement)]
        if candidate.file is None:
            demands.append(CondaPresence(candidate.name))
        elif self._may_bring(candidate.name):
            demands.append(FromPyPI(candidate.name, candidate.version))
        return demands

    def _demands(self, requirement: Requirement) -> Iterator[Demand]:
        """A requirement, and what it means for the conda part."""
        yield requirement
        if self._may_bring(requirement.name) and not self._conda_has_anything:
            self.consulted.setdefault(requirement.name, set()).add(requirement.specifier)
            yield CondaDemand(requirement.name, requirement.specifier)

    def _may_bring(self, name: str) -> bool:
        return self._layer is not None and self._layer.may_bring(name)

    def _matches(self, name: str, asked: Sequence[Demand], refused: Sequence[Choice]) -> Iterator[Candidate]:
        required = [demand for demand in asked if isinstance(demand, Requirement)]
        specifiers = list({item.specifier: None for item in required if item.specifier})
        extras = requirement_extras(required)
        from_conda = [demand for demand in asked if isinstance(demand, FromConda)]
        if from_conda:
            brought = Candidate(name, from_conda[0].version, extras, None)
            if brought not in refused and all(self.is_satisfied_by(demand, brought) for demand in asked):
                yield brought
            return
        may_bring = self._may_bring(name)
        if not (may_bring and self._conda_has_anything):
            refused_versions = {choice.version for choice in refused if isinstance(choice, Candidate)}
            # A candidate that needs a project that does not exist is no candidate; whether the
            # user named it is asked when the failure is explained.
            with suppress(UnknownPackageError):
                found = self._finder.matches(name, specifiers, extras, refused_versions)
                yield from filter(self._may_be_pinned, found)
        wish = Candidate(name, _WISH, extras, None)
        if may_bring and wish not in refused:
            yield wish

    def _conda_matches(self, asked: Sequence[Demand]) -> Iterator[CondaSolution]:
        """The best conda part under what is asked of it: the next one comes with the next demand."""
        assert self._layer is not None
        if self._solution is not None:
            if all(self._is_met_by_conda(demand, self._solution) for demand in asked):
                yield self._solution
            return
        demands: dict[str, set[str]] = {}
        for demand in asked:
            if isinstance(demand, CondaDemand):
                demands.setdefault(demand.name, set()).add(demand.specifier)
        solution = self._layer.solve(
            {name: frozenset(specifiers) for name, specifiers in demands.items()},
            {demand.name: demand.version for demand in asked if isinstance(demand, FromPyPI)},
            [demand.name for demand in asked if isinstance(demand, CondaPresence)],
        )
        if solution is not None and all(self._is_met_by_conda(demand, solution) for demand in asked):
            yield solution

    def _is_met_by_conda(self, demand: Demand, solution: CondaSolution) -> bool:
        assert self._layer is not None
        if isinstance(demand, CondaDemand):
            return solution.meets(demand.name, demand.specifier)
        if isinstance(demand, CondaPresence):
            return demand.name in solution.provides
        if isinstance(demand, FromPyPI):
            in_the_way = self._layer.in_the_way(solution, {demand.name: demand.version})
            self.in_the_way.update(in_the_way)
            return not in_the_way
        return True
