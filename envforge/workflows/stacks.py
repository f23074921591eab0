"""Stacks: known-good manifests with their locks that ship with envforge, to start projects from."""

from __future__ import annotations

from pathlib import Path

from envforge.errors import ManifestError, UsageError
from envforge.manifest.edit import set_project_name
from envforge.manifest.manifest import Manifest
from envforge.manifest.parse import parse_manifest
from envforge.workflows.project import is_there, make_folder, read_text, write_text
from envforge.workflows.project_root import LOCK_NAME, MANIFEST_NAME


def start_from_stack(directory: Path, stack: str, name: str, *, workspace: Path | None) -> Manifest:
    """Copy a stack's manifest and lock.

    Args:
        directory: the project's folder; made if it does not exist.
        stack: its name.
        name: of the project.
        workspace: root of the workspace that the folder is in, None for none.

    Returns:
        The manifest that was written.

    Raises:
        UsageError: no such stack.
        ManifestError: something would be overwritten, or the folder is a member of a workspace.
        StoreError: the folder cannot be made or written.
    """
    if workspace is not None:
        raise ManifestError(
            f"{directory.relative_to(workspace)} is a member of the workspace in {workspace},"
            " which has the lock",
            hints=["start the stack in a folder outside the workspace"],
        )
    known = _available_stacks()
    if stack not in known:
        raise UsageError(f"no stack is named {stack!r}", hints=[f"known stacks: {', '.join(known)}"])
    for present in (directory / MANIFEST_NAME, directory / LOCK_NAME):
        if is_there(present):
            raise ManifestError(
                f"{present.name} is there already, and init overwrites nothing",
                context=[str(present)],
                hints=["start the stack in an empty folder"],
            )
    folder = _stacks_folder() / stack
    text = set_project_name(read_text(folder / MANIFEST_NAME), name)
    manifest = parse_manifest(text, MANIFEST_NAME)
    make_folder(directory)
    write_text(directory / LOCK_NAME, read_text(folder / LOCK_NAME))
    write_text(directory / MANIFEST_NAME, text)
    return manifest


def _available_stacks() -> list[str]:
    """Names of the stacks that ship with envforge, sorted."""
    folder = _stacks_folder()
    return sorted(entry.name for entry in folder.iterdir() if (entry / MANIFEST_NAME).is_file())


def _stacks_folder() -> Path:
    """``envforge/stacks`` of an installed envforge, ``lockfiles`` of a checkout."""
    package = Path(__file__).parent.parent
    installed = package / "stacks"
    return installed if installed.is_dir() else package.parent / "lockfiles"
