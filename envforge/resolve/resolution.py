"""One target's resolution: walk, else search; then which group reaches what."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from envforge.errors import ResolutionError, UnknownPackageError
from envforge.model.release import PackageSource
from envforge.model.requirement import Requirement
from envforge.model.resolution import Pin, TargetResolution
from envforge.model.target import Target, marker_holds
from envforge.resolve.candidates import Candidate, CandidateFinder
from envforge.resolve.dependencies import DependencyReader
from envforge.resolve.walk import walk


def resolve_target(
    groups: Mapping[str, Sequence[Requirement]],
    target: Target,
    source: PackageSource,
    preferred: Mapping[str, str],
) -> TargetResolution:
    """Versions for everything that any group needs on a target, all groups agreeing.

    Args:
        groups: group (see :data:`envforge.model.lock.PROJECT_GROUP`) → its requirements.
        target: what is resolved for.
        source: facts; may block on the network.
        preferred: name → version to keep where it can be kept.

    Raises:
        ResolutionError: no set of versions meets all; the message is the explanation.
        UnknownPackageError: a requirement of the user names a project that no index has.
        NetworkError: a fact that is needed cannot be had.
    """
    # Sorted: the order in which a manifest names things must not decide between equal answers.
    roots = sorted(
        {
            requirement
            for requirements in groups.values()
            for requirement in requirements
            if marker_holds(requirement.marker, target)
        },
        key=str,
    )
    _refuse_direct_references(roots)
    finder = CandidateFinder(source, target, preferred)
    reader = DependencyReader(source, target)
    pins = _solve(roots, finder, reader)
    return TargetResolution(
        target=target,
        pins={name: _pin(candidate, source) for name, candidate in sorted(pins.items())},
        groups={group: _reach(requirements, pins, reader) for group, requirements in sorted(groups.items())},
    )


def held_back_by_python(resolution: TargetResolution, source: PackageSource) -> list[str]:
    """Names of pins whose newer releases serve the platform, but only other Pythons; sorted."""
    finder = CandidateFinder(source, resolution.target)
    return [
        name
        for name, pin in resolution.pins.items()
        if finder.is_held_back_by_python(Candidate(name, pin.version, pin.extras, pin.file))
    ]


def _solve(
    roots: Sequence[Requirement], finder: CandidateFinder, reader: DependencyReader
) -> dict[str, Candidate]:
    try:
        settled = walk(roots, finder, reader)
    except UnknownPackageError:
        settled = None  # perhaps only one version of something needs it: the search can avoid that one
    if settled is not None:
        return settled
    from envforge.resolve.search import NoSolutionError, search

    try:
        return search(roots, finder, reader)
    except NoSolutionError as failure:
        from envforge.resolve.explain import explain_failure

        raise explain_failure(failure, roots, finder, reader) from None


def _pin(candidate: Candidate, source: PackageSource) -> Pin:
    return Pin(
        name=candidate.name,
        version=candidate.version,
        extras=candidate.extras,
        file=candidate.file,
        metadata=source.metadata(candidate.file),
    )


def _reach(
    requirements: Sequence[Requirement], pins: Mapping[str, Candidate], reader: DependencyReader
) -> frozenset[str]:
    """Names of all packages that one group needs: its own extras only, not those of other groups."""
    extras: dict[str, frozenset[str]] = {}
    queue = deque(item for item in requirements if marker_holds(item.marker, reader.target))
    while queue:
        requirement = queue.popleft()
        known = extras.get(requirement.name)
        united = (known or frozenset()) | frozenset(requirement.extras)
        if known == united:
            continue
        extras[requirement.name] = united
        pin = pins[requirement.name]
        queue.extend(reader.dependencies(Candidate(pin.name, pin.version, united, pin.file)))
    return frozenset(extras)


def _refuse_direct_references(roots: Sequence[Requirement]) -> None:
    direct = [requirement for requirement in roots if requirement.url]
    if direct:
        raise ResolutionError(
            "direct references (name @ URL) are not supported yet",
            context=[str(requirement) for requirement in direct],
            hints=["name a release on an index instead, e.g. " + direct[0].name],
        )
