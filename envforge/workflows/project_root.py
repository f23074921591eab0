"""Where a project is, and what its files are called; nothing of it is read but what workspaces say."""

from __future__ import annotations

from pathlib import Path

from envforge.errors import ManifestError

MANIFEST_NAME = "pyproject.toml"
LOCK_NAME = "envforge.lock"
VENV_NAME = ".venv"


def find_project_root(start: Path) -> Path:
    """The nearest folder at or above ``start`` that holds a pyproject.toml, or its workspace's.

    Raises:
        ManifestError: there is none.
    """
    for folder in (start, *start.parents):
        if (folder / MANIFEST_NAME).is_file():
            return find_workspace_root(folder) or folder
    raise ManifestError(
        f"no {MANIFEST_NAME} in {start} or any folder above it", hints=["start a project with: envforge init"]
    )


def find_workspace_root(folder: Path) -> Path | None:
    """The folder of the workspace that a project's folder is a member of, None for none.

    Raises:
        ManifestError: the manifest of what seems to be a workspace is no TOML.
    """
    for above in folder.parents:
        try:
            text = (above / MANIFEST_NAME).read_text(encoding="utf-8")
        except (OSError, ValueError):
            continue
        if "workspace" in text and "envforge" in text and _has_member(above, text, folder):
            return above
    return None


def _has_member(root: Path, manifest_text: str, folder: Path) -> bool:
    """Whether a manifest is that of a workspace with a member, whatever else is wrong with it.

    Raises:
        ManifestError: it is no TOML.
    """
    from envforge.manifest.parse import read_toml
    from envforge.manifest.reading import Reader
    from envforge.manifest.workspace import is_member, read_workspace

    reader = Reader()  # what is wrong is told by who reads the manifest
    document = read_toml(manifest_text, str(root / MANIFEST_NAME))
    table = reader.table(reader.table(document, "tool", ""), "envforge", "tool")
    if "workspace" not in table:
        return False
    return is_member(read_workspace(reader, table, "tool.envforge"), folder.relative_to(root).as_posix())
