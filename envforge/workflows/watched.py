"""Which folders and files outside of manifest and lock decide whether an environment is up to date."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from envforge.build.editable import determinant_files
from envforge.model.sources import FolderMode, FolderOrigin
from envforge.workflows.file_places import place

if TYPE_CHECKING:
    from pathlib import Path

    from envforge.workflows.assembly import Assembly

_METADATA = ("pyproject.toml", "setup.py", "setup.cfg")


def watched_entries(assembly: Assembly) -> list[str] | None:
    """Entries for :func:`.watch.watched_state`; None where such a look could not tell.

    Args:
        assembly: of the environment.
    """
    project = assembly.project
    entries: dict[str, None] = {}
    for path in project.folders:
        folder = place(path, project.root)
        entries |= dict.fromkeys(f"f {folder / name}" for name in _METADATA)
    for package in assembly.folders:
        assert isinstance(package.origin, FolderOrigin)
        folder = place(package.origin.path, project.root)
        if package.origin.mode is FolderMode.EDITABLE:
            entries |= dict.fromkeys(_editable(folder))
        else:
            entries[f"t {folder}"] = None
    if project.manifest.has_build_system:
        entries |= dict.fromkeys(_editable(project.root.resolve()))
    workspace = project.manifest.settings.workspace
    for pattern in workspace.members if workspace is not None else ():
        above, _, last = pattern.rpartition("/")
        if "*" in above or "?" in above or "[" in above:
            return None
        entries[f"m {project.root / above}" if set("*?[") & set(last) else f"f {project.root / pattern}"] = (
            None
        )
    found = sorted(entries)
    return None if any("\n" in entry for entry in found) else found


def _editable(folder: Path) -> Iterator[str]:
    yield from (f"f {os.fspath(file)}" for file in determinant_files(folder))
    yield f"n {folder}"
    yield f"n {folder / 'src'}"
