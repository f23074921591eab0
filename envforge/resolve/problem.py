"""A resolution's question as one value, and the ways to its answer: the walk, else the search."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from envforge.errors import UnknownPackageError
from envforge.model.requirement import Requirement
from envforge.model.rules import Rules
from envforge.model.target import Target
from envforge.resolve.candidates import CandidateFinder
from envforge.resolve.dependencies import DependencyReader, UnusableCandidateError
from envforge.resolve.walk import Answer, Stuck, walk
from envforge.struct import Struct, replace

if TYPE_CHECKING:
    from envforge.resolve.conda import CondaLayer
    from envforge.resolve.provider import Choice, Demand


class NoSolutionError(Exception):
    """The search is exhausted.

    Args:
        causes: (demand, the choice that makes it or None for a root) that met in the last conflict.
        unusable: why, by (name, version), for releases whose metadata ruled them out.
    """

    def __init__(
        self,
        causes: Sequence[tuple[Demand, Choice | None]],
        unusable: Mapping[tuple[str, str], UnusableCandidateError],
    ) -> None:
        super().__init__("no solution")
        self.causes = causes
        self.unusable = unusable


_USER = "your project"


class Origins(NamedTuple):
    """Whose wishes there are, for explanations.

    Args:
        variant: its name, ``""`` for none.
        requirements: its own.
        sources: project → the index that it sends the project to.
        asker: whose the other wishes are; those of a build are none of the user's.
    """

    variant: str = ""
    requirements: frozenset[Requirement] = frozenset()
    sources: Mapping[str, str] = MappingProxyType({})
    asker: str = _USER

    @property
    def is_user(self) -> bool:
        """Whether they can be changed by the user."""
        return self.asker == _USER

    def who_asks(self, requirement: Requirement) -> str:
        """``your project``, ``variant cuda``, or ``the build of flash-attn``."""
        return f"variant {self.variant}" if requirement in self.requirements else self.asker

    def facts_about(self, names: Collection[str]) -> list[str]:
        """Where projects come from, as far as the variant decides it; a sentence each."""
        return [
            f"variant {self.variant} takes {name} from index {self.sources[name]!r} only"
            for name in sorted(self.sources.keys() & set(names))
        ]


NO_ORIGINS = Origins()


class Problem(Struct, frozen=True, kw_only=True):
    """What has to be met on one target, and by what.

    Args:
        roots: the user's requirements that hold for the target, sorted.
        finder: of PyPI's candidates.
        reader: of their dependencies.
        layer: of conda's solutions, None where nothing is wanted from conda.
        origins: which roots are a variant's.
    """

    roots: tuple[Requirement, ...]
    finder: CandidateFinder
    reader: DependencyReader
    layer: CondaLayer | None = None
    origins: Origins = NO_ORIGINS

    @property
    def target(self) -> Target:
        return self.finder.target

    @property
    def rules(self) -> Rules:
        """What the project says over the heads of packages."""
        return self.reader.rules

    def who_asks(self, requirement: Requirement) -> str:
        """Whose wish a root is: ``your project``, ``variant cuda``, ``tool.envforge.constraints``."""
        if self.rules.is_constraint(requirement):
            return self.rules.place_of(requirement)
        return self.origins.who_asks(requirement)

    def with_roots(self, roots: Sequence[Requirement]) -> Problem:
        """The same question of other requirements."""
        return replace(self, roots=tuple(roots))

    def with_specs(self, specs: Sequence[str]) -> Problem:
        """The same question with other wishes for conda; without any, conda still brings Python."""
        from envforge.resolve.conda import CondaLayer

        assert self.layer is not None
        part = replace(self.layer.part, specs=tuple(specs))
        return replace(self, layer=CondaLayer(part, self.target))

    def solve(self) -> Answer:
        """Candidates that meet all demands.

        Raises:
            NoSolutionError: there are none.
            CondaUnsolvableError: the conda part has no solution, whatever PyPI packages demand.
            ResolutionError: gave up after very many steps.
        """
        try:
            reached = walk(self.roots, self.finder, self.reader, self.layer)
            if isinstance(reached, Stuck) and reached.names:
                from envforge.resolve.conflicts import settle_conflicts

                reached = settle_conflicts(self, reached)
        except UnknownPackageError:
            reached = Stuck()  # perhaps only one version of something needs it: the search can avoid that one
        if isinstance(reached, Answer):
            return reached
        from envforge.resolve.search import search

        return search(self)

    def find_failure(self) -> NoSolutionError | None:
        """Why there is no answer, None where there is one."""
        try:
            self.solve()
        except NoSolutionError as failure:
            return failure
        return None

    def pinned_version(self, name: str) -> str:
        """The version of a project in the answer.

        Raises:
            NoSolutionError: there is none.
        """
        return self.solve().pins[name].version
