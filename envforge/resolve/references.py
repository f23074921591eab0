"""Projects that come from one certain archive or folder: which they are, and as a package source.

What the project's own ``sources`` say of a name is the last word on it. What it does not say may be said by
a requirement (``name @ URL``) of the project itself or of another project that comes directly; if two of them
say different things, nobody can know which is meant.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from envforge.errors import ResolutionError
from envforge.model.markers import holding_requirements
from envforge.model.release import CoreMetadata, IndexFile, PackageSource, ProjectPage
from envforge.model.requirement import Requirement
from envforge.model.rules import Rules
from envforge.model.sources import DirectSource, GitSource, Origin, PathSource
from envforge.model.target import Target
from envforge.struct import Struct, replace


class DirectRelease(Struct, frozen=True, kw_only=True):
    """The one release that a place has.

    Args:
        file: what would be installed; it has the origin.
        metadata: name and version are normalized.
        sources: what the project itself says of where its requirements come from, by normalized name.
    """

    file: IndexFile
    metadata: CoreMetadata
    sources: Mapping[str, DirectSource]

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def version(self) -> str:
        return self.metadata.version

    @property
    def origin(self) -> Origin:
        assert self.file.origin is not None
        return self.file.origin


class Reference(NamedTuple):
    """Somebody's word on where a project comes from.

    Args:
        source: the place.
        said_by: ``your project``, or ``your project → lib 1.0``.
    """

    source: DirectSource
    said_by: str


LoadRelease = Callable[[str, Reference], DirectRelease]
"""(normalized name, its reference) → the release there, which has to be of that name."""

ReadUrl = Callable[[Requirement, str], DirectSource]
"""(a requirement with a URL, who has it) → the place."""


def find_references(
    roots: Iterable[Requirement],
    sources: Mapping[str, DirectSource],
    target: Target,
    rules: Rules,
    load: LoadRelease,
    read_url: ReadUrl,
) -> dict[str, DirectRelease]:
    """Normalized name → release, of all that comes directly for a target.

    Args:
        roots: the project's requirements, of all groups.
        sources: what the project says; these are there also if nobody requires them.
        target: whose markers hold.
        rules: what the project says over the heads of packages.
        load: reads a place; called once for each name.
        read_url: understands a URL.

    Raises:
        ResolutionError: one name has two sources.
    """
    return _Closure(sources, target, rules, load, read_url).close(roots)


class _Closure:
    def __init__(
        self,
        sources: Mapping[str, DirectSource],
        target: Target,
        rules: Rules,
        load: LoadRelease,
        read_url: ReadUrl,
    ) -> None:
        self._sources = sources
        self._target = target
        self._rules = rules
        self._load = load
        self._read_url = read_url
        self._found: dict[str, tuple[Reference, DirectRelease]] = {}
        self._extras: dict[str, frozenset[str]] = {}
        self._changed: deque[str] = deque()

    def close(self, roots: Iterable[Requirement]) -> dict[str, DirectRelease]:
        for name, source in sorted(self._sources.items()):
            self._take(name, Reference(source, "your project"))
        holding = holding_requirements(self._rules.overridden(roots), self._target, ())
        self._follow(sorted(holding, key=str), {}, "your project")
        while self._changed:
            name = self._changed.popleft()
            reference, release = self._found[name]
            requires = holding_requirements(
                self._rules.overridden(release.metadata.requires), self._target, sorted(self._extras[name])
            )
            self._follow(requires, release.sources, f"{reference.said_by} → {name} {release.version}")
        return {name: release for name, (_, release) in sorted(self._found.items())}

    def _follow(
        self, requires: Iterable[Requirement], sources: Mapping[str, DirectSource], said_by: str
    ) -> None:
        """Take what requirements refer to, and note which extras are asked for."""
        asked = list(requires)
        for requirement in asked:
            if requirement.url:
                source = self._read_url(requirement, said_by)
                self._take(requirement.name, Reference(source, said_by))
            elif requirement.name in sources:
                self._take(requirement.name, Reference(sources[requirement.name], said_by))
        for requirement in asked:
            self._note_extras(requirement)

    def _take(self, name: str, reference: Reference) -> None:
        known = self._found.get(name)
        if known is None:
            self._found[name] = (reference, self._load(name, reference))
            self._extras[name] = frozenset()
            self._changed.append(name)
        elif not _agree(known[0].source, reference.source) and self._is_open(name, reference):
            raise _two_sources(name, known[0], reference)

    def _is_open(self, name: str, reference: Reference) -> bool:
        """Whether the project's own sources have not decided it; nor may it contradict itself."""
        return name not in self._sources or reference.said_by == "your project"

    def _note_extras(self, requirement: Requirement) -> None:
        name = requirement.name
        if name in self._found and not self._extras[name].issuperset(requirement.extras):
            self._extras[name] |= frozenset(requirement.extras)
            self._changed.append(name)


