"""The conda part of ``[tool.envforge]``: channels, packages, names, link scripts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from envforge.errors import RequirementError
from envforge.manifest.dotted import child
from envforge.manifest.faults import suggestion
from envforge.manifest.manifest import DEFAULT_CHANNEL, DEFAULT_CHANNEL_ALIAS, Channel, CondaDependency
from envforge.manifest.reading import Reader, Table, kind
from envforge.model.match_spec import parse_match_spec
from envforge.model.names import is_valid_name, normalize_name
from envforge.model.target import PLATFORMS

_KEYS = ("version", "build", "platforms")
_CHANNEL_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_.-]+)*"
_PACKAGE_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_CHANNEL_URL = r"(?:https?|file)://[^\s?#]*"


def read_channels(reader: Reader, table: Table, where: str) -> tuple[Channel, ...]:
    """Names, URLs and folders, in the order of their priority; conda-forge where none is named.

    A folder's URL is its path as written: relative to the manifest, which only a workflow can resolve.
    """
    if "channels" not in table:
        return (DEFAULT_CHANNEL,)
    channels: dict[str, Channel] = {}
    for text, place in reader.texts(table, "channels", where, '["conda-forge"]'):
        channel = _channel(text.rstrip("/"))
        if channel is None:
            # the text is not shown: what is wrong may be a password
            right = "write a name (conda-forge), a URL without query, or a folder (./channel)"
            reader.refuse(place, "is no channel", right)
        elif channel.public_url in channels:
            reader.refuse(place, f"{channel.name!r} is there twice", "remove one")
        else:
            channels[channel.public_url] = channel
    if table["channels"] == []:
        reader.refuse(child(where, "channels"), "is empty", 'write e.g. channels = ["conda-forge"]')
    return tuple(channels.values())


def _channel(text: str) -> Channel | None:
    if re.fullmatch(_CHANNEL_URL, text):
        return Channel(name=Channel(name="", url=text).public_url, url=text)
    if "://" in text:
        return None
    if text.startswith((".", "/", "~")) or "\\" in text:
        return Channel(name=text, url=text)
    if re.fullmatch(_CHANNEL_NAME, text):
        return Channel(name=text, url=f"{DEFAULT_CHANNEL_ALIAS}/{text}")
    return None


def read_conda_dependencies(
    reader: Reader, table: Table, where: str, platforms: tuple[str, ...]
) -> tuple[CondaDependency, ...]:
    """``name = "spec"`` or ``name = { version = …, build = …, platforms = […] }``, in the order written."""
    dependencies = reader.table(table, "conda-dependencies", where)
    place = child(where, "conda-dependencies")
    found: dict[str, CondaDependency] = {}
    for key, value in dependencies.items():
        dependency = _dependency(reader, key, value, child(place, key), platforms)
        if dependency is not None and dependency.name in found:
            reader.refuse(child(place, key), f"{dependency.name} is there twice", "remove one")
        elif dependency is not None:
            found[dependency.name] = dependency
    return tuple(found.values())


def _dependency(
    reader: Reader, key: str, value: object, where: str, platforms: tuple[str, ...]
) -> CondaDependency | None:
    if isinstance(value, str):
        spec: str = value
        wanted: tuple[str, ...] = ()
    elif isinstance(value, dict):
        spec = _spec_of_table(reader, value, where)
        wanted = _platforms(reader, value, where, platforms)
    else:
        right = f'write {key} = "*", or a match spec such as ">=1.2,<2"'
        reader.refuse(where, f"is {kind(value)}, not a text or a table", right)
        return None
    if not re.fullmatch(_PACKAGE_NAME, key):
        reader.refuse(
            where, f"{key!r} is no name of a conda package", "write the name only, the spec behind it"
        )
        return None
    try:
        parts = parse_match_spec(f"{key} {spec}".strip())
    except RequirementError as error:
        reader.refuse(where, "; ".join([error.message, *error.context[2:]]), " or ".join(error.hints))
        return None
    return CondaDependency(name=parts.name, spec=parts.spec, platforms=wanted, where=where)


def _spec_of_table(reader: Reader, table: Table, where: str) -> str:
    for key in table:
        if key not in _KEYS:
            reader.refuse(child(where, key), "unknown key", suggestion(key, _KEYS))
    version = reader.text(table, "version", where, ">=1.2") or "*"
    build = reader.text(table, "build", where, "*cuda*")
    return f"{version} {build}" if build else version


def _platforms(reader: Reader, table: Table, where: str, locked: tuple[str, ...]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for platform, place in reader.texts(table, "platforms", where, '["linux-64"]'):
        if platform not in PLATFORMS:
            reader.refuse(place, f"unknown platform {platform!r}", suggestion(platform, PLATFORMS))
        elif platform not in locked:
            reader.refuse(place, f"{platform} is not locked for", "add it to tool.envforge.platforms")
        found[platform] = None
    return tuple(found)


def read_conda_pypi_map(reader: Reader, table: Table, where: str) -> dict[str, str]:
    """conda name → PyPI name, normalized; "" for a package that is no PyPI project."""
    if isinstance(table.get("conda-pypi-map"), str):
        place = child(where, "conda-pypi-map")
        reader.refuse(place, "files of names are not supported yet", 'write { name = "name-on-pypi" }')
        return {}
    names = reader.table(table, "conda-pypi-map", where)
    found = {}
    for key, value in names.items():
        place = child(child(where, "conda-pypi-map"), key)
        if not isinstance(value, str):
            reader.refuse(place, f"is {kind(value)}, not a text", f'write {key} = "name-on-pypi", or ""')
        elif value and not is_valid_name(value):
            reader.refuse(place, f"{value!r} is no name of a project", 'write the name only, or "" for none')
        else:
            found[key.lower()] = normalize_name(value)
    return found


def read_link_scripts(reader: Reader, table: Table, where: str) -> Iterator[str]:
    """Names of conda packages whose link scripts may run."""
    for name, place in reader.texts(table, "link-scripts", where, '["package"]'):
        if re.fullmatch(_PACKAGE_NAME, name):
            yield name.lower()
        else:
            reader.refuse(place, f"{name!r} is no name of a conda package", "write the name only")
