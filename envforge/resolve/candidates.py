"""Which releases of a project a target may use, best first, and why the others may not.

The order: what is preferred (locked, or chosen for an earlier target), then newest first; a release
that would have to be built although it or a newer one has wheels (for others) comes after every release
with a wheel, or else a new Python would get what was released before there were wheels; pre-releases
(PEP 440) and yanked releases (PEP 592) only where they are asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import copy
from enum import StrEnum
from itertools import tee
from typing import NamedTuple

from envforge.model.markers import python_admitted
from envforge.model.release import IndexFile, PackageSource, ProjectPage, best_wheel, wheel_tags
from envforge.model.requirement import Requirement, parse_specifier, specifier_admits
from envforge.model.rules import NO_RULES, Rules
from envforge.model.tags import wheel_ranks
from envforge.model.target import Target


class Candidate(NamedTuple):
    """A release under consideration, with the extras that everybody together asks of it.

    Args:
        name: normalized.
        version: canonical.
        extras: normalized.
        file: what the target would install; None where conda brings the project.
    """

    name: str
    version: str
    extras: frozenset[str]
    file: IndexFile | None

    @property
    def is_built(self) -> bool:
        """Whether the target would have to build it."""
        return self.file is not None and not self.file.is_wheel


class Unfit(StrEnum):
    """Why a release cannot be used for a target."""

    PYTHON = "needs another Python"
    WHEEL = "has no wheel for the platform"
    ONLY_SDIST = "has only an sdist for the platform, which only-binary forbids to build"
    NO_SDIST = "has no sdist, and no-binary forbids its wheels"
    YANKED = "was yanked"


class CandidateFinder:
    """Finds candidates for one target.

    Args:
        source: where facts come from.
        target: what is resolved for.
        preferred: name → version to try first.
        rules: of the project: which kinds of files a package may have.
    """

    def __init__(
        self,
        source: PackageSource,
        target: Target,
        preferred: Mapping[str, str] | None = None,
        rules: Rules = NO_RULES,
    ) -> None:
        self.rules = rules
        self.source = source
        self.target = target
        self.preferred = preferred or {}
        self._usable: dict[tuple[str, str], IndexFile | Unfit] = {}
        self._admitted: dict[tuple[str, frozenset[str]], Iterator[str]] = {}

    def preferring(self, versions: Mapping[str, str]) -> CandidateFinder:
        """The same, with other versions to try first."""
        return CandidateFinder(self.source, self.target, {**self.preferred, **versions}, self.rules)

    def best(self, name: str, specifiers: Collection[str], extras: frozenset[str]) -> Candidate | None:
        """The first of :meth:`matches`."""
        return next(self.matches(name, specifiers, extras), None)

    def matches(
        self,
        name: str,
        specifiers: Collection[str],
        extras: frozenset[str],
        excluded: Collection[str] = (),
    ) -> Iterator[Candidate]:
        """Candidates that meet all specifiers, best first, each version at most once.

        Raises:
            UnknownPackageError: no index has the project.
        """
        page = self.source.page(name)
        last_resorts: list[Candidate] = []
        offered = set(excluded)
        publishes_wheels = False
        for version in self._admitted_versions(page, name, specifiers):
            if version in offered:
                continue
            offered.add(version)
            publishes_wheels = publishes_wheels or (
                not self.rules.wants_sdist(name) and any(file.is_wheel for file in page.files(version))
            )
            file = self._find_usable(page, version, specifiers)
            if isinstance(file, Unfit):
                continue
            candidate = Candidate(name, version, extras, file)
            if publishes_wheels and not file.is_wheel and version != self.preferred.get(name):
                last_resorts.append(candidate)
            else:
                yield candidate
        yield from last_resorts

    def unfit_versions(self, name: str, specifiers: Collection[str]) -> Iterator[tuple[str, Unfit]]:
        """Versions that meet the specifiers and still cannot be used, newest first, with the reason."""
        page = self.source.page(name)
        for version in page.versions:
            if _is_admitted(version, specifiers):
                usable = self._find_usable(page, version, specifiers)
                if isinstance(usable, Unfit):
                    yield version, usable

    def requires_pythons(self) -> set[str]:
        """Every ``Requires-Python`` of an index that had a say so far."""
        return {
            file.requires_python
            for name, version in self._usable
            for file in self.source.page(name).files(version)
        }

    def is_held_back_by_python(self, candidate: Candidate) -> bool:
        """Whether a newer release of the project serves this platform, but only other Pythons."""
        page = self.source.page(candidate.name)
        for version in page.versions:
            if version == candidate.version:
                return candidate.is_built and self.has_platform_wheel(page.files(version))
            if (
                not _is_prerelease(version)
                and isinstance(self._find_usable(page, version, ()), Unfit)
                and self.has_platform_wheel(page.files(version))
            ):
                return True
        return False

    def has_platform_wheel(self, files: Sequence[IndexFile]) -> bool:
        """Whether there is a wheel for the target's platform, for whatever Python."""
        platforms = wheel_ranks(self.target).platforms
        return any(
            tag.rsplit("-", 1)[1] in platforms
            for file in files
            if file.is_wheel and file.yanked is None
            for tag in wheel_tags(file.filename)
        )

    def _admitted_versions(self, page: ProjectPage, name: str, specifiers: Collection[str]) -> Iterator[str]:
        """:meth:`_ordered_versions`, found once: a search that goes back asks the same again and again."""
        key = (name, frozenset(specifiers))
        if key not in self._admitted:
            (self._admitted[key],) = tee(self._ordered_versions(page, name, key[1]), 1)
        return copy(self._admitted[key])

    def _ordered_versions(self, page: ProjectPage, name: str, specifiers: Collection[str]) -> Iterator[str]:
        """Versions that meet the specifiers: preferred, final, else (if no final one does) pre-releases."""
        preferred = self.preferred.get(name)
        if preferred is not None:
            yield from (each for each in _alike(preferred, page) if _is_admitted(each, specifiers))
        prereleases: list[str] = []
        found_final = False
        wants_prereleases = any(_names_prerelease(specifier) for specifier in specifiers)
        for version in page.versions:
            if not wants_prereleases and _is_prerelease(version):
                prereleases.append(version)
            elif _is_admitted(version, specifiers):
                found_final = True
                yield version
        if not found_final:
            yield from (version for version in prereleases if _is_admitted(version, specifiers))

    def _find_usable(self, page: ProjectPage, version: str, specifiers: Collection[str]) -> IndexFile | Unfit:
        key = (page.name, version)
        if key not in self._usable:
            files = page.files(version)
            # what only-binary and no-binary say is about indexes, which offer several files
            listed = not any(file.origin for file in files)
            wheel = listed and self.rules.wants_wheel(page.name)
            sdist = listed and self.rules.wants_sdist(page.name)
            kept = [file for file in files if not file.is_wheel] if sdist else files
            self._usable[key] = _choose_file(kept, self.target, may_build=not wheel)
            if sdist and not kept:
                self._usable[key] = Unfit.NO_SDIST
        usable = self._usable[key]
        if isinstance(usable, IndexFile) and usable.yanked is not None:
            is_named = any(specifier in (f"=={version}", f"==={version}") for specifier in specifiers)
            if not is_named and self.preferred.get(page.name) != version:
                return Unfit.YANKED
        return usable


