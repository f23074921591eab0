"""What ``add`` is given as a path: a folder with a project in it, a wheel or an sdist."""

from __future__ import annotations

import os
from pathlib import Path

from envforge.errors import ManifestError, UsageError
from envforge.manifest.paths import folder_path
from envforge.manifest.references import is_archive_name
from envforge.model.names import normalize_name
from envforge.model.requirement import parse_requirement
from envforge.struct import Struct
from envforge.workflows.folders import read_folder

_STARTS = ("./", "../", "/", "~/", ".\\", "..\\")


class LocalAddition(Struct, frozen=True):
    """A project that comes from a path.

    Args:
        name: of the project, normalized.
        path: as the manifest has it.
        editable: a folder whose code is used where it stands.
    """

    name: str
    path: str
    editable: bool

    @property
    def table(self) -> dict[str, str | bool]:
        """Its entry in ``tool.envforge.sources``."""
        return {"path": self.path, **({"editable": True} if self.editable else {})}


def is_path(text: str) -> bool:
    """Whether a word of the command line means a path."""
    return text in (".", "..") or text.startswith(_STARTS) or ("://" not in text and _is_archive(text))


def _is_archive(text: str) -> bool:
    return is_archive_name(text) and "@" not in text


def read_local(text: str, base: Path, root: Path, *, editable: bool) -> LocalAddition:
    """Find out which project is at a path.

    Args:
        text: the path.
        base: folder that it is from.
        root: folder of the manifest.
        editable: whether it is to be.

    Raises:
        UsageError: there is nothing or no archive, or an archive is to be editable.
        ManifestError: it is no project, or does not say its name.
    """
    path = Path(os.path.normpath(base / Path(text).expanduser()))
    if not path.exists():
        raise UsageError(f"there is nothing at {path}", hints=["check the spelling of the path"])
    if path.resolve() == root.resolve():
        raise UsageError("a project cannot require itself", context=[str(path)])
    if path.is_dir():
        name = _folder_name(path)
    elif not is_archive_name(path.name):
        refuse_requirements_file(text, base)
        raise UsageError(f"{path} is neither a folder nor a wheel or sdist")
    elif editable:
        raise UsageError(f"{path.name} is an archive: only a folder can be editable")
    else:
        name = _archive_name(path)
    shown = text if text.startswith(("/", "~")) else folder_path(os.path.relpath(path, root))
    return LocalAddition(normalize_name(name), shown.rstrip("/"), editable)


def refuse_requirements_file(text: str, base: Path) -> None:
    """Tell who names a file of requirements how to add what is in it; ``text`` may be anything else.

    Raises:
        UsageError: it is one.
    """
    if text.endswith((".txt", ".in")) and (base / Path(text).expanduser()).is_file():
        raise UsageError(
            f"{text} is a file of requirements, not a requirement", hints=[requirements_file_hint(text)]
        )


def requirements_file_hint(file: str) -> str:
    """How to add what is in a file of requirements, without its comments, options and hashes."""
    from shlex import quote

    return f"add what is in it: envforge add $(grep -v '^ *[#-]' {quote(file)} | tr -d ' \\\\')"


def _folder_name(path: Path) -> str:
    found = read_folder(path, str(path))
    if found is None:
        raise ManifestError(
            f"{path} is no project",
            context=["it has neither a pyproject.toml with a project nor a setup.py"],
            hints=["name the folder that has one"],
        )
    name = found.project.get("name")
    if not isinstance(name, str):
        raise ManifestError(
            f"{path} does not say the project's name",
            context=["only its build backend knows it"],
            hints=[f'name it: envforge add "NAME @ {path.as_uri()}"'],
        )
    return parse_requirement(name).name


def _archive_name(path: Path) -> str:
    if path.suffix == ".whl":
        return path.name.partition("-")[0]
    name, _, version = path.name.rpartition("-")
    if not name or not version[:1].isdigit():
        hint = f'name the project: envforge add "NAME @ {path.as_uri()}"'
        raise ManifestError(f"{path.name} is not named like an sdist", hints=[hint])
    return name
