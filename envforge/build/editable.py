"""Editable wheels: whether one that was built earlier is right still, and what it says of its origin.

An editable wheel says where the source is, what it is called and what it requires: it changes with the
project's metadata and with its set of importable names, not with their code. Not noticed are a version
that a backend computes (from git, from a file of its own) and sources of compiled extensions.

Standard: PEP 610 (``direct_url.json``, by which tools see that a distribution is editable, and of what).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_FORMAT = 2
_RECORD = re.compile(r"[^/]+\.dist-info/RECORD")
_READ_WHOLE = ("setup.py", "setup.cfg", "MANIFEST.in")
# Tables of tools that have no part in a build; what is not known to be one may have.
_NO_BUILD_TOOLS = {
    *("envforge", "uv", "pixi", "rye", "conda-lock", "tox", "nox", "poe", "taskipy", "pytest", "coverage"),
    *("ruff", "black", "isort", "flake8", "pylint", "mypy", "pyright", "basedpyright", "ty", "pyrefly"),
    *("bandit", "codespell", "typos", "interrogate", "docformatter", "pydocstyle", "vulture", "deptry"),
    *("towncrier", "commitizen", "bumpversion", "semantic_release", "cibuildwheel", "check-manifest"),
}


def editable_fingerprint(source: Path) -> str:
    """A digest, hex, of what determines the editable wheel of a source folder.

    Args:
        source: folder with pyproject.toml or setup.py. Files that are missing or broken count as they
            are; reading them for a build tells what is wrong.
    """
    from hashlib import sha256

    digest = sha256()
    for label, content in _determinants(source):
        for part in (label.encode(), content):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
    return digest.hexdigest()


def determinant_files(source: Path) -> list[Path]:
    """The files whose content :func:`editable_fingerprint` looks at, also those that are not there."""
    document = _parse(_read(source / "pyproject.toml")) or {}
    names = ("pyproject.toml", *_READ_WHOLE, *_files_named(document), *_backend_files(source, document))
    return [source / name for name in names]


def record_origin(wheel: Path, source: Path, *, editable: bool) -> None:
    """Add ``direct_url.json`` to a wheel, which is replaced in one step.

    Args:
        wheel: as its backend made it, checked.
        source: folder that it was built from.
        editable: it has a way to the folder.
    """
    _record(wheel, {"url": source.resolve().as_uri(), "dir_info": {"editable": True} if editable else {}})


def record_commit(wheel: Path, url: str, commit: str, revision: str, subdirectory: str) -> None:
    """Add ``direct_url.json`` to a wheel that was built from a commit of git; see :func:`record_origin`.

    Args:
        wheel: as its backend made it, checked.
        url: of the repository, without credentials.
        commit: 40 hexadecimal digits.
        revision: what was asked for, ``""`` for nothing.
        subdirectory: of the project in the repository, ``""`` for its top.
    """
    requested = {"requested_revision": revision} if revision else {}
    inside = {"subdirectory": subdirectory} if subdirectory else {}
    _record(wheel, {"url": url, "vcs_info": {"vcs": "git", "commit_id": commit, **requested}, **inside})


def record_archive(wheel: Path, url: str, sha256: str, subdirectory: str) -> None:
    """Add ``direct_url.json`` to a wheel that was built from the sdist at a URL; see :func:`record_origin`.

    Args:
        wheel: as its backend made it, checked.
        url: of the sdist, without credentials.
        sha256: of the sdist, hex.
        subdirectory: of the project in the sdist, ``""`` for its top.
    """
    archive = {"hash": f"sha256={sha256}", "hashes": {"sha256": sha256}}
    inside = {"subdirectory": subdirectory} if subdirectory else {}
    _record(wheel, {"url": url, "archive_info": archive, **inside})


def _record(wheel: Path, origin: Mapping[str, Any]) -> None:
    from zipfile import ZIP_DEFLATED, ZipFile

    content = json.dumps(origin).encode()
    aside = wheel.with_suffix(".new")
    with ZipFile(wheel) as made, ZipFile(aside, "w", ZIP_DEFLATED) as told:
        record = next(name for name in made.namelist() if _RECORD.fullmatch(name))
        path = f"{record.partition('/')[0]}/direct_url.json"
        for entry in made.infolist():
            if entry.filename not in (record, path):
                told.writestr(entry, made.read(entry))
        told.writestr(path, content)
        told.writestr(record, _with_row(made.read(record).decode(), path, content))
    aside.replace(wheel)


def _with_row(record: str, path: str, content: bytes) -> str:
    """The text of a RECORD with one more file."""
    from base64 import urlsafe_b64encode
    from hashlib import sha256

    digest = urlsafe_b64encode(sha256(content).digest()).rstrip(b"=").decode()
    rows = [row for row in record.splitlines() if row and not row.startswith(f"{path},")]
    return "\n".join([*rows, f"{path},sha256={digest},{len(content)}", ""])


def _determinants(source: Path) -> Iterator[tuple[str, bytes]]:
    yield "format", str(_FORMAT).encode()
    yield "place", str(source.resolve()).encode(errors="surrogateescape")
    content = _read(source / "pyproject.toml")
    document = _parse(content)
    yield "pyproject.toml", content if document is None else _relevant(document)
    for name in (*_READ_WHOLE, *_files_named(document or {})):
        yield name, _read(source / name)
    for folder in ("", "src"):
        yield f"names in {folder}", "\n".join(_importable_names(source / folder)).encode(errors="replace")
    for name in _backend_files(source, document or {}):
        yield name, _read(source / name)


def _read(file: Path) -> bytes:
    try:
        return b"there" + file.read_bytes()
    except OSError:
        return b""


def _parse(content: bytes) -> dict[str, Any] | None:
    import tomllib

    try:
        return tomllib.loads(content.removeprefix(b"there").decode("utf-8"))
    except ValueError:
        return None


def _relevant(document: dict[str, Any]) -> bytes:
    tools = document.get("tool")
    tools = tools if isinstance(tools, dict) else {}
    content = {
        "build-system": document.get("build-system"),
        "project": document.get("project"),
        "tool": {name: table for name, table in tools.items() if name not in _NO_BUILD_TOOLS},
    }
    return json.dumps(content, sort_keys=True, default=str).encode()


def _files_named(document: dict[str, Any]) -> Iterator[str]:
    """The readme, which is part of the metadata."""
    project = document.get("project")
    readme = project.get("readme") if isinstance(project, dict) else None
    name = readme.get("file") if isinstance(readme, dict) else readme
    if isinstance(name, str) and name:
        yield name


def _importable_names(folder: Path) -> list[str]:
    """Packages and modules directly in a folder: backends write out their names, or find them by them."""
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return []
    # Builds leave folders of their own beside the packages (app.egg-info), whose names are no identifiers.
    named = [entry for entry in entries if entry.stem.isidentifier() and not entry.name.startswith("__")]
    every_folder = folder.name == "src"
    return [entry.name for entry in named if _is_importable(entry, every_folder)]


def _is_importable(entry: Path, every_folder: bool) -> bool:
    if entry.suffix:
        return entry.suffix == ".py"
    return entry.is_dir() and (every_folder or (entry / "__init__.py").exists())


def _backend_files(source: Path, document: dict[str, Any]) -> list[str]:
    """The modules of a backend that the source brings along."""
    system = document.get("build-system")
    folders = system.get("backend-path") if isinstance(system, dict) else None
    if not isinstance(folders, list):
        return []
    found = [file for folder in folders if isinstance(folder, str) for file in (source / folder).glob("*.py")]
    return sorted({file.relative_to(source).as_posix() for file in found if file.is_relative_to(source)})
