"""Builds: sdists and the project itself, each in an isolated environment made from the store.

A wheel is built once for a source, a Python, a platform and settings; what came out is remembered under a
digest of these (:mod:`.built_wheels`), and its tree is kept like any other.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from envforge.build.backend import (
    BuildJob,
    Kind,
    build_editable,
    build_wheel,
    get_requires,
    prepare_metadata,
)
from envforge.build.content import content_fingerprint
from envforge.build.editable import editable_fingerprint, record_origin
from envforge.build.sdist import unpack_sdist
from envforge.build.source import read_build_system
from envforge.errors import BuildError
from envforge.events import BuildFinished, BuildStarted
from envforge.fetch.archives import file_digest
from envforge.fetch.crew import checked_file
from envforge.manifest.build_settings import USUAL, BuildSettings
from envforge.metadata.core import parse_core_metadata
from envforge.metadata.versions import version_of
from envforge.model.requirement import normalize_name
from envforge.model.sources import ArchiveOrigin, FolderMode, FolderOrigin
from envforge.net.download import download
from envforge.net.pools import ConnectionPools
from envforge.store.guard import Guard
from envforge.store.sharing import make_folders
from envforge.struct import Struct, replace
from envforge.workflows.build_environments import Furnished, Workshop, build_environment, runtime_files
from envforge.workflows.built_wheels import build_key, find_built, find_shared, remember, store_wheel
from envforge.workflows.file_places import place, placed_url
from envforge.workflows.index_urls import index_urls

if TYPE_CHECKING:
    from envforge.model.lock import LockedFile, LockedPackage
    from envforge.model.release import CoreMetadata, IndexFile
    from envforge.model.tree import Tree
    from envforge.workflows.project import Project


class _Order(Struct, frozen=True, kw_only=True):
    """One build.

    Args:
        name: normalized, of the project.
        version: locked, ``""`` for whatever comes out, which then no other node could use.
        what: it is called.
        source: kind and digest of what it is built from.
    """

    name: str
    version: str
    what: str
    source: str

    @property
    def shared(self) -> bool:
        """Whether another node could use what comes out."""
        return bool(self.version)


def sdist_tree(package: LockedPackage, file: LockedFile, workshop: Workshop) -> Tree:
    """The tree of a locked sdist: built now, or found.

    Args:
        package: what it is.
        file: its locked file.
        workshop: where to build.

    Raises:
        BuildError, ArchiveError: with the backend's last words.
    """

    def build(folder: Path, inside: Workshop) -> tuple[Path, Furnished]:
        archive = _find_kept(file, inside) or _download_sdist(package, file, folder, inside)
        source = unpack_sdist(archive, folder / "source", subdirectory=_subdirectory(package))
        return _build("wheel", source, folder, inside, name=package.name, version=package.version)

    order = _Order(
        name=package.name,
        version=package.version,
        what=f"{package.name} {package.version}",
        source=_sdist_source(package, file),
    )
    return _built_tree(order, build, workshop)


def _subdirectory(package: LockedPackage) -> str:
    """Where in an sdist the project is, ``""`` for its top."""
    return package.origin.subdirectory if isinstance(package.origin, ArchiveOrigin) else ""


def _sdist_source(package: LockedPackage, file: LockedFile) -> str:
    return " ".join(filter(None, ("sdist", file.sha256, _subdirectory(package))))


def _find_kept(file: LockedFile, workshop: Workshop) -> Path | None:
    """An sdist that was kept when it was locked."""
    from envforge.workflows.direct_archives import DirectArchives

    kept = DirectArchives(workshop.session).find(file.sha256)
    return kept if kept is not None and file_digest(kept) == file.sha256 else None


def _download_sdist(package: LockedPackage, file: LockedFile, folder: Path, workshop: Workshop) -> Path:
    archive = folder / file.filename
    session = workshop.session
    url = placed_url(file.url, session.root)
    if url.startswith("file:"):
        return checked_file(url, file.sha256)
    with ConnectionPools(session.network) as pools:
        download(
            file.url,
            archive,
            sha256=file.sha256,
            size_bytes=file.size_bytes,
            filename=file.filename,
            index_name=package.index,
            index_url=index_urls(workshop.manifest, session).get(package.place, ""),
            pools=pools,
            settings=session.network,
            reporter=session.reporter,
        )
    return archive


def find_sdist_tree(package: LockedPackage, file: LockedFile, workshop: Workshop) -> Tree | None:
    """The tree of a locked sdist if it was built before, with what is locked now."""
    return find_built(_key(package.name, _sdist_source(package, file), workshop), workshop.store)


def sdist_metadata(file: IndexFile, archive: Path, workshop: Workshop) -> CoreMetadata:
    """The metadata of an sdist that does not say it itself: its backend is asked, in isolation (PEP 517).

    Args:
        file: as the index lists it.
        archive: the downloaded sdist, checked.
        workshop: where to build.

    Raises:
        BuildError, ArchiveError: with the backend's last words.
    """
    reporter = workshop.session.reporter
    what = f"{file.filename} (metadata)"
    reporter.report(BuildStarted(what=what))
    start = time.monotonic()
    settings = _settings_for_file(file.filename, workshop)
    inside = _inside(file.filename, workshop)
    with workshop.store.staging() as folder:
        source = unpack_sdist(archive, folder / "source")
        job, _ = _job("wheel", source, settings, inside, name=file.filename)
        dist_info = prepare_metadata("wheel", job, folder / "metadata")
        metadata = parse_core_metadata((dist_info / "METADATA").read_bytes(), file.filename)
    reporter.report(BuildFinished(what=what, duration_s=time.monotonic() - start))
    return metadata


def unbuilt_metadata(
    file: IndexFile, archive: Path, subdirectory: str, workshop: Callable[[], Workshop]
) -> CoreMetadata:
    """The metadata of an sdist that is named directly: its own, its pyproject.toml's, or a build's.

    Args:
        file: with its name.
        archive: the file on this disk.
        subdirectory: where in it the project is, ``""`` for its top.
        workshop: gives where to build.

    Raises:
        MetadataError, BuildError, ArchiveError: it has none, or is no sdist.
    """
    from envforge.index.sdist import read_static_metadata
    from envforge.workflows.folders import read_folder
    from envforge.workflows.sources import tell_of_platforms

    found = read_static_metadata(archive, file.filename) if not subdirectory else None
    if found is not None:
        return found
    shop = workshop()
    with shop.store.staging() as folder:
        source = unpack_sdist(archive, folder / "source", subdirectory=subdirectory)
        manifest = read_folder(source, file.filename)
        if manifest is not None and manifest.is_static:
            return manifest.metadata()
        metadata = folder_metadata(file.filename, source, "wheel", shop)
    tell_of_platforms(file.filename, shop)
    return metadata


def folder_metadata(name: str, source: Path, kind: Kind, workshop: Workshop) -> CoreMetadata:
    """The metadata of a source folder, by its backend, in isolation.

    Args:
        name: what to call it, normalized where it is known.
        source: the folder.
        kind: of the wheel that it will become.
        workshop: where to build.

    Raises:
        BuildError: with the backend's last words.
    """
    reporter = workshop.session.reporter
    what = f"{name} (metadata)"
    reporter.report(BuildStarted(what=what))
    start = time.monotonic()
    settings = workshop.manifest.settings.build.get(name, USUAL)
    with workshop.store.staging() as folder:
        job, _ = _job(kind, source, settings, workshop, name=name)
        dist_info = prepare_metadata(kind, job, folder / "metadata")
        metadata = parse_core_metadata((dist_info / "METADATA").read_bytes(), name)
    reporter.report(BuildFinished(what=what, duration_s=time.monotonic() - start))
    return metadata


def folder_tree(package: LockedPackage, workshop: Workshop) -> Tree:
    """The tree of a package that comes from a folder: built now, or found.

    Its version is what the build says: one that is computed may have moved since it was locked.

    Raises:
        BuildError: with the backend's last words.
    """
    source, kind = _folder_of(package, workshop)

    def build(folder: Path, inside: Workshop) -> tuple[Path, Furnished]:
        return _build(kind, source, folder, inside, name=package.name)

    what = f"{package.name} (editable)" if kind == "editable" else f"{package.name} ({package.place})"
    order = _Order(name=package.name, version="", what=what, source=_folder_source(source, kind))
    return _built_tree(order, build, workshop)


def find_folder_tree(package: LockedPackage, workshop: Workshop) -> Tree | None:
    """The tree of a package from a folder if it was built before, and nothing has changed since."""
    source, kind = _folder_of(package, workshop)
    return find_built(_key(package.name, _folder_source(source, kind), workshop), workshop.store)


def _folder_of(package: LockedPackage, workshop: Workshop) -> tuple[Path, Kind]:
    origin = package.origin
    assert isinstance(origin, FolderOrigin)
    source = place(origin.path, workshop.session.root)
    if not source.is_dir():
        raise BuildError(
            f"the folder of {package.name} is not there",
            context=[f"path: {source}", f"locked as: {origin.path}"],
            hints=["bring it back, or take it out of tool.envforge.sources and run: envforge lock"],
        )
    return source, "editable" if origin.mode is FolderMode.EDITABLE else "wheel"


def _folder_source(source: Path, kind: Kind) -> str:
    if kind == "editable":
        return f"editable {source} {editable_fingerprint(source)}"
    return f"folder {source} {content_fingerprint(source)}"


def _settings_for_file(filename: str, workshop: Workshop) -> BuildSettings:
    for name, settings in workshop.manifest.settings.build.items():
        if version_of(filename, name) is not None:
            return settings
    return USUAL


def project_tree(project: Project, workshop: Workshop) -> Tree:
    """The tree of the project itself, editable (PEP 660): its metadata, its scripts and a way to its code."""

    def build(folder: Path, inside: Workshop) -> tuple[Path, Furnished]:
        return _build("editable", project.root, folder, inside, name=project.manifest.name)

    order = _Order(
        name=normalize_name(project.manifest.name),
        version="",
        what=f"{project.manifest.name} (editable)",
        source=_project_source(project),
    )
    return _built_tree(order, build, workshop)


def find_project_tree(project: Project, workshop: Workshop) -> Tree | None:
    """The tree of the project itself if it was built before and its build would give the same."""
    key = _key(normalize_name(project.manifest.name), _project_source(project), workshop)
    return find_built(key, workshop.store)


def _project_source(project: Project) -> str:
    return f"editable {project.root.resolve()} {editable_fingerprint(project.root)}"


def _built_tree(
    order: _Order, build: Callable[[Path, Workshop], tuple[Path, Furnished]], workshop: Workshop
) -> Tree:
    """Build, or wait for whoever is building, or find what was built here or on another node."""
    store, session = workshop.store, workshop.session
    inside = _inside(order.name, workshop)
    key = _key(order.name, order.source, workshop)
    with Guard(store.guards / f"build-{key}").hold(session.reporter, order.what) as hold:
        hold.progress = "building"
        present = find_built(key, store)
        if present is None and order.shared:
            present = find_shared(key, order.version, store, session)
        if present is not None:
            return present
        session.reporter.report(BuildStarted(what=order.what))
        start = time.monotonic()
        with store.staging() as folder:
            wheel, furnished = build(folder, inside)
            tree = store_wheel(wheel, order.version, store, session)
            remember(key, tree, wheel, furnished.contents, store, session, shared=order.shared)
        session.reporter.report(BuildFinished(what=order.what, duration_s=time.monotonic() - start))
    return tree


def _inside(name: str, workshop: Workshop) -> Workshop:
    """The workshop for what has to be built on the way to something.

    Raises:
        BuildError: that is on its way already.
    """
    if name in workshop.building:
        raise BuildError(
            f"{name} cannot be built: it is needed for its own build",
            context=[" → ".join((*workshop.building, name))],
            hints=["take one of them out of tool.envforge.build: with"] if workshop.building[1:] else [],
        )
    return replace(workshop, building=(*workshop.building, name))


def _build(
    kind: Kind, source: Path, folder: Path, workshop: Workshop, *, name: str, version: str = ""
) -> tuple[Path, Furnished]:
    """Run a source's backend."""
    settings = workshop.manifest.settings.build.get(normalize_name(name), USUAL)
    job, furnished = _job(kind, source, settings, workshop, name=name)
    if kind == "wheel":
        wheel = build_wheel(job, folder / "wheel", name=name, version=version)
        if not source.is_relative_to(folder):
            record_origin(wheel, source, editable=False)
        return wheel, furnished
    wheel = build_editable(job, folder / "wheel", name=name, version=version)
    record_origin(wheel, source, editable=True)
    return wheel, furnished


