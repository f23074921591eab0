"""What has to be built for an environment, and whether it was built before.

A wheel is built once for a source, a Python, a platform and settings. What came out is found again under a
digest of these (:mod:`.build_records`); to look costs no more than to look for a wheel.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from envforge.build.content import content_fingerprint
from envforge.build.editable import editable_fingerprint
from envforge.errors import BuildError
from envforge.manifest.build_settings import USUAL
from envforge.model.names import normalize_name
from envforge.model.sources import ArchiveOrigin, FolderMode, FolderOrigin, GitOrigin
from envforge.struct import Struct
from envforge.workflows.build_constraints import build_constraints, record_keys
from envforge.workflows.build_records import build_key, find_built
from envforge.workflows.file_places import place
from envforge.workflows.workshop import runtime_files

if TYPE_CHECKING:
    from envforge.build.backend import Kind
    from envforge.model.lock import LockedFile, LockedPackage
    from envforge.model.tree import Tree
    from envforge.workflows.project import Project
    from envforge.workflows.workshop import Workshop


class Order(Struct, frozen=True, kw_only=True):
    """One build.

    Args:
        name: normalized, of the project.
        what: it is called.
        source: kind and digest of what it is built from.
        kind: of the wheel.
        version: locked, ``""`` for whatever comes out, which then no other node could use.
        folder: that it is built from; None for an sdist or a commit, which has to be unpacked.
        sdist: that it is built from, as locked.
        commit: that it is built from.
    """

    name: str
    what: str
    source: str
    kind: Kind = "wheel"
    version: str = ""
    folder: Path | None = None
    sdist: tuple[LockedPackage, LockedFile] | None = None
    commit: GitOrigin | None = None

    @property
    def is_shared(self) -> bool:
        """Whether another node could use what comes out."""
        return bool(self.version)


def sdist_order(package: LockedPackage, file: LockedFile) -> Order:
    """The build of a locked sdist."""
    return Order(
        name=package.name,
        what=f"{package.name} {package.version}",
        source=" ".join(filter(None, ("sdist", file.sha256, url_of(package), subdirectory_of(package)))),
        version=package.version,
        sdist=(package, file),
    )


def commit_order(package: LockedPackage) -> Order:
    """The build of a package that comes from git."""
    origin = package.origin
    assert isinstance(origin, GitOrigin)
    # what was asked for is recorded in the wheel
    options = f"{origin.reference.name} lfs={origin.lfs} submodules={origin.submodules}"
    return Order(
        name=package.name,
        what=f"{package.name} {package.version} (git {origin.commit[:12]})",
        source=f"commit {origin} {options}",
        version=package.version,
        commit=origin,
    )


def folder_order(package: LockedPackage, root: Path) -> Order:
    """The build of a package that comes from a folder.

    Its version is what the build says: one that is computed may have moved since it was locked.

    Args:
        package: as locked.
        root: the project's folder, which the locked path starts from.

    Raises:
        BuildError: the folder is not there.
    """
    origin = package.origin
    assert isinstance(origin, FolderOrigin)
    folder = place(origin.path, root)
    if not folder.is_dir():
        raise BuildError(
            f"the folder of {package.name} is not there",
            context=[f"path: {folder}", f"locked as: {origin.path}"],
            hints=["bring it back, or take it out of tool.envforge.sources and run: envforge lock"],
        )
    if origin.mode is FolderMode.EDITABLE:
        return _editable_order(package.name, package.name, folder)
    return Order(
        name=package.name,
        what=f"{package.name} ({package.place})",
        source=f"folder {folder} {content_fingerprint(folder)}",
        folder=folder,
    )


def project_order(project: Project) -> Order:
    """The build of the project itself, editable (PEP 660): its metadata, its scripts, a way to its code."""
    name = project.manifest.name
    return _editable_order(normalize_name(name), name, project.root.resolve())


def _editable_order(name: str, shown: str, folder: Path) -> Order:
    return Order(
        name=name,
        what=f"{shown} (editable)",
        source=f"editable {folder} {editable_fingerprint(folder)}",
        kind="editable",
        folder=folder,
    )


def url_of(package: LockedPackage) -> str:
    """The URL of a package that comes from one of its own, which is recorded in what is built from it."""
    origin = package.origin
    return origin.place if isinstance(origin, ArchiveOrigin) and origin.is_url else ""


def subdirectory_of(package: LockedPackage) -> str:
    """Where in an sdist the project is, ``""`` for its top."""
    return package.origin.subdirectory if isinstance(package.origin, ArchiveOrigin) else ""


def find_tree(order: Order, workshop: Workshop) -> Tree | None:
    """The tree of what was built before, with what is locked now, and of a source that has not changed."""
    found = find_noted(order, workshop)
    return found[1] if found is not None else None


def find_noted(order: Order, workshop: Workshop) -> tuple[str, Tree] | None:
    """Likewise, with the digest under which it is noted."""
    constraints = build_constraints(workshop)
    return find_built(record_keys(key_of(order, workshop), constraints), workshop.store, constraints)


def key_of(order: Order, workshop: Workshop) -> str:
    """The digest of all that decides what a build gives."""
    settings = workshop.manifest.settings.build.get(order.name, USUAL)
    runtime = [
        (name, package.version, file.sha256)
        for name, (package, file) in runtime_files(settings.runtime, workshop).items()
    ]
    return build_key(order.source, workshop.interpreter, settings, runtime, workshop.session.environ)
