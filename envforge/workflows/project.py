"""The project on disk: its manifest and its lock, read and written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

from envforge.errors import LockError, ManifestError, StoreError
from envforge.lock.parse import LockConflictError, parse_lock
from envforge.manifest.digest import inputs_digest
from envforge.manifest.manifest import Manifest
from envforge.manifest.parse import parse_manifest
from envforge.model.lock import Lock
from envforge.model.sources import WorkspaceSource
from envforge.struct import Struct
from envforge.workflows.project_root import LOCK_NAME, MANIFEST_NAME, VENV_NAME

_ON_DISK: Mapping[str, str] = MappingProxyType({})


class Project(Struct, frozen=True, kw_only=True):
    """A project as it is on disk.

    Args:
        root: its folder.
        manifest_text: what pyproject.toml says.
        manifest: the same, understood.
        inputs: digest of the manifest's resolution inputs, and of those in other folders.
        folders: paths of other folders that have a say in it.
    """

    root: Path
    manifest_text: str
    manifest: Manifest
    inputs: str
    folders: tuple[str, ...] = ()

    @property
    def venv(self) -> Path:
        return self.root / VENV_NAME

    @property
    def lock_path(self) -> Path:
        return self.root / LOCK_NAME


def read_project(root: Path) -> Project:
    """Read the manifest of a project.

    Raises:
        ManifestError: it is missing or wrong.
    """
    return project_from_text(root, read_text(root / MANIFEST_NAME))


def project_from_text(root: Path, manifest_text: str, members: Mapping[str, str] = _ON_DISK) -> Project:
    """A project whose manifest says ``manifest_text``, whatever is on disk.

    Args:
        root: its folder.
        manifest_text: of the project.
        members: of a workspace, path of a member (``./packages/a``) → what its manifest says.

    Raises:
        ManifestError: one of them is wrong.
    """
    manifest = parse_manifest(manifest_text, MANIFEST_NAME)
    if manifest.settings.workspace is not None:
        from envforge.manifest.workspace import with_members
        from envforge.workflows.folders import find_members

        manifest = with_members(manifest, find_members(manifest, root, members))
    else:
        _refuse_workspace_sources(manifest)
    folders = _folder_inputs(manifest, root)
    return Project(
        root=root,
        manifest_text=manifest_text,
        manifest=manifest,
        inputs=inputs_digest(manifest, folders),
        folders=tuple(folders),
    )


def _refuse_workspace_sources(manifest: Manifest) -> None:
    for name, source in manifest.settings.all_sources:
        if isinstance(source, WorkspaceSource):
            from envforge.manifest.faults import Fault, manifest_error

            problem = "there is no workspace here"
            right = "declare it in the folder above: [tool.envforge.workspace] with its members"
            fault = Fault(f"tool.envforge.sources.{name}", problem, right)
            raise manifest_error(manifest.path, manifest.text, [fault])


def _folder_inputs(manifest: Manifest, root: Path) -> dict[str, Any]:
    """What the lock depends on in other folders; a manifest that names nothing directly pays nothing."""
    names_some = any(True for _ in manifest.settings.all_sources) or "@" in manifest.text
    if not names_some:
        return {}
    from envforge.workflows.folders import folder_inputs

    return folder_inputs(manifest, root)


def read_text(path: Path) -> str:
    """A UTF-8 file's text, its line ends as they are.

    Raises:
        ManifestError: the file cannot be read or is not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ManifestError(
            f"{path} is not UTF-8",
            context=[f"byte {error.start}: {error.reason}"],
            hints=["save it as UTF-8 without a byte order mark"],
        ) from None
    except OSError as error:
        raise ManifestError(f"cannot read {path}", context=[error.strerror or str(error)]) from None


class FormerLock(Struct, frozen=True):
    """What is known of earlier resolutions.

    Args:
        lock: the lock on disk, None where there is none or it is in conflict.
        text: its exact text, "" where there is no file.
        sides: locks whose versions are to be kept: the lock itself, or both sides of a git conflict.
    """

    lock: Lock | None
    text: str
    sides: tuple[Lock, ...]


def read_former_lock(project: Project) -> FormerLock:
    """The lock on disk, also one that git left with conflict markers.

    Raises:
        LockError: the file is broken, or written by a newer envforge.
    """
    try:
        text = project.lock_path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return FormerLock(None, "", ())
    except (OSError, UnicodeDecodeError) as error:
        raise LockError(f"cannot read {project.lock_path}", context=[str(error)]) from None
    try:
        lock = parse_lock(text, LOCK_NAME)
    except LockConflictError:
        from envforge.lock.conflict import parse_conflicted

        sides = tuple(side for side in parse_conflicted(text) if side is not None)
        return FormerLock(None, text, sides)
    return FormerLock(lock, text, (lock,))


def write_text(path: Path, text: str) -> None:
    """Replace a file in one step; readers see the old or the new text, never a mixture.

    Raises:
        StoreError: the folder cannot be written or is full; the old file is still there.
    """
    from envforge.store.owner import this_process

    aside = path.with_name(f".{path.name}.{this_process()}.tmp")
    try:
        with open(aside, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            aside.chmod(path.stat().st_mode & 0o7777)
        aside.replace(path)
        _sweep_asides(path)
    except OSError as error:
        with suppress(OSError):  # in a folder that is closed, or is none, it could not be made either
            aside.unlink()
        raise StoreError(
            f"cannot write {path}",
            context=[error.strerror or str(error)],
            hints=["check the folder's permissions and free space"],
        ) from None


def is_there(path: Path) -> bool:
    """Whether a file is there; where nobody may look, writing it tells why it cannot be."""
    with suppress(OSError):
        return path.exists()
    return False


def make_folder(path: Path) -> None:
    """Make a project's folder, and those above it; one that is there stays.

    Raises:
        StoreError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        in_the_way = next(place for place in (path, *path.parents) if os.path.lexists(place))
        raise StoreError(
            f"cannot make the folder {path}",
            context=[f"{in_the_way} is there already, and no folder"],
            hints=["name another folder"],
        ) from None
    except OSError as error:
        raise StoreError(
            f"cannot make the folder {path}",
            context=[error.strerror or str(error)],
            hints=["check the permissions and the free space above it, or name another folder"],
        ) from None


def _sweep_asides(path: Path) -> None:
    """Remove what processes that were killed while they wrote ``path`` left beside it."""
    from envforge.store.owner import is_dead, parse_owner

    start, end = f".{path.name}.", ".tmp"
    for entry in path.parent.iterdir():
        if entry.name.startswith(start) and entry.name.endswith(end):
            owner = parse_owner(entry.name.removeprefix(start).removesuffix(end))
            if owner is not None and is_dead(owner):
                entry.unlink(missing_ok=True)