def _job(
    kind: Kind, source: Path, settings: BuildSettings, workshop: Workshop, *, name: str
) -> tuple[BuildJob, Furnished]:
    """A source and an environment that has what its backend requires, the dynamic part included."""
    requires = read_build_system(source).requires
    log_path = workshop.session.places.cache / "build-logs" / f"{name}-{int(workshop.session.now_s)}.log"
    make_folders(log_path.parent)
    furnished = build_environment(requires, settings, workshop, sdist_tree)
    job = BuildJob(
        source=source,
        environment=furnished.environment,
        log_path=log_path,
        timeout_s=settings.timeout_s,
        config_settings={
            key: value if isinstance(value, str) else list(value)
            for key, value in settings.config_settings.items()
        }
        or None,
    )
    more = get_requires(kind, job)
    if more:
        furnished = build_environment((*requires, *more), settings, workshop, sdist_tree)
        job = replace(job, environment=furnished.environment)
    return job, furnished


def _key(name: str, source: str, workshop: Workshop) -> str:
    settings = workshop.manifest.settings.build.get(name, USUAL)
    runtime = [
        (name, package.version, file.sha256)
        for name, (package, file) in runtime_files(settings.runtime, workshop).items()
    ]
    return build_key(source, workshop.interpreter, settings, runtime, workshop.session.environ)
