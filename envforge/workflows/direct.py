"""What is in the folders and archives that a project names directly, read for a resolution.

The metadata of a folder is that of its pyproject.toml where that is static, else its build backend is asked.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from envforge.errors import EnvforgeError, ManifestError, MetadataError
from envforge.index.archive import archive_sha256
from envforge.index.metadata_cache import MetadataCache
from envforge.manifest.faults import Fault, manifest_error
from envforge.manifest.folders import FolderManifest, joined_path
from envforge.manifest.manifest import without_credentials
from envforge.manifest.paths import is_folder_path
from envforge.manifest.references import ReferenceFaultError, find_place, is_archive_name, parse_reference
from envforge.metadata.versions import canonical_version
from envforge.model.names import normalize_name
from envforge.model.release import CoreMetadata, IndexFile
from envforge.model.requirement import Requirement
from envforge.model.sources import (
    ArchiveOrigin,
    DirectSource,
    FolderMode,
    FolderOrigin,
    GitSource,
    Origin,
    PathSource,
    UrlSource,
    direct_sources,
)
from envforge.resolve.references import DirectRelease, Reference, shown_source
from envforge.struct import replace
from envforge.workflows.direct_archives import Content, DirectArchives, url_filename
from envforge.workflows.file_places import place
from envforge.workflows.folders import read_folder
from envforge.workflows.index_urls import expanded_url

if TYPE_CHECKING:
    from envforge.build.backend import Kind
    from envforge.workflows.direct_commits import DirectCommits
    from envforge.workflows.project import FormerLock, Project
    from envforge.workflows.session import Session
    from envforge.workflows.upgrades import Upgrades
    from envforge.workflows.workshop import Workshop

_OURS = "your project"


class _Archive(NamedTuple):
    """An archive as far as it is known; ``path`` is None while nobody needed its content."""

    file: IndexFile
    path: Path | None


class DirectCatalog:
    """Reads places, each once.

    Args:
        project: that names them.
        former: what was locked: a URL has the content that it had then.
        upgrades: what need not stay as it was.
        session: places, network, reporter.
    """

    def __init__(self, project: Project, former: FormerLock, upgrades: Upgrades, session: Session) -> None:
        self._project = project
        self._session = session
        self._archives = DirectArchives(session)
        self._commits: DirectCommits | None = None
        self._former, self._upgrades = former, upgrades
        self._metadata = MetadataCache(session.places.cache)
        self._locked = _locked_contents(former, upgrades)
        self._releases: dict[tuple[str, DirectSource], DirectRelease] = {}

    def load(self, name: str, reference: Reference) -> DirectRelease:
        """The release in a place.

        Args:
            name: normalized, that it has to be of.
            reference: the place, and who named it.

        Raises:
            ManifestError: there is no project, or one of another name.
            EnvforgeError: it cannot be fetched, read or built.
        """
        key = (name, reference.source)
        if key not in self._releases:
            release = self._read(name, reference)
            if release.name != name:
                problem = (
                    f"{shown_source(reference.source)} is a project named {release.name!r}, not {name!r}"
                )
                raise self._refusal(name, reference, problem, f"call it {release.name}")
            self._releases[key] = release
        return self._releases[key]

    def read_url(self, requirement: Requirement, said_by: str) -> DirectSource:
        """The place that a requirement's URL names.

        Raises:
            ManifestError: it names none.
        """
        try:
            return parse_reference(requirement.url)
        except ReferenceFaultError as fault:
            problem = f"the URL of {requirement.name} {fault}"
            raise ManifestError(problem, context=[f"{said_by} requires it"], hints=[fault.right]) from None

    def _refusal(self, name: str, reference: Reference, problem: str, right: str) -> ManifestError:
        """The error about what somebody has said, where it stands if it is ours."""
        manifest = self._project.manifest
        where = find_place(manifest, name, reference.source) if reference.said_by == _OURS else ""
        if where:
            return manifest_error(manifest.path, manifest.text, [Fault(where, problem, right)])
        told = f"{reference.said_by} takes {name} from {shown_source(reference.source)}"
        return ManifestError(problem, context=[told], hints=[right])

    def _read(self, name: str, reference: Reference) -> DirectRelease:
        source = reference.source
        if isinstance(source, UrlSource):
            return self._read_archive(self._url_archive(name, source), name, reference)
        if isinstance(source, GitSource):
            return self._read_commit(name, source, reference)
        path = place(source.path, self._session.root)
        if not path.exists():
            problem = f"there is nothing at {path}"
            raise self._refusal(name, reference, problem, "paths are from the folder of pyproject.toml")
        if path.is_dir():
            return self._read_folder(path, name, source, reference)
        if not is_archive_name(path.name):
            problem = f"{path} is neither a folder nor a wheel or sdist"
            raise self._refusal(name, reference, problem, "name a folder, or a .whl, .tar.gz or .zip file")
        if source.editable:
            problem = f"{path.name} is an archive: only a folder can be editable"
            raise self._refusal(name, reference, problem, "leave editable out")
        file = IndexFile(
            filename=path.name,
            url=path.as_uri(),
            index="",
            sha256=archive_sha256(path),
            size_bytes=path.stat().st_size,
            origin=ArchiveOrigin(source.path, source.subdirectory),
        )
        return self._read_archive(_Archive(file, path), name, reference)

    def _read_commit(self, name: str, source: GitSource, reference: Reference) -> DirectRelease:
        if self._commits is None:
            from envforge.workflows.direct_commits import DirectCommits

            platforms = self._project.manifest.settings.platforms
            self._commits = DirectCommits(
                self._former, self._upgrades, platforms, self._session, self._workshop
            )
        try:
            found = self._commits.read(name, source)
        except EnvforgeError as error:
            told = f"{reference.said_by} takes {name} from {shown_source(source)}"
            raise error.with_context([told, *error.context]) from None
        metadata = _normalized(found.metadata, str(found.origin))
        return _release(metadata, str(found.origin), found.origin, found.found)

    # Folders

    def _read_folder(self, path: Path, name: str, source: PathSource, reference: Reference) -> DirectRelease:
        if source.subdirectory:
            right = "put it at the end of the path"
            raise self._refusal(name, reference, "subdirectory is for archives", right)
        found = self._project.manifest.members.get(source.path) or read_folder(path, source.path)
        if found is None:
            problem = f"{path} is no project: it has neither a pyproject.toml with a project nor a setup.py"
            raise self._refusal(name, reference, problem, "name the folder that has one")
        mode = self._mode(path, found, name, source, reference)
        if found.is_static:
            metadata = found.metadata()
        elif mode is FolderMode.VIRTUAL:
            metadata = found.metadata(version="0")
        else:
            from envforge.workflows.build_metadata import folder_metadata

            kind: Kind = "editable" if mode is FolderMode.EDITABLE else "wheel"
            metadata = _normalized(folder_metadata(name, path, kind, self._workshop()), str(path))
        metadata = replace(metadata, requires=tuple(_placed(each, source.path) for each in metadata.requires))
        return _release(metadata, path.as_uri(), FolderOrigin(source.path, mode), found)

    def _mode(
        self, path: Path, found: FolderManifest, name: str, source: PathSource, reference: Reference
    ) -> FolderMode:
        is_member = source.path in self._project.manifest.members
        if not (is_member or source.editable):
            return FolderMode.COPY
        if found.has_build_system or (path / "setup.py").is_file():
            return FolderMode.EDITABLE
        if is_member:
            return FolderMode.VIRTUAL
        problem = f"{found.file} has no [build-system], so that {name} cannot be editable"
        right = 'add one, e.g. requires = ["hatchling"] and build-backend = "hatchling.build"'
        raise self._refusal(name, reference, problem, right)

    # Archives

    def _url_archive(self, name: str, source: UrlSource) -> _Archive:
        clean = without_credentials(source.url)
        known = self._known_content(clean, source, name)
        path = self._archives.find(known.sha256) if known else None
        if known is None:
            url = expanded_url(source.url, self._session, name)
            known, path = self._archives.fetch(clean, url, source.sha256)
        file = IndexFile(
            filename=url_filename(clean),
            url=clean,
            index="",
            sha256=known.sha256,
            size_bytes=known.size_bytes,
            origin=ArchiveOrigin(clean, source.subdirectory),
        )
        return _Archive(file, path)

    def _known_content(self, clean: str, source: UrlSource, name: str) -> Content | None:
        """What is behind a URL by what was locked, or remembered where its hash or the network decides it."""
        locked = self._locked.get((name, clean))
        recalled = self._archives.recall(clean)
        if source.sha256:
            return next((each for each in (locked, recalled) if each and each.sha256 == source.sha256), None)
        return locked or (recalled if self._session.network.offline else None)

    def _read_archive(self, archive: _Archive, name: str, reference: Reference) -> DirectRelease:
        file, source = archive.file, reference.source
        cached = file._replace(url=f"direct://{source.subdirectory}/{file.filename}")
        metadata: CoreMetadata | None = None
        with suppress(MetadataError):
            metadata = self._metadata.find(cached)
        if metadata is None:
            metadata = self._archive_metadata(archive, name, reference)
            self._metadata.store(cached, metadata)
        assert file.origin is not None
        return _release(metadata, file.url, file.origin, None, file)

    def _archive_metadata(self, archive: _Archive, name: str, reference: Reference) -> CoreMetadata:
        file, path, source = archive.file, archive.path, reference.source
        if path is None:
            assert isinstance(source, UrlSource)
            url = expanded_url(source.url, self._session, name)
            _, path = self._archives.fetch(without_credentials(source.url), url, file.sha256)
        if file.is_wheel:
            from envforge.index.wheel_file import read_wheel_file

            if source.subdirectory:
                problem = "a wheel has no subdirectory to build"
                raise self._refusal(name, reference, problem, "leave subdirectory out")
            return _normalized(read_wheel_file(path, file.filename), file.filename)
        from envforge.workflows.build_metadata import unbuilt_metadata

        metadata = unbuilt_metadata(name, file, path, source.subdirectory, self._workshop)
        return _normalized(metadata, file.filename)

    def _workshop(self) -> Workshop:
        from envforge.workflows.build_metadata import metadata_workshop

        return metadata_workshop(self._project.manifest, self._session)


def _release(
    metadata: CoreMetadata,
    url: str,
    origin: Origin,
    found: FolderManifest | None,
    file: IndexFile | None = None,
) -> DirectRelease:
    file = file or IndexFile(
        filename=f"{metadata.name}-{metadata.version}.tar.gz", url=url, index="", origin=origin
    )
    sources = found.sources if found is not None else {}
    return DirectRelease(
        file=file._replace(requires_python=metadata.requires_python),
        metadata=metadata,
        sources=direct_sources(sources),
    )


def _normalized(metadata: CoreMetadata, what: str) -> CoreMetadata:
    version = canonical_version(metadata.version)
    if version is None:
        raise MetadataError(f"{what} says that its version is {metadata.version!r}, which is none")
    return replace(metadata, name=normalize_name(metadata.name), version=version)


def _placed(requirement: Requirement, folder: str) -> Requirement:
    """A requirement of a folder's project; a path in it is from that folder."""
    if not requirement.url or not is_folder_path(requirement.url) or requirement.url.startswith("file:"):
        return requirement
    return replace(requirement, url=joined_path(folder, requirement.url))


def _locked_contents(former: FormerLock, upgrades: Upgrades) -> dict[tuple[str, str], Content]:
    """(name, URL) → what it was locked with."""
    released = {normalize_name(name) for name in upgrades.packages}
    found: dict[tuple[str, str], Content] = {}
    for side in former.sides if not upgrades.everything else ():
        for package in side.packages.values():
            if isinstance(package.origin, ArchiveOrigin) and package.name not in released:
                for file in package.files:
                    if file.size_bytes is not None:
                        content = Content(file.sha256, file.size_bytes)
                        found.setdefault((package.name, package.origin.place), content)
    return found