def _agree(one: DirectSource, other: DirectSource) -> bool:
    """Whether both name the same place; whether editable or not may be left open."""
    if (
        isinstance(one, PathSource)
        and isinstance(other, PathSource)
        and None in (one.editable, other.editable)
    ):
        return replace(one, editable=None) == replace(other, editable=None)
    return one == other


def _two_sources(name: str, one: Reference, other: Reference) -> ResolutionError:
    return ResolutionError(
        f"{name} has two sources",
        context=[f"{each.said_by} takes it from {shown_source(each.source)}" for each in (one, other)],
        hints=[f"say which one is meant: {name} = … in tool.envforge.sources"],
    )


def shown_source(source: DirectSource) -> str:
    """A source for people, without credentials."""
    if isinstance(source, PathSource):
        told = {True: " (editable)", False: " (not editable)", None: ""}[source.editable]
        return f"{source.path}{told}"
    if isinstance(source, GitSource) and "://" not in source.url:
        return source.url  # git@host:path has no password
    scheme, _, rest = source.url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}"


class DirectView:
    """A :class:`~envforge.model.release.PackageSource` in which some projects have exactly one release.

    Args:
        releases: normalized name → what there is of it.
        base: where all others come from.
    """

    def __init__(self, releases: Mapping[str, DirectRelease], base: PackageSource) -> None:
        self._releases = releases
        self._base = base
        self._known: dict[str, CoreMetadata] = {}

    def page(self, name: str) -> ProjectPage:
        """All releases of a project; raises as the base does."""
        release = self._releases.get(name)
        return _Page(release) if release is not None else self._base.page(name)

    def metadata(self, file: IndexFile) -> CoreMetadata:
        """The metadata of a release; URLs of projects that come directly are gone from it."""
        if file.origin is None:
            return self._without_urls(self._base.metadata(file))
        release = next(each for each in self._releases.values() if each.file is file or each.file == file)
        if release.name not in self._known:
            self._known[release.name] = self._without_urls(release.metadata)
        return self._known[release.name]

    def without_urls(self, requirements: Iterable[Requirement]) -> Iterator[Requirement]:
        """Requirements whose URLs, which have been followed, say nothing any more."""
        for requirement in requirements:
            if requirement.url and requirement.name in self._releases:
                yield replace(requirement, url="")
            else:
                yield requirement

    def _without_urls(self, metadata: CoreMetadata) -> CoreMetadata:
        if not any(requirement.url for requirement in metadata.requires):
            return metadata
        return replace(metadata, requires=tuple(self.without_urls(metadata.requires)))


class _Page:
    """One release; implements :class:`envforge.model.release.ProjectPage`."""

    index = ""

    def __init__(self, release: DirectRelease) -> None:
        self.name = release.name
        self.versions: Sequence[str] = (release.version,)
        self._file = release.file

    def files(self, version: str) -> Sequence[IndexFile]:
        """The one file; KeyError for another version."""
        if version != self.versions[0]:
            raise KeyError(version)
        return (self._file,)
