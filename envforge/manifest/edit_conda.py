"""Editing ``[tool.envforge.conda-dependencies]``: what is asked for changes, comments and order stay."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from envforge.errors import ManifestError
from envforge.manifest.faults import suggestion
from envforge.manifest.parse import parse_manifest
from envforge.manifest.splice import newline_of

_PLACE = "tool.envforge.conda-dependencies"


def add_conda_dependencies(text: str, specs: Mapping[str, str], path: str = "pyproject.toml") -> str:
    """Record conda packages; one that is there gets the new spec and keeps its platforms.

    Args:
        text: of the manifest.
        specs: name → what follows it in a match spec, ``*`` for any.
        path: what errors call the manifest.

    Raises:
        ManifestError: the manifest has faults.
    """
    parse_manifest(text, path)

    def edit(document: Any) -> None:
        table = _table(document)
        written = {key.lower(): key for key in table}
        for name, spec in specs.items():
            key = written.get(name, name)
            if isinstance(table.get(key), dict):
                table[key].pop("build", None)
                table[key]["version"] = spec
            else:
                table[key] = spec

    return _edited(text, edit, path)


def remove_conda_dependencies(text: str, names: Sequence[str], path: str = "pyproject.toml") -> str:
    """Take conda packages out.

    Raises:
        ManifestError: the manifest has faults, or a name is not there: then the closest one.
    """
    dependencies = parse_manifest(text, path).settings.conda_dependencies
    known = [dependency.name for dependency in dependencies]
    for name in names:
        if name.lower() not in known:
            raise ManifestError(
                f"{path}: {name} is not in {_PLACE}",
                hints=[suggestion(name, known) or f"there: {', '.join(known) or 'nothing'}"],
            )

    def edit(document: Any) -> None:
        table = _table(document)
        for key in [key for key in table if key.lower() in {name.lower() for name in names}]:
            del table[key]
        if not table:
            del document["tool"]["envforge"]["conda-dependencies"]

    return _edited(text, edit, path)


def _table(document: Any) -> Any:
    """The table, made where it is missing."""
    import tomlkit

    for key in ("tool", "envforge"):
        if key not in document:
            document[key] = tomlkit.table(is_super_table=key == "tool")
        document = document[key]
    if "conda-dependencies" not in document:
        document["conda-dependencies"] = tomlkit.table()
    return document["conda-dependencies"]


def _edited(text: str, edit: Callable[[Any], None], path: str) -> str:
    """The text after an edit of its document, checked: everything else says what it said."""
    import tomlkit

    newline = newline_of(text)
    # tomlkit writes new lines with \n, whatever the others end with
    document = tomlkit.parse(text.replace(newline, "\n"))
    edit(document)
    edited = tomlkit.dumps(document).replace("\n", newline)
    before, after = tomllib.loads(text), tomllib.loads(edited)
    for data in (before, after):
        data.setdefault("tool", {}).setdefault("envforge", {}).pop("conda-dependencies", None)
    if before != after:
        raise ManifestError(
            f"{path} cannot be edited safely", hints=[f"write the package into [{_PLACE}] yourself"]
        )
    parse_manifest(edited, path)
    return edited
