"""What a project says over the heads of packages: constraints, overrides, supplied metadata, kinds of files.

A constraint holds for a package that is installed anyway and asks for nothing. An override stands in the
place of whatever anybody requires of a package; one whose marker does not hold does away with the
requirement. Supplied metadata is taken for that of a release, whose own is not read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from envforge.model.markers import marker_holds
from envforge.model.release import CoreMetadata, IndexFile, PackageSource
from envforge.model.requirement import Requirement, parse_requirement
from envforge.model.target import Target
from envforge.struct import Struct, field, replace

EVERYTHING = "*"
"""In the place of a name: every package."""


class SuppliedMetadata(Struct, frozen=True, kw_only=True):
    """What a release says, by the manifest.

    Args:
        version: canonical, of the release; ``""`` for all that have no entry of their own.
        requires: in place of ``Requires-Dist``.
        requires_python: specifier, ``""`` for any.
    """

    version: str = ""
    requires: tuple[Requirement, ...] = ()
    requires_python: str = ""


class Rules(Struct, frozen=True, kw_only=True):
    """All of it; names are normalized.

    Args:
        constraints: project → requirements without extras.
        overrides: project → requirements that replace all others on it.
        supplied: project → metadata.
        only_binary: projects whose sdists are as good as not there; :data:`EVERYTHING` for all but those
            that ``no_binary`` names.
        no_binary: likewise projects whose wheels are.
        constrained_by: project → whose its constraints are, where not ``tool.envforge.constraints``'.
    """

    constraints: Mapping[str, tuple[Requirement, ...]] = field(default_factory=dict)
    overrides: Mapping[str, tuple[Requirement, ...]] = field(default_factory=dict)
    supplied: Mapping[str, tuple[SuppliedMetadata, ...]] = field(default_factory=dict)
    only_binary: frozenset[str] = frozenset()
    no_binary: frozenset[str] = frozenset()
    constrained_by: Mapping[str, str] = field(default_factory=dict)

    def wants_wheel(self, name: str) -> bool:
        """Whether nothing of a project may be built."""
        return name in self.only_binary or (EVERYTHING in self.only_binary and name not in self.no_binary)

    def wants_sdist(self, name: str) -> bool:
        """Whether everything of a project has to be built."""
        return name in self.no_binary or (EVERYTHING in self.no_binary and name not in self.only_binary)

    def overridden(self, requirements: Iterable[Requirement]) -> Iterator[Requirement]:
        """Requirements with those replaced that are overridden. Extras that somebody wants stay wanted."""
        for requirement in requirements:
            instead = self.overrides.get(requirement.name)
            if instead is None:
                yield requirement
            else:
                yield from (_in_place_of(requirement, each) for each in instead)

    def constrained(self, requirements: Iterable[Requirement], target: Target) -> Iterator[Requirement]:
        """Requirements, each followed by the constraints on its project that hold for a target."""
        for requirement in requirements:
            yield requirement
            for constraint in self.constraints.get(requirement.name, ()):
                if marker_holds(constraint.marker, target):
                    yield constraint

    def metadata(self, source: PackageSource, name: str, version: str, file: IndexFile) -> CoreMetadata:
        """The metadata of a release as the project sees it.

        Args:
            source: is asked where nothing is supplied.
            name: of the project.
            version: canonical.
            file: of the release.

        Raises:
            MetadataError, BuildError, NetworkError: as of the source.
        """
        supplied = self.supplied_for(name, version)
        if supplied is None:
            found = source.metadata(file)
        else:
            found = CoreMetadata(
                name=name,
                version=version,
                requires_python=supplied.requires_python,
                requires=supplied.requires,
            )
        if self.overrides and any(each.name in self.overrides for each in found.requires):
            return replace(found, requires=tuple(self.overridden(found.requires)))
        return found

    def supplied_for(self, name: str, version: str) -> SuppliedMetadata | None:
        """What is supplied for a release: for its version, else for all versions, else None."""
        if name not in self.supplied:
            return None
        entries = {each.version: each for each in self.supplied[name]}
        return entries.get(version) or entries.get("")

    def demands(self, target: Target) -> dict[str, frozenset[str]]:
        """Project → specifiers that it has to meet on a target wherever it comes from."""
        found: dict[str, set[str]] = {}
        for name, requirements in (*self.constraints.items(), *self.overrides.items()):
            for requirement in requirements:
                if requirement.specifier and marker_holds(requirement.marker, target):
                    found.setdefault(name, set()).add(requirement.specifier)
        return {name: frozenset(specifiers) for name, specifiers in found.items()}

    def is_constraint(self, requirement: Requirement) -> bool:
        """Whether a requirement that a resolution met is a constraint."""
        return requirement in self.constraints.get(requirement.name, ())

    def place_of(self, requirement: Requirement) -> str:
        """What a requirement that a resolution met is from, ``tool.envforge.overrides``; ``""`` for none."""
        if self.is_constraint(requirement):
            return self.constrained_by.get(requirement.name, "tool.envforge.constraints")
        return "tool.envforge.overrides" if requirement.name in self.overrides else ""


NO_RULES = Rules()


def _in_place_of(requirement: Requirement, override: Requirement) -> Requirement:
    """The override, with the extras of what it replaces and only where that was asked for."""
    extras = tuple(sorted({*requirement.extras, *override.extras}))
    if not requirement.marker:
        return replace(override, extras=extras)
    marker = f"({requirement.marker}) and ({override.marker})" if override.marker else requirement.marker
    return parse_requirement(str(replace(override, extras=extras, marker=marker)))
