"""Which releases can be part of an answer at all, as far as the user's own requirements decide it.

A release is out where one of its requirements, together with what the user asks of that project, admits no
release, or only such that are out themselves (arc consistency with the roots, Mackworth 1977). A search that
leaves them out meets a conflict where it begins: with the user's ``protobuf<4`` no ``grpcio-status`` from
1.49 on is viable, hence no ``google-api-core[grpc]`` from 2.11 on. resolvelib alone tried all combinations of
what had been pinned in between, and had not ended after three minutes where this takes half a second.

Nothing that could be part of an answer is ever left out: what is in doubt (a circle, a long way down, broken
metadata, a project that conda may bring) stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from envforge.errors import UnknownPackageError
from envforge.model.requirement import Requirement
from envforge.resolve.candidates import Candidate, CandidateFinder
from envforge.resolve.dependencies import DependencyReader, UnusableCandidateError

_DEEPEST = 30
"""Requirements of requirements are followed so far; each step is five calls on Python's stack."""


class Viability:
    """Judges candidates of one target, and remembers.

    Args:
        roots: the user's requirements.
        finder: of PyPI's candidates.
        reader: of their dependencies.
        is_open: whether something else than PyPI may bring a project: then nothing is known of it.
    """

    def __init__(
        self,
        roots: Iterable[Requirement],
        finder: CandidateFinder,
        reader: DependencyReader,
        is_open: Callable[[str], bool],
    ) -> None:
        self._asked: dict[str, set[str]] = {}
        for root in roots:
            if root.specifier:
                self._asked.setdefault(root.name, set()).add(root.specifier)
        self._finder = finder
        self._reader = reader
        self._is_open = is_open
        self._viable: dict[Candidate, bool] = {}
        self._can_be_met: dict[tuple[str, str, tuple[str, ...]], bool] = {}
        self._depth = 0

    def admits(self, candidate: Candidate) -> bool:
        """Whether a candidate may be part of an answer."""
        known = self._viable.get(candidate)
        if known is None:
            if self._depth == _DEEPEST:
                return True
            self._viable[candidate] = True  # as long as it is being looked at: circles are no obstacle
            self._depth += 1
            try:
                known = self._viable[candidate] = self._is_viable(candidate)
            finally:
                self._depth -= 1
        return known

    def _is_viable(self, candidate: Candidate) -> bool:
        try:
            requirements = self._reader.dependencies(candidate)
        except UnusableCandidateError:
            return True  # the search notes the reason
        return all(self._may_be_met(requirement) for requirement in requirements)

    def _may_be_met(self, requirement: Requirement) -> bool:
        if self._is_open(requirement.name):
            return True
        key = (requirement.name, requirement.specifier, tuple(requirement.extras))
        if key not in self._can_be_met:
            specifiers = {*self._asked.get(requirement.name, ()), requirement.specifier} - {""}
            extras = frozenset(requirement.extras)
            try:
                found = self._finder.matches(requirement.name, sorted(specifiers), extras)
                self._can_be_met[key] = any(self.admits(candidate) for candidate in found)
            except UnknownPackageError:
                self._can_be_met[key] = False
        return self._can_be_met[key]
