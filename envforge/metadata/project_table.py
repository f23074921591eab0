"""Metadata of an sdist out of its ``[project]`` table, where that says all that a resolution needs.

A backend has to keep to what stands there (PEP 621), so nothing has to be built to know it. Sdists of
backends that write core metadata before 2.2 are read like this.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from envforge.errors import EnvforgeError
from envforge.model.release import CoreMetadata
from envforge.model.requirement import Requirement, check_specifier, normalize_name, parse_requirement
from envforge.struct import replace

_NEEDED = frozenset({"version", "requires-python", "dependencies", "optional-dependencies"})


def parse_project_table(content: bytes) -> CoreMetadata | None:
    """The metadata that a pyproject.toml states, None where only a build can tell.

    Args:
        content: of the file. What is broken says nothing; the build tells what is wrong with it.
    """
    import tomllib

    try:
        table = tomllib.loads(content.decode("utf-8")).get("project")
        return _read(table) if isinstance(table, dict) else None
    except (ValueError, TypeError, AttributeError, KeyError, EnvforgeError):
        return None


def _read(table: Mapping[str, Any]) -> CoreMetadata | None:
    if not _NEEDED.isdisjoint(table.get("dynamic", ())) or not table.get("version"):
        return None
    requires_python = table.get("requires-python", "")
    check_specifier(requires_python)
    extras: Mapping[str, list[str]] = table.get("optional-dependencies", {})
    return CoreMetadata(
        name=table["name"],
        version=table["version"],
        requires_python=requires_python,
        requires=(*_requirements(table.get("dependencies", [])), *_of_extras(extras)),
        provides_extra=frozenset(map(normalize_name, extras)),
    )


def _requirements(texts: Any) -> Iterator[Requirement]:
    if not isinstance(texts, list):
        raise TypeError
    return map(parse_requirement, texts)


def _of_extras(extras: Mapping[str, list[str]]) -> Iterator[Requirement]:
    for extra, texts in extras.items():
        wanted = f"extra == '{normalize_name(extra)}'"
        for requirement in _requirements(texts):
            marker = f"({requirement.marker}) and {wanted}" if requirement.marker else wanted
            yield parse_requirement(str(replace(requirement, marker=marker)))
