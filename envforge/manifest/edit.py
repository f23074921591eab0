"""Editing pyproject.toml: what is asked for changes, every other byte stays.

Comments, order, indentation and line endings survive. Each edit is checked before it is given back: read
again, the new text says what the old one said, but for what was asked.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

from envforge.errors import EnvforgeError, ManifestError
from envforge.manifest.faults import manifest_error, suggestion
from envforge.manifest.lists import (
    Keys,
    dotted,
    keys_of_list,
    list_at,
    name_of,
    no_such_list,
    not_required,
    value_at,
)
from envforge.manifest.parse import parse_manifest, read_toml
from envforge.manifest.positions import scan_positions
from envforge.manifest.reading import Reader
from envforge.manifest.splice import (
    insert_entry,
    insert_key,
    insert_table,
    newline_of,
    quote,
    quote_list,
    remove_entry,
    replace_entry,
    spread_array,
)
from envforge.model.names import is_valid_name, normalize_name
from envforge.model.requirement import Requirement, parse_requirement
from envforge.model.target import PLATFORMS

_FIRST_VERSION = "0.1.0"


def create_manifest(
    existing_text: str | None,
    *,
    name: str,
    requires_python: str,
    python: str = "",
    platforms: Sequence[str],
    path: str = "pyproject.toml",
) -> str:
    """A manifest to begin with, or an existing pyproject.toml with what it lacks.

    Nothing that is there is changed: a missing ``[project]`` or ``[tool.envforge]`` is added at the end, a
    missing key at the end of its table.

    Args:
        existing_text: the content of pyproject.toml, None if there is no such file.
        name: for ``project.name``.
        requires_python: specifier, ``""`` to leave it out.
        python: for ``tool.envforge.python``, ``""`` to leave it out.
        platforms: conda subdirs, empty to leave them out; without any setting there is no table for them.

    Raises:
        ManifestError: the text is no TOML, keeps its requirements in Poetry's own tables, or a value
            cannot be meant.
    """
    _check_values(name, platforms)
    text = existing_text or ""
    data = read_toml(text, path)
    dynamic = _check_tables(data, text, path)
    if "project" not in data and "poetry" in data.get("tool", {}):
        parse_manifest(text, path)  # raises, and says what to do
    project = {"name": quote(name), "version": quote(_FIRST_VERSION)}
    if "project" in data:
        del project["version"]  # whoever left it out does without
    if requires_python:
        project["requires-python"] = quote(requires_python)
    project["dependencies"] = "[]"
    project = {key: value for key, value in project.items() if key not in dynamic}
    settings = {"platforms": quote_list(platforms)} if platforms else {}
    if python:
        settings["python"] = quote(python)
    text = _extend_table(text, data, ("project",), project)
    if settings:
        text = _extend_table(text, data, ("tool", "envforge"), settings)
    _check_nothing_lost(data, text, path)
    return text


def set_project_name(text: str, name: str, path: str = "pyproject.toml") -> str:
    """The manifest under another name: for a project that starts from somebody else's.

    Raises:
        ManifestError: the manifest has faults, or the name is no name.
    """
    parse_manifest(text, path)
    _check_values(name, ())
    start, end = scan_positions(text).values["project.name"]
    return text[:start] + quote(name) + text[end:]


def add_requirements(
    text: str,
    requirements: Sequence[str],
    *,
    group: str | None = None,
    extra: str | None = None,
    variant: str | None = None,
    path: str = "pyproject.toml",
    check: Callable[[str, str], object] = parse_manifest,
) -> str:
    """Record requirements in ``project.dependencies``, a dependency group, an extra or a variant.

    An entry of the same project with the same marker is replaced; otherwise a new one is put at the end, or
    in its alphabetical place if the list was sorted. A group or extra that is not there is made, a variant is
    not: nobody knows for which hosts. ``check`` refuses a manifest with faults; for that of a workspace's
    member there are other rules.

    Raises:
        RequirementError: a text is no requirement.
        ManifestError: the manifest has faults, requires the project twice under one marker, has no such
            variant, or cannot be edited safely.
    """
    check(text, path)
    wanted = [(requirement.strip(), parse_requirement(requirement.strip())) for requirement in requirements]
    _refuse_two_at_once([requirement for _, requirement in wanted])
    data = read_toml(text, path)
    keys = keys_of_list(data, group, extra, variant, path)
    edited = _ensure_list(text, data, keys)
    _check_only_changed(data, edited, keys, path)
    for raw, requirement in wanted:
        edited = _put(edited, keys, raw, requirement, path)
    _check_only_changed(data, edited, keys, path)
    return edited


def remove_requirements(
    text: str,
    names: Sequence[str],
    *,
    group: str | None = None,
    extra: str | None = None,
    variant: str | None = None,
    path: str = "pyproject.toml",
    check: Callable[[str, str], object] = parse_manifest,
) -> str:
    """Take every requirement on the named projects out of one list, which may become empty.

    Raises:
        ManifestError: the manifest has faults, the group, extra or variant is not there, or a name is not in
            the list: then where it really stands, and the closest name.
    """
    check(text, path)
    data = read_toml(text, path)
    keys = keys_of_list(data, group, extra, variant, path)
    entries = list_at(data, keys)
    if entries is None and (group or extra):
        raise no_such_list(data, keys, path)
    wanted = {normalize_name(name.strip()): name.strip() for name in names}
    missing = [name for key, name in wanted.items() if key not in map(name_of, entries or [])]
    if missing:
        raise not_required(data, keys, missing, path)
    edited = text
    for index in reversed(range(len(entries or []))):
        if name_of((entries or [])[index]) in wanted:
            edited = remove_entry(edited, scan_positions(edited).arrays[dotted(keys)], index)
    _check_only_changed(data, edited, keys, path)
    return edited


def _check_values(name: str, platforms: Sequence[str]) -> None:
    if not is_valid_name(name):
        raise ManifestError(
            f"{name!r} is no name for a project",
            hints=["use letters, digits, '-', '_' and '.', with a letter or digit first and last"],
        )
    for platform in platforms:
        if platform not in PLATFORMS:
            raise ManifestError(f"unknown platform {platform!r}", hints=[suggestion(platform, PLATFORMS)])


def _refuse_two_at_once(requirements: Sequence[Requirement]) -> None:
    first: dict[tuple[str, str], Requirement] = {}
    for requirement in requirements:
        other = first.setdefault((requirement.name, requirement.marker), requirement)
        if other != requirement:
            raise ManifestError(
                f"{requirement.name} is asked for twice: {other} and {requirement}",
                hints=["make them one requirement"],
            )


def _check_tables(data: dict[str, Any], text: str, path: str) -> set[str]:
    """Refuse what stands where a table has to be; gives ``project.dynamic``."""
    reader = Reader()
    project = reader.table(data, "project", "")
    reader.table(reader.table(data, "tool", ""), "envforge", "tool")
    dynamic = {key for key, _ in reader.texts(project, "dynamic", "project", '["version"]')}
    if reader.faults:
        raise manifest_error(path, text, reader.faults)
    return dynamic


def _extend_table(text: str, data: dict[str, Any], keys: Keys, pairs: dict[str, str]) -> str:
    """Add the pairs (key → TOML) that a table lacks, and the table if it is not there."""
    table = value_at(data, keys)
    if table is None:
        return insert_table(text, dotted(keys), [f"{key} = {value}" for key, value in pairs.items()])
    for key, value in pairs.items():
        if key not in table:
            text = _set_key(text, (*keys, key), value)
    return text


def _ensure_list(text: str, data: dict[str, Any], keys: Keys) -> str:
    """The text with an empty list at ``keys`` if there is none."""
    if value_at(data, keys) is not None:
        return text
    *table, key = keys
    if value_at(data, tuple(table)) is not None:
        return _set_key(text, keys, "[]")
    after = "project" if table[0] == "project" else ""
    return insert_table(text, dotted(tuple(table)), [f"{dotted((key,))} = []"], after=after)


def _set_key(text: str, keys: Keys, value: str) -> str:
    """Add a key to a table that is there."""
    table, pair = dotted(keys[:-1]), (dotted(keys[-1:]), value)
    if table in scan_positions(text).headers:
        return insert_key(text, table, *pair)
    # a table that is only there because of [table.below] may have its own header, anywhere
    with_header = insert_table(text, table, [" = ".join(pair)], after=table)
    return with_header if _is_toml(with_header) else _set_key_with_tomlkit(text, keys, value)


def _set_key_with_tomlkit(text: str, keys: Keys, value: str) -> str:
    """The same for inline tables and tables made of dotted keys, which have no header to stand under."""
    import tomlkit

    newline, ending = newline_of(text), "" if text.endswith("\n") else "\n"
    # tomlkit writes new lines with \n, whatever the others end with
    document = tomlkit.parse(text.replace(newline, "\n") + ending)
    table: Any = document
    for key in keys[:-1]:
        table = table[key]
    table[keys[-1]] = tomlkit.value(value)
    return tomlkit.dumps(document).removesuffix(ending).replace("\n", newline)


def _put(text: str, keys: Keys, raw: str, requirement: Requirement, path: str) -> str:
    """Replace the entry for the same project and marker, or insert a new one."""
    array = scan_positions(text).arrays[dotted(keys)]
    entries = list_at(tomllib.loads(text), keys) or []
    same = [index for index, entry in enumerate(entries) if _is_same(entry, requirement)]
    if len(same) > 1:
        raise ManifestError(
            f"{path}: {dotted(keys)} requires {requirement.name} more than once",
            context=[f"{dotted(keys)}[{index}]: {entries[index]}" for index in same],
            hints=["make them one requirement first"],
        )
    if same and parse_requirement(entries[same[0]]) == requirement:
        return text
    if same:
        text = replace_entry(text, array, same[0], raw)
    else:
        text = insert_entry(text, array, _place_for(entries, requirement.name), raw)
    return spread_array(text, scan_positions(text).arrays[dotted(keys)])


def _is_same(entry: object, requirement: Requirement) -> bool:
    if name_of(entry) != requirement.name:
        return False
    try:
        return parse_requirement(str(entry)).marker == requirement.marker
    except EnvforgeError:  # not a requirement: the user's to mend, not to be replaced
        return False


def _place_for(entries: Sequence[object], name: str) -> int:
    """Where a name belongs: in its place among sorted requirements, else at the end."""
    names = [(name_of(entry), index) for index, entry in enumerate(entries) if isinstance(entry, str)]
    if len(names) < 2 or names != sorted(names, key=lambda pair: pair[0]):
        return len(entries)
    return next((index for other, index in names if other > name), names[-1][1] + 1)


def _check_only_changed(data: dict[str, Any], edited: str, keys: Keys, path: str) -> None:
    """Refuse an edit that changed anything but the list at ``keys``."""
    after = _parse_edited(edited, path)
    expected = deepcopy(data)
    table = expected
    for key in keys[:-1]:
        table = table.setdefault(key, {})
    entries = list_at(after, keys)
    if entries is not None:
        table[keys[-1]] = entries
    if after != expected:
        raise _unsafe(path)


def _check_nothing_lost(data: dict[str, Any], edited: str, path: str) -> None:
    if not _contains(_parse_edited(edited, path), data):
        raise _unsafe(path)


def _contains(larger: Any, smaller: Any) -> bool:
    """Whether tables only gained keys."""
    if isinstance(larger, dict) and isinstance(smaller, dict):
        return all(key in larger and _contains(larger[key], value) for key, value in smaller.items())
    return bool(larger == smaller)


def _is_toml(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


def _parse_edited(edited: str, path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(edited)
    except tomllib.TOMLDecodeError:
        raise _unsafe(path) from None


def _unsafe(path: str) -> ManifestError:
    return ManifestError(
        f"{path} is laid out in a way that cannot be edited safely",
        hints=["make the change by hand, or use [table] headers instead of inline tables"],
    )