def _alike(preferred: str, page: ProjectPage) -> Iterator[str]:
    """A version, then those that differ from it in the local part only: ``2.9.0+cu128``, ``2.9.0+cpu``.

    Indexes for accelerators name one release differently for each kind of hardware.
    """
    if preferred in page.versions:
        yield preferred
    public = preferred.partition("+")[0]
    yield from (each for each in page.versions if each != preferred and each.partition("+")[0] == public)


def _choose_file(files: Sequence[IndexFile], target: Target, *, may_build: bool) -> IndexFile | Unfit:
    """The file of a release that a target takes, or why it takes none."""
    refused = {
        needed for needed in {file.requires_python for file in files} if not python_admitted(needed, target)
    }
    admitted = [file for file in files if file.requires_python not in refused] if refused else files
    if not admitted:
        return Unfit.PYTHON
    present = [file for file in admitted if file.yanked is None] or admitted
    wheel = best_wheel(present, wheel_ranks(target))
    if wheel is not None:
        return wheel
    sdists = [file for file in present if not file.is_wheel]
    if not sdists:
        return Unfit.WHEEL
    if not may_build:
        return Unfit.ONLY_SDIST
    # .tar.gz is what PEP 625 asks for; the name decides between equals so that locks are the same.
    return min(sdists, key=lambda file: (not file.filename.endswith(".tar.gz"), file.filename))


def requirement_extras(requirements: Collection[Requirement]) -> frozenset[str]:
    """All extras that some requirements ask for together."""
    return frozenset(extra for requirement in requirements for extra in requirement.extras)


def _is_admitted(version: str, specifiers: Collection[str]) -> bool:
    return all(specifier_admits(specifier, version) for specifier in specifiers)


_PRERELEASE_LETTERS = frozenset("abcdev")


def _is_prerelease(version: str) -> bool:
    # Canonical text: only a, b, rc and dev make a pre-release, and a local part may have any letter.
    return not _PRERELEASE_LETTERS.isdisjoint(version.partition("+")[0])


def _names_prerelease(specifier: str) -> bool:
    if _PRERELEASE_LETTERS.isdisjoint(specifier):
        return False
    # to exclude one is not to ask for one
    named = [clause for clause in specifier.split(",") if not clause.lstrip().startswith("!=")]
    return not _PRERELEASE_LETTERS.isdisjoint("".join(named)) and bool(parse_specifier(specifier).prereleases)
