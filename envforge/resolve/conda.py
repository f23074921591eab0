"""The conda part of a target: one thing to choose, out of the solutions of a conda solver.

A :class:`.conda_solution.CondaSolution` stands for all its records together. What PyPI packages demand of
a project that it brings (``numpy<2`` where conda has numpy) is a demand on it. Demands become constraints for
the solver by asking each version that the channel has, so that PEP 440 decides, never a likeness between its
specifiers and conda's.

Nothing here talks to a channel: :class:`envforge.model.conda.CondaSource` does.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import product

from envforge.errors import CondaUnsolvableError
from envforge.model.conda import (
    CondaQuestion,
    CondaRecord,
    CondaSource,
    VirtualPackage,
    target_virtual_packages,
)
from envforge.model.target import Target
from envforge.resolve.conda_solution import (
    PYPI_BUILD,
    CondaSolution,
    admits,
    constraint_admits,
    needs_any,
    pypi_version,
    solution_of,
)
from envforge.struct import Struct, field, replace

Demands = Mapping[str, frozenset[str]]
"""Normalized PyPI name → specifiers that its version has to meet."""

_NO_BUILD = "envforge_none"


class CondaPart(Struct, frozen=True, kw_only=True):
    """What a resolution is asked of conda.

    Args:
        source: answers.
        specs: match specs of the user that are for the target, sorted.
        constraints: match specs that hold for what is installed, and do not ask for it.
        preferred: records of the lock.
        demands: what the project says of PyPI projects wherever they come from; asks for none of them.
    """

    source: CondaSource
    specs: tuple[str, ...]
    constraints: tuple[str, ...] = ()
    preferred: tuple[CondaRecord, ...] = ()
    demands: Demands = field(default_factory=dict)


class CondaSpace(Struct, frozen=True, kw_only=True):
    """A part of all solutions.

    Args:
        specs: match specs that have to be met beside the user's.
        constraints: match specs that hold for what is installed.
        brought: PyPI name → version that comes from PyPI.
    """

    specs: frozenset[str] = frozenset()
    constraints: frozenset[str] = frozenset()
    brought: Mapping[str, str] = field(default_factory=dict)

    def __hash__(self) -> int:
        return hash((self.specs, self.constraints, frozenset(self.brought.items())))


class CondaLayer:
    """Asks a conda solver on behalf of one resolution, for one Python.

    Args:
        part: what the user wants.
        target: what is resolved for; its Python, a minor or a patch version, holds for conda too.
    """

    def __init__(self, part: CondaPart, target: Target) -> None:
        self.part = part
        self.target = target
        self.question_count = 0
        self._virtual_packages = target_virtual_packages(target)
        # Without it a solver may choose the free-threaded Python, for which few wheels are made.
        abi = target.python_minor.replace(".", "")
        self._python_constraints = (f"python_abi * *_cp{abi}",) if "." in target.python else ()
        self._ruled = self._constraints(part.demands)
        self._solved: list[tuple[CondaSpace, CondaSolution]] = []
        self._answers: dict[CondaSpace, CondaSolution | None] = {}

    @property
    def python_spec(self) -> str:
        """The target's Python; any where it names a major version only."""
        python = self.target.python
        return f"python =={python}" if python.count(".") == 2 else f"python {python}.*"

    @property
    def first_question(self) -> CondaQuestion:
        """What is asked while PyPI demands nothing."""
        return self._question(CondaSpace())

    def may_bring(self, name: str) -> bool:
        """Whether the channels have something that is a PyPI project."""
        return bool(self._conda_names(name))

    def solve(
        self, demands: Demands, brought: Mapping[str, str] | None = None, present: Collection[str] = ()
    ) -> CondaSolution | None:
        """The best solution under demands, None where there is none.

        Args:
            demands: what PyPI packages require of projects that conda may bring.
            brought: PyPI name → version that comes from PyPI: no record may be the same project, and the
                records' constraints hold for it.
            present: PyPI names that have to be among what it brings.

        Raises:
            NetworkError: a channel that had to be asked did not answer.
        """
        constraints = self._constraints(demands)
        for specs in self._specs_for(present):
            space = CondaSpace(specs=specs, constraints=constraints)
            solution = self._best_known(space, demands) or self._ask(space)
            if solution is None:
                continue
            self._solved.append((space, solution))
            in_the_way = self.in_the_way(solution, brought or {})
            if not in_the_way:
                return solution
            solution = self._ask(replace(space, brought=in_the_way))
            if solution is not None:
                return solution
        return None

    def _specs_for(self, present: Collection[str]) -> Iterator[frozenset[str]]:
        """Match specs that ask for some projects: one set for every choice of packages that bring them."""
        for names in product(*(self._conda_names(name) for name in sorted(present))):
            yield frozenset(names)

    def require_solution(self) -> CondaSolution:
        """The best solution when PyPI demands nothing.

        Raises:
            CondaUnsolvableError: there is none, whatever PyPI packages demand.
        """
        solution = self.solve({})
        if solution is None:
            self.ask_for_report({})
            raise AssertionError("a question that had no answer has one")
        return solution

    def settled(self) -> CondaLayer:
        """The same for the very Python of the best solution, which is known then without asking again.

        Raises:
            CondaUnsolvableError: there is no solution.
        """
        solution = self.require_solution()
        layer = CondaLayer(self.part, replace(self.target, python=solution.python))
        layer._solved.append((CondaSpace(), solution))
        return layer

    def ask_for_report(self, demands: Demands) -> None:
        """Ask again what has no solution, to hear why.

        Raises:
            CondaUnsolvableError: with the solver's report.
        """
        try:
            self.part.source.solve(self._question(CondaSpace(constraints=self._constraints(demands))))
        except CondaUnsolvableError as error:
            raise CondaUnsolvableError(
                f"the conda dependencies cannot be met together on {self.target.label}",
                context=[
                    f"asked for: {', '.join(self.part.specs) or 'Python'}",
                    *self._told_rules(),
                    *error.context,
                ],
                hints=error.hints,
            ) from None

    def _told_rules(self) -> Iterator[str]:
        for name, specifiers in self.part.demands.items():
            for specifier in sorted(specifiers):
                yield f"the manifest admits only {name}{specifier} (tool.envforge.constraints, overrides)"

    def best_in(self, space: CondaSpace) -> CondaSolution | None:
        """The best solution of a part of all solutions, None where it is empty."""
        return self._ask(space)

    def split(
        self, space: CondaSpace, solution: CondaSolution, consulted: Mapping[str, Collection[str]]
    ) -> Iterator[CondaSpace]:
        """What is left of a space when a solution, and all that look the same to PyPI, have failed.

        Two solutions look the same where every specifier that was consulted says the same of what they
        bring. The space falls apart (Lawler 1972) into one where the first consulted project looks
        different, one where it looks the same and the second one different, and so on.
        """
        for name in sorted(consulted):
            version = solution.provides.get(name)
            if version is None:
                for conda_name in self._conda_names(name):
                    yield replace(space, specs=space.specs | {conda_name})
                same = self._let_through(name, ())
            else:
                versions = self.versions(name)
                look = _looks(version, consulted[name])
                alike = [other for other in versions if _looks(other, consulted[name]) == look]
                different = self._let_through(name, [other for other in versions if other not in alike])
                yield replace(space, constraints=space.constraints | different)
                same = self._let_through(name, alike)
            space = replace(space, constraints=space.constraints | same)

    def in_the_way(self, solution: CondaSolution, brought: Mapping[str, str]) -> dict[str, str]:
        """What of the releases from PyPI a solution has itself, or constrains to something else."""
        return {
            name: version
            for name, version in brought.items()
            if name in solution.provides or self._is_constrained(name, version, solution)
        }

    def _is_constrained(self, name: str, version: str, solution: CondaSolution) -> bool:
        others = self.part.source.other_names(name, self.target.platform)
        if name not in solution.constrained_names and solution.constrains.keys().isdisjoint(others):
            return False  # most often, and nothing had to be read to know it
        return any(
            not constraint_admits(constraint, conda_name, version)
            for conda_name in self._conda_names(name)
            for constraint in solution.constrains.get(conda_name, ())
        )

    def _constraints(self, demands: Demands) -> frozenset[str]:
        """Match specs that let through what meets all demands."""
        constraints: set[str] = set()
        for name, specifiers in demands.items():
            needed = [specifier for specifier in specifiers if specifier]
            if needed:
                admitted = [
                    version
                    for version in self.versions(name)
                    if all(admits(specifier, version) for specifier in needed)
                ]
                constraints |= self._let_through(name, admitted)
        return frozenset(constraints)

    def versions(self, name: str) -> frozenset[str]:
        """All versions of a project that conda may bring, as PEP 440 spells them."""
        return frozenset(
            pypi_version(version)
            for conda_name in self._conda_names(name)
            for version in self.part.source.versions(conda_name, self.target.platform)
        )

    def _let_through(self, name: str, admitted: Collection[str]) -> frozenset[str]:
        """Match specs that let some versions of a project through, and no others."""
        constraints = set()
        for conda_name in self._conda_names(name):
            versions = sorted(self.part.source.versions(conda_name, self.target.platform))
            kept = [version for version in versions if pypi_version(version) in admitted]
            if not kept:
                constraints.add(f"{conda_name} * {_NO_BUILD}")
            elif 2 * len(kept) <= len(versions):
                constraints.add(f"{conda_name} {'|'.join(f'=={version}' for version in kept)}")
            elif len(kept) < len(versions):
                refused = [version for version in versions if version not in kept]
                constraints.add(f"{conda_name} {','.join(f'!={version}' for version in refused)}")
        return frozenset(constraints)

    def _conda_names(self, name: str) -> Sequence[str]:
        return self.part.source.conda_names(name, self.target.platform)

    def _best_known(self, space: CondaSpace, demands: Demands) -> CondaSolution | None:
        """A solution found before that is the best for this question too.

        It was the best under fewer constraints, and meets those that have come since.
        """
        for asked, solution in self._solved:
            if (
                asked.specs <= space.specs <= {record.name for record in solution.records}
                and asked.constraints <= space.constraints
                and all(
                    solution.meets(name, specifier)
                    for name, specifiers in demands.items()
                    for specifier in specifiers
                )
            ):
                return solution
        return None

    def _ask(self, space: CondaSpace) -> CondaSolution | None:
        if space not in self._answers:
            self._answers[space] = self._solve_beside(space)
        return self._answers[space]

    def _solve_beside(self, space: CondaSpace) -> CondaSolution | None:
        """The best solution of a space, none of whose records is, or needs, what comes from PyPI.

        To the solver it is there, as a virtual package: so records' constraints on it hold. A record that
        takes it for what it needs is forbidden, with all like it, and the solver asked again.
        """
        virtual = [
            VirtualPackage(conda_name, version, PYPI_BUILD)
            for name, version in sorted(space.brought.items())
            for conda_name in self._conda_names(name)
        ]
        absent = {package.name for package in virtual}
        forbidden: set[str] = set()
        while True:
            self.question_count += 1
            try:
                records = self.part.source.solve(self._question(space, virtual, forbidden))
            except CondaUnsolvableError:
                return None
            leaning = {record.name for record in records if needs_any(record, absent)}
            if not leaning:
                solution = solution_of(records)
                return None if solution.provides.keys() & space.brought.keys() else solution
            more = {spec for name in leaning for spec in self._let_through_without(name, absent)}
            if more <= forbidden:
                raise AssertionError(f"{sorted(leaning)} are forbidden, and chosen all the same")
            forbidden |= more

    def _let_through_without(self, conda_name: str, absent: Collection[str]) -> list[str]:
        """Match specs that let through the records of a package that need none of some others."""
        records = self.part.source.records(conda_name, self.target.platform)
        free = {record.version for record in records if not needs_any(record, absent)}
        leaning = [record for record in records if needs_any(record, absent)]
        versions = sorted({f"!={record.version}" for record in leaning if record.version not in free})
        builds = sorted({re.escape(record.build) for record in leaning if record.version in free})
        return [
            *([f"{conda_name} {','.join(versions)}"] if versions else []),
            *([f"{conda_name} * ^(?!({'|'.join(builds)})$).*$"] if builds else []),
        ]

    def _question(
        self, space: CondaSpace, virtual: Sequence[VirtualPackage] = (), forbidden: Collection[str] = ()
    ) -> CondaQuestion:
        demanded = [f"{package.name} =={package.version} {package.build}" for package in virtual]
        constraints = {
            *self.part.constraints,
            *self._python_constraints,
            *self._ruled,
            *space.constraints,
            *forbidden,
        }
        return CondaQuestion(
            platform=self.target.platform,
            specs=tuple(sorted({*self.part.specs, self.python_spec, *space.specs, *demanded})),
            constraints=tuple(sorted(constraints)),
            virtual_packages=(*self._virtual_packages, *virtual),
            preferred=self.part.preferred,
        )


def _looks(version: str, specifiers: Collection[str]) -> tuple[bool, ...]:
    """What some specifiers say of a version, in a fixed order."""
    return tuple(admits(specifier, version) for specifier in sorted(specifiers))
