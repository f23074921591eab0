"""Tenants: the projects that have generations on a tier, and whether they are still there.

Beside the generations stands ``project.json``: the project's folder, the host that synced it, and the file
system that it was on. So a home that is not mounted at the moment is not taken for a deleted project: a
project is gone only if the folder that it was in is there, on the file system where it was.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

from envforge.environment.generation import read_recorded_generation
from envforge.environment.venv_link import find_host_target, host_link_owner, read_link
from envforge.host.file_systems import kind_of
from envforge.host.mounts import find_mount, mount_id, read_mounts
from envforge.model.storage import Reach
from envforge.store.sharing import make_folders, share_handle
from envforge.struct import Struct

FILE = "project.json"
_LOST = "lost"


class ProjectState(StrEnum):
    """What became of a project; the value is what people are told."""

    HERE = "here"
    ELSEWHERE = "its .venv is not here any more"
    GONE = "deleted or moved"
    UNREACHABLE = "cannot be looked at from here"


class Tenant(Struct, frozen=True):
    """A project with environments on a tier.

    Args:
        environments: its folder of generations.
        root: its own folder, ``""`` if nothing tells.
        state: whether it is still there.
        lost_s: when it was first seen that it is not, seconds since the epoch; None while it is.
        is_for_others: which generation its ``.venv`` means may be another one on each host.
    """

    environments: Path
    root: str
    state: ProjectState
    lost_s: float | None = None
    is_for_others: bool = False

    @property
    def venv(self) -> Path | None:
        return Path(self.root, ".venv") if self.root else None


def record_tenant(environments: Path, root: Path) -> None:
    """Note whose generations these are. What cannot be written costs certainty later, nothing else.

    The project's real path: a symlink that it is reached by now may be gone when somebody asks.
    """
    mount, kind = _file_system(root)
    fields = {"root": os.path.realpath(root), "host": _host(), "mount": mount, "file_system": kind}
    text = json.dumps(fields, indent=1) + "\n"
    place = environments / FILE
    with suppress(OSError):
        if place.exists() and place.read_text(encoding="utf-8") == text:
            return
    aside = environments / f".{FILE}.{os.getpid()}"
    with suppress(OSError, UnicodeError):
        make_folders(environments)
        with open(aside, "w", encoding="utf-8") as file:
            file.write(text)
            share_handle(file.fileno(), environments)
        aside.replace(place)


def find_tenant(environments: Path, now_s: float) -> Tenant:
    """Whose generations a folder holds. That a project is lost is noted, with the time.

    Args:
        environments: a folder of generations.
        now_s: by the file system's clock.
    """
    fields = _read(environments)
    root = str(fields.get("root") or _root_of_a_generation(environments))
    state = _state(Path(root), fields, environments) if root else ProjectState.UNREACHABLE
    lost = state in (ProjectState.GONE, ProjectState.ELSEWHERE)
    others = state is ProjectState.HERE and _is_for_others(_venv_text(Path(root)), environments)
    return Tenant(environments, root, state, _note_lost(environments, lost, now_s), others)


def tenant_folders(tier: Path) -> list[Path]:
    """The folders of generations on a tier, one for each project."""
    try:
        return sorted(place for place in (tier / "envs").iterdir() if place.is_dir())
    except OSError:
        return []


def _state(root: Path, fields: dict[str, str], environments: Path) -> ProjectState:
    venv = root / ".venv"
    try:
        text = read_link(str(venv))
    except (FileNotFoundError, NotADirectoryError):
        lost = ProjectState.ELSEWHERE if root.is_dir() else ProjectState.GONE
        where = root if root.is_dir() else root.parent
        return lost if _is_in_sight(where, fields) else ProjectState.UNREACHABLE
    except OSError:  # it is no link, or may not be looked at
        return ProjectState.ELSEWHERE if os.path.lexists(venv) else ProjectState.UNREACHABLE
    with suppress(OSError):
        if venv.resolve().parent == environments.resolve() or _is_for_others(text, environments):
            return ProjectState.HERE
    return ProjectState.ELSEWHERE


def _is_for_others(text: str, environments: Path) -> bool:
    """Whether other hosts, which have links of their own for ``.venv``, may use what is in a folder."""
    if host_link_owner(text) is None:
        return False
    return find_host_target(text) is None or kind_of(_file_system(environments)[1]).reach is Reach.SHARED


def _venv_text(root: Path) -> str:
    try:
        return read_link(str(root / ".venv"))
    except OSError:
        return ""


def _is_in_sight(folder: Path, fields: dict[str, str]) -> bool:
    """Whether what is not in a folder was taken away, and is not only out of sight from here."""
    try:
        if not any(folder.iterdir()):
            return False  # such as the empty folder on which a file system is mounted at times
    except OSError:
        return False
    mount, kind = _file_system(folder)
    recorded = (fields.get("mount", ""), fields.get("file_system", ""))
    if recorded[0] and recorded != (mount, kind):
        return False
    return fields.get("host") == _host() or bool(kind and kind_of(kind).reach is Reach.SHARED)


def _note_lost(environments: Path, lost: bool, now_s: float) -> float | None:
    place = environments / _LOST
    if not lost:
        with suppress(OSError):
            place.unlink(missing_ok=True)
        return None
    with suppress(OSError):
        if not place.exists():
            place.touch()
        return place.stat().st_mtime
    return now_s


def _file_system(folder: Path) -> tuple[str, str]:
    """Where the file system of a folder is mounted, and its kind as the kernel calls it (``""`` unknown)."""
    place = str(folder.resolve())
    mount = find_mount(place, read_mounts(), mount_id(place))
    return (mount.point, mount.file_system) if mount is not None else ("", "")


def _read(environments: Path) -> dict[str, str]:
    try:
        fields = json.loads((environments / FILE).read_bytes())
        return {str(name): str(value) for name, value in fields.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def _root_of_a_generation(environments: Path) -> str:
    """The project's folder as one of its generations has it, ``""`` if there is none."""
    with suppress(OSError):
        for place in sorted(environments.iterdir()):
            generation = read_recorded_generation(place)
            if generation is not None:
                return str(Path(generation.spec.venv).parent)
    return ""


def _host() -> str:
    return os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")
