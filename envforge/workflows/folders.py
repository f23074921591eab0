"""Folders on this disk that a project takes other projects from: what a lock depends on in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envforge.errors import ManifestError
from envforge.manifest.dotted import item
from envforge.manifest.faults import Fault, manifest_error
from envforge.manifest.folders import FolderManifest, parse_folder
from envforge.manifest.workspace import WHERE, is_member
from envforge.model.sources import PathSource, Source
from envforge.workflows.file_places import place

if TYPE_CHECKING:
    from envforge.manifest.manifest import Manifest

_LEGACY = ("setup.py", "setup.cfg")


def read_folder(path: Path, shown: str) -> FolderManifest | None:
    """What a folder's pyproject.toml says, None for a folder that is no project.

    Args:
        path: of the folder.
        shown: its path as from the lock's folder, for messages and for the paths in it.

    Raises:
        ManifestError: the file cannot be read.
    """
    has_setup = (path / "setup.py").is_file()
    try:
        text = (path / "pyproject.toml").read_bytes().decode("utf-8")
    except FileNotFoundError:
        return FolderManifest(file=f"{shown}/setup.py", document={}) if has_setup else None
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{shown}/pyproject.toml cannot be read", context=[str(error)]) from None
    found = parse_folder(text, shown)
    return found if has_setup or found.project or found.has_build_system else None


def find_members(manifest: Manifest, root: Path, texts: Mapping[str, str]) -> dict[str, FolderManifest]:
    """The members of a workspace: path (``./packages/a``) → what its pyproject.toml says, in order of paths.

    A folder without pyproject.toml that a pattern matches is none; every pattern has to match a project.

    Args:
        manifest: of the root.
        root: its folder.
        texts: path of a member → what its pyproject.toml is to say, whatever is on disk.

    Raises:
        ManifestError: a pattern matches none, or a member cannot be read.
    """
    workspace = manifest.settings.workspace
    assert workspace is not None
    found: dict[str, FolderManifest] = {}
    faults = []
    for number, pattern in enumerate(workspace.members):
        folders = [file.parent for file in root.glob(f"{pattern}/pyproject.toml")]
        if not folders:
            problem = f"{pattern!r} matches no folder with a pyproject.toml"
            faults.append(Fault(item(f"{WHERE}.members", number), problem, "correct it, or remove it"))
        for folder in folders:
            path = folder.relative_to(root).as_posix()
            if is_member(workspace, path):
                shown = f"./{path}"
                text = texts.get(shown)
                member = read_folder(folder, shown) if text is None else parse_folder(text, shown)
                if member is None:
                    text = (folder / "pyproject.toml").read_text(encoding="utf-8")
                    fault = Fault(
                        "", "a member of a workspace needs a [project] table", "add one, with a name"
                    )
                    raise manifest_error(f"./{path}/pyproject.toml", text, [fault])
                found[shown] = member
    if faults:
        raise manifest_error(manifest.path, manifest.text, faults)
    return dict(sorted(found.items()))


def folder_inputs(manifest: Manifest, root: Path) -> dict[str, Any]:
    """Path of each folder that a manifest leads to → what a resolution depends on in it.

    A folder that cannot be read counts as missing: to resolve it tells what is wrong.
    """
    texts = [source for _, source in manifest.settings.all_sources]
    found: dict[str, Any] = {}
    waiting = [*_paths(texts), *_required_paths(manifest)]
    while waiting:
        path = waiting.pop()
        folder = place(path, root)
        if path in found or not folder.is_dir():
            continue
        found[path] = None
        with suppress(ManifestError):
            read = manifest.members.get(path) or read_folder(folder, path)
            if read is not None:
                found[path] = [read.inputs(), *_legacy_texts(folder, read)]
                waiting += _paths(read.sources.values())
    return found


def _paths(sources: Iterable[Source]) -> list[str]:
    return [source.path for source in sources if isinstance(source, PathSource)]


def _required_paths(manifest: Manifest) -> list[str]:
    """Folders that requirements of the manifest name (``lib @ file:///home/me/lib``)."""
    if "@" not in manifest.text:
        return []

    from envforge.manifest.references import ReferenceFaultError, declared_urls, parse_reference
    from envforge.model.requirement import parse_requirement

    found = []
    for entry in declared_urls(manifest):
        with suppress(ReferenceFaultError):
            found += _paths([parse_reference(parse_requirement(entry.text).url)])
    return found


def _legacy_texts(folder: Path, read: FolderManifest) -> list[str]:
    """What setuptools reads beside pyproject.toml, where that does not say all."""
    texts = []
    for name in _LEGACY if not read.is_static else ():
        with suppress(OSError):
            texts.append((folder / name).read_bytes().decode("utf-8", "replace"))
    return texts
