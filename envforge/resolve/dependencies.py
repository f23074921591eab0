"""What a candidate needs on a target: the requirements of its metadata whose markers hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from envforge.errors import BuildError, MetadataError, UnknownPackageError
from envforge.model.markers import holding_requirements, marker_holds, python_admitted
from envforge.model.release import CoreMetadata, IndexFile, PackageSource
from envforge.model.requirement import Requirement
from envforge.model.rules import NO_RULES, Rules
from envforge.model.target import Target
from envforge.resolve.candidates import Candidate, CandidateFinder
from envforge.struct import replace

if TYPE_CHECKING:
    from envforge.resolve.torch_match import TorchDemand


class UnusableCandidateError(Exception):
    """A release turned out to be unusable once its metadata was read. The resolver goes on without it.

    Args:
        reason: half a sentence.
        build: how it failed to build, None for other reasons.
    """

    def __init__(self, reason: str, build: BuildError | None = None) -> None:
        super().__init__(reason)
        self.build = build


class DependencyReader:
    """Reads, and remembers, what candidates of one target need.

    Args:
        source: of metadata.
        target: what is resolved for.
        rules: of the project, over the heads of packages.
    """

    def __init__(self, source: PackageSource, target: Target, rules: Rules = NO_RULES) -> None:
        self.source = source
        self.target = target
        self.rules = rules
        self._finder = CandidateFinder(source, target, rules=rules)
        self._known: dict[Candidate, tuple[Requirement, ...]] = {}
        self._requires_pythons: set[str] = set()
        self._unbuildable: dict[str, tuple[str, BuildError]] = {}

    def dependencies(self, candidate: Candidate) -> tuple[Requirement, ...]:
        """Requirements that hold for the target, with the candidate's extras active.

        Raises:
            UnusableCandidateError: metadata is broken, does not admit the Python, or points to a URL, which
                only the project itself and what it takes from a folder or URL may do; the label of the
                version is for another build of torch.
        """
        if candidate not in self._known:
            self._known[candidate] = tuple(self.rules.constrained(self._read(candidate), self.target))
        return self._known[candidate]

    def metadata(self, candidate: Candidate, file: IndexFile) -> CoreMetadata:
        """The metadata of a candidate with all that it requires: what its version's label asks for too.

        Raises:
            MetadataError, BuildError: it cannot be had.
        """
        found = self.rules.metadata(self.source, candidate.name, candidate.version, file)
        demand = self._torch_demand(candidate, file)
        return found if demand is None else replace(found, requires=(demand.requirement, *found.requires))

    def requires_pythons(self) -> set[str]:
        """Every ``Requires-Python`` of a release's metadata that had a say so far."""
        return self._requires_pythons

    def _read(self, candidate: Candidate) -> Iterator[Requirement]:
        if candidate.file is None:
            yield from self._read_extras(candidate)
            return
        demand = self._torch_demand(candidate, candidate.file)
        if demand is not None and demand.fault:
            raise UnusableCandidateError(demand.fault)
        if demand is not None:
            yield demand.requirement
        metadata = self._read_metadata(candidate, candidate.file)
        self._requires_pythons.add(metadata.requires_python)
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

    def _torch_demand(self, candidate: Candidate, file: IndexFile) -> TorchDemand | None:
        """What the label of a wheel's version asks of torch, unless supplied metadata says all there is."""
        if "+" not in candidate.version or not file.is_wheel:
            return None
        if self.rules.supplied_for(candidate.name, candidate.version) is not None:
            return None
        from envforge.resolve.torch_match import find_torch_demand

        return find_torch_demand(candidate, self._finder)

    def _read_extras(self, candidate: Candidate) -> Iterator[Requirement]:
        """What the extras of a project that conda brings need, by the metadata of its release on PyPI.

        What the project itself needs is conda's matter. A release that PyPI does not have has no extras.
        """
        if not candidate.extras:
            return
        metadata = self.release_metadata(candidate.name, candidate.version)
        for requirement in metadata.requires if metadata else ():
            if (
                not requirement.url
                and not marker_holds(requirement.marker, self.target)
                and any(marker_holds(requirement.marker, self.target, extra) for extra in candidate.extras)
            ):
                yield requirement

    def release_metadata(self, name: str, version: str) -> CoreMetadata | None:
        """The metadata of a release on an index, whether the target could use it or not."""
        with suppress(UnknownPackageError, MetadataError, BuildError):
            page = self.source.page(name)
            if version in page.versions:
                files = sorted(page.files(version), key=lambda file: not file.is_wheel)
                return self.rules.metadata(self.source, name, version, files[0]) if files else None
        return None

    def _read_metadata(self, candidate: Candidate, file: IndexFile) -> CoreMetadata:
        """Where one release of a project does not build, older ones are not tried: each takes minutes."""
        failed_version, failure = self._unbuildable.get(candidate.name, ("", None))
        is_supplied = self.rules.supplied_for(candidate.name, candidate.version) is not None
        if failure is not None and not file.is_wheel and not is_supplied:
            if candidate.version != failed_version:
                raise UnusableCandidateError(f"not tried, because {failed_version} does not build")
            raise UnusableCandidateError(failure.message, failure)
        try:
            return self.rules.metadata(self.source, candidate.name, candidate.version, file)
        except MetadataError as error:
            raise UnusableCandidateError(error.message) from error
        except BuildError as error:
            self._unbuildable[candidate.name] = (candidate.version, error)
            raise UnusableCandidateError(error.message, error) from error


def active_requirements(
    metadata: CoreMetadata, extras: Iterable[str], target: Target
) -> Iterator[Requirement]:
    """The requirements of a release that hold for a target with some extras active.

    A requirement on the release's own project with other extras (``all = pkg[a,b]``) is given as it
    is: it leads back to the same project with more extras.
    """
    return holding_requirements(metadata.requires, target, extras)


def is_unknown(source: PackageSource, name: str) -> bool:
    """Whether no index knows a project."""
    try:
        source.page(name)
    except UnknownPackageError:
        return True
    return False
