"""One target's resolution: walk, else search; then which group reaches what."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from envforge.model.markers import marker_holds, python_admitted
from envforge.model.release import IndexFile, PackageSource
from envforge.model.requirement import Requirement, parse_version
from envforge.model.resolution import Pin, TargetResolution
from envforge.model.rules import NO_RULES, Rules
from envforge.model.target import Target
from envforge.resolve.candidates import Candidate, CandidateFinder
from envforge.resolve.dependencies import DependencyReader
from envforge.resolve.problem import NO_ORIGINS, NoSolutionError, Origins, Problem
from envforge.resolve.walk import Answer
from envforge.struct import replace

if TYPE_CHECKING:
    from envforge.resolve.conda import CondaLayer, CondaPart


def resolve_target(
    groups: Mapping[str, Sequence[Requirement]],
    target: Target,
    source: PackageSource,
    preferred: Mapping[str, str],
    conda: CondaPart | None = None,
    origins: Origins = NO_ORIGINS,
    rules: Rules = NO_RULES,
) -> TargetResolution:
    """Versions for everything that any group needs on a target, all groups agreeing.

    Args:
        groups: group (see :data:`envforge.model.lock.PROJECT_GROUP`) → its requirements.
        target: what is resolved for. With a conda part that names a minor version only, the answer's
            target has the patch version that conda brings.
        source: facts; may block on the network.
        preferred: name → version to keep where it can be kept.
        conda: what is wanted from conda, None for nothing.
        origins: what of it is a variant's, to be named where there is no resolution.
        rules: what the project says over the heads of packages.

    Raises:
        ResolutionError: no set of versions meets all; the message is the explanation.
        CondaUnsolvableError: what is wanted from conda does not go together, whatever PyPI says.
        UnknownPackageError: a requirement of the user names a project that no index has.
        NetworkError: a fact that is needed cannot be had.
    """
    if rules.overrides:
        groups = {group: tuple(rules.overridden(wanted)) for group, wanted in groups.items()}
    failures: list[tuple[NoSolutionError, Problem]] = []
    for layer in [None] if conda is None else _conda_layers(conda, target):
        exact = layer.target if layer else target
        if any(_fails_alike(problem, exact) for _, problem in failures):
            continue
        problem = _problem(groups, exact, source, preferred, layer, origins, rules)
        try:
            answer = problem.solve()
        except NoSolutionError as failure:
            failures.append((failure, problem))
        else:
            return _resolution(groups, problem, answer)
    from envforge.resolve.explain import explain_failure

    raise explain_failure(*failures[0])


def _conda_layers(conda: CondaPart, target: Target) -> Iterator[CondaLayer]:
    """A layer for each patch version that the conda part can have of the target's Python, best first.

    Raises:
        CondaUnsolvableError: there is none.
    """
    from envforge.resolve.conda import CondaLayer
    from envforge.resolve.conda_solution import pypi_version

    layer = CondaLayer(conda, target).settled()
    yield layer
    if target.python == layer.target.python:
        return
    best = layer.target.python
    versions = {pypi_version(version) for version in conda.source.versions("python", target.platform)}
    for version in sorted(versions - {best}, key=parse_version, reverse=True):
        if version.startswith(f"{target.python_minor}."):
            other = CondaLayer(conda, replace(target, python=version))
            if other.solve({}) is not None:
                yield other


def _fails_alike(problem: Problem, target: Target) -> bool:
    """Whether another patch version of Python cannot help: nobody who was asked tells it from the first."""
    return not any(
        python_admitted(specifier, problem.target) != python_admitted(specifier, target)
        for specifier in {*problem.finder.requires_pythons(), *problem.reader.requires_pythons()}
    )


def _problem(
    groups: Mapping[str, Sequence[Requirement]],
    target: Target,
    source: PackageSource,
    preferred: Mapping[str, str],
    layer: CondaLayer | None,
    origins: Origins,
    rules: Rules,
) -> Problem:
    # Sorted: the order in which a manifest names things must not decide between equal answers.
    roots = sorted(
        {
            requirement
            for requirements in groups.values()
            for requirement in rules.constrained(_holding(requirements, target), target)
        },
        key=str,
    )
    return Problem(
        roots=tuple(roots),
        finder=CandidateFinder(source, target, preferred, rules),
        reader=DependencyReader(source, target, rules),
        layer=layer,
        origins=origins,
    )


def _holding(requirements: Sequence[Requirement], target: Target) -> Iterator[Requirement]:
    return (requirement for requirement in requirements if marker_holds(requirement.marker, target))


def _resolution(
    groups: Mapping[str, Sequence[Requirement]], problem: Problem, answer: Answer
) -> TargetResolution:
    return TargetResolution(
        target=problem.target,
        pins={
            name: _pin(candidate, candidate.file, problem)
            for name, candidate in sorted(answer.pins.items())
            if candidate.file is not None
        },
        groups={
            group: _reach(requirements, answer.pins, problem.reader)
            for group, requirements in sorted(groups.items())
        },
        conda=answer.conda.records if answer.conda else (),
    )


def held_back_by_python(
    resolution: TargetResolution, source: PackageSource, rules: Rules = NO_RULES
) -> list[str]:
    """Names of pins whose newer releases serve the platform, but only other Pythons; sorted."""
    finder = CandidateFinder(source, resolution.target, rules=rules)
    return [
        name
        for name, pin in resolution.pins.items()
        if finder.is_held_back_by_python(Candidate(name, pin.version, pin.extras, pin.file))
    ]


def _pin(candidate: Candidate, file: IndexFile, problem: Problem) -> Pin:
    return Pin(
        name=candidate.name,
        version=candidate.version,
        extras=candidate.extras,
        file=file,
        metadata=problem.reader.metadata(candidate, file),
    )


def _reach(
    requirements: Sequence[Requirement], pins: Mapping[str, Candidate], reader: DependencyReader
) -> frozenset[str]:
    """Names of all packages from PyPI that one group needs: its own extras only, not those of others."""
    extras: dict[str, frozenset[str]] = {}
    queue = deque(_holding(requirements, reader.target))
    while queue:
        requirement = queue.popleft()
        known = extras.get(requirement.name)
        united = (known or frozenset()) | frozenset(requirement.extras)
        if known == united:
            continue
        extras[requirement.name] = united
        pin = pins[requirement.name]
        queue.extend(reader.dependencies(Candidate(pin.name, pin.version, united, pin.file)))
    return frozenset(name for name in extras if pins[name].file is not None)
