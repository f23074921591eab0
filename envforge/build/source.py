"""What a source folder says about its build: the ``[build-system]`` table of pyproject.toml.

Standards: PEP 517, PEP 518. Installing the requirements that it names is not done here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from envforge.errors import BuildError, RequirementError
from envforge.model.requirement import parse_requirement
from envforge.struct import Struct

LEGACY_BACKEND = "setuptools.build_meta:__legacy__"
LEGACY_REQUIRES = ("setuptools>=40.8.0",)


class BuildSystem(Struct, frozen=True, kw_only=True):
    """How a source folder is built.

    Args:
        requires: PEP 508 texts of what has to be installed first.
        backend: ``module`` or ``module:object`` with the hooks.
        backend_path: folders of a backend that the source brings along, relative to it.
    """

    requires: tuple[str, ...]
    backend: str
    backend_path: tuple[str, ...] = ()


def read_build_system(source: Path) -> BuildSystem:
    """How ``source`` is built; setuptools as in PEP 517 where it does not say.

    Raises:
        BuildError: it is no Python project, or its ``[build-system]`` is broken; all faults are listed.
    """
    file = source / "pyproject.toml"
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        if not (source / "setup.py").is_file():
            raise BuildError(f"{source} has neither a pyproject.toml nor a setup.py") from None
        return BuildSystem(requires=LEGACY_REQUIRES, backend=LEGACY_BACKEND)
    except OSError as error:
        raise BuildError(f"{file} cannot be read", context=[error.strerror or str(error)]) from None
    return parse_build_system(content, str(file))


def parse_build_system(content: bytes, file: str = "pyproject.toml") -> BuildSystem:
    """The build system that the bytes of a pyproject.toml name; ``file`` is for the errors.

    Raises:
        BuildError: it is not TOML, or its ``[build-system]`` is broken.
    """
    import tomllib

    try:
        document = tomllib.loads(content.decode("utf-8"))
    except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError are both
        raise BuildError(f"{file} is not valid TOML", context=[str(error)]) from None
    table = document.get("build-system")
    if table is None:
        return BuildSystem(requires=LEGACY_REQUIRES, backend=LEGACY_BACKEND)
    if faults := list(_faults(table)):
        raise BuildError(
            f"the [build-system] table of {file} is broken",
            context=faults,
            hints=['e.g. requires = ["hatchling"] and build-backend = "hatchling.build"'],
        )
    return BuildSystem(
        requires=tuple(table["requires"]),
        backend=table.get("build-backend", LEGACY_BACKEND),
        backend_path=tuple(table.get("backend-path", ())),
    )


def _faults(table: Any) -> Iterator[str]:
    if not isinstance(table, dict):
        yield "build-system has to be a table"
        return
    if "requires" not in table:
        yield "build-system.requires is missing"
    elif not _is_texts(table["requires"]):
        yield "build-system.requires has to be a list of texts"
    else:
        for number, requirement in enumerate(table["requires"]):
            try:
                parse_requirement(requirement)
            except RequirementError as error:
                yield f"build-system.requires[{number}]: {error.message}"
    backend = table.get("build-backend", LEGACY_BACKEND)
    if not isinstance(backend, str) or not _is_object_reference(backend):
        yield f"build-system.build-backend has to be module or module:object, not {backend!r}"
    yield from _backend_path_faults(table)


def _backend_path_faults(table: dict[str, Any]) -> Iterator[str]:
    if "backend-path" not in table:
        return
    if not _is_texts(table["backend-path"]):
        yield "build-system.backend-path has to be a list of texts"
        return
    if "build-backend" not in table:
        yield "build-system.backend-path is of no use without build-backend"
    for number, folder in enumerate(table["backend-path"]):
        if _leaves_source(folder):
            yield f"build-system.backend-path[{number}] has to stay inside the source: {folder!r}"


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, str) for entry in value)


def _is_object_reference(text: str) -> bool:
    module, colon, attribute = text.partition(":")
    parts = [*module.split("."), *(attribute.split(".") if colon else [])]
    return all(part.isidentifier() for part in parts)


def _leaves_source(folder: str) -> bool:
    if PurePosixPath(folder).is_absolute() or PureWindowsPath(folder).anchor:
        return True
    depth = 0
    for part in PureWindowsPath(folder).parts:  # knows both separators
        depth += -1 if part == ".." else 1
        if depth < 0:
            return True
    return False
