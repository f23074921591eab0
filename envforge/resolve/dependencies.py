"""What a candidate needs on a target: the requirements of its metadata whose markers hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from envforge.errors import BuildError, MetadataError, UnknownPackageError
from envforge.model.release import CoreMetadata, PackageSource
from envforge.model.requirement import Requirement
from envforge.model.target import Target, marker_holds, python_admitted
from envforge.resolve.candidates import Candidate


class UnusableCandidateError(Exception):
    """A release turned out to be unusable once its metadata was read. The resolver goes on without it."""


@dataclass(slots=True)
class DependencyReader:
    """Reads, and remembers, what candidates of one target need."""

    source: PackageSource
    target: Target
    _known: dict[Candidate, tuple[Requirement, ...]] = field(default_factory=dict)
    _unbuildable: dict[str, tuple[str, str]] = field(default_factory=dict)

    def dependencies(self, candidate: Candidate) -> tuple[Requirement, ...]:
        """Requirements that hold for the target, with the candidate's extras active.

        Raises:
            UnusableCandidateError: metadata is broken, does not admit the Python, or points to a URL.
        """
        if candidate not in self._known:
            self._known[candidate] = tuple(self._read(candidate))
        return self._known[candidate]

    def _read(self, candidate: Candidate) -> Iterator[Requirement]:
        metadata = self._read_metadata(candidate)
        if not python_admitted(metadata.requires_python, self.target):
            raise UnusableCandidateError(
                f"{candidate.name} {candidate.version} requires Python {metadata.requires_python}"
            )
        for requirement in active_requirements(metadata, candidate.extras, self.target):
            if requirement.url:
                raise UnusableCandidateError(
                    f"{candidate.name} {candidate.version} requires a direct reference: {requirement}"
                )
            yield requirement

    def _read_metadata(self, candidate: Candidate) -> CoreMetadata:
        """Where one release of a project does not build, older ones are not tried: each takes minutes."""
        failed_version, reason = self._unbuildable.get(candidate.name, ("", ""))
        if failed_version and not candidate.file.is_wheel:
            if candidate.version != failed_version:
                reason = f"not tried, because {failed_version} does not build"
            raise UnusableCandidateError(reason)
        try:
            return self.source.metadata(candidate.file)
        except MetadataError as error:
            raise UnusableCandidateError(error.message) from error
        except BuildError as error:
            reason = "; ".join([error.message, *error.context[-1:]])
            self._unbuildable[candidate.name] = (candidate.version, reason)
            raise UnusableCandidateError(reason) from error


def active_requirements(
    metadata: CoreMetadata, extras: Iterable[str], target: Target
) -> Iterator[Requirement]:
    """The requirements of a release that hold for a target with some extras active.

    A requirement on the release's own project with other extras (``all = pkg[a,b]``) is given as it
    is: it leads back to the same project with more extras.
    """
    wanted = ("", *sorted(extras))
    for requirement in metadata.requires:
        if not requirement.marker or any(marker_holds(requirement.marker, target, extra) for extra in wanted):
            yield requirement


def is_unknown(source: PackageSource, name: str) -> bool:
    """Whether no index knows a project."""
    try:
        source.page(name)
    except UnknownPackageError:
        return True
    return False
