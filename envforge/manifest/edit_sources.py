"""Editing ``tool.envforge.sources``: one name changes, all else stays as it is written."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from typing import Any

from envforge.errors import ManifestError
from envforge.manifest.dotted import child
from envforge.manifest.lists import Keys, lists, name_of, value_at
from envforge.manifest.positions import scan_positions
from envforge.manifest.splice import (
    insert_inline_pair,
    insert_key,
    insert_table,
    newline_of,
    quote,
    remove_pair,
    remove_table,
    replace_value,
)
from envforge.model.names import normalize_name

_KEYS: Keys = ("tool", "envforge", "sources")
_WHERE = "tool.envforge.sources"
SourceTable = Mapping[str, str | bool]
"""``{"path": "../lib", "editable": True}``."""


def put_source(text: str, name: str, source: SourceTable, path: str = "pyproject.toml") -> str:
    """Record where a project comes from, in place of what was said of it before.

    Args:
        text: of the manifest, valid.
        name: normalized, of the project.
        source: the table.
        path: what errors call the manifest.

    Raises:
        ManifestError: it is laid out in a way that cannot be edited safely.
    """
    data = tomllib.loads(text)
    key = _spelled(data, name) or name
    expected = deepcopy(data)
    _table_in(expected)[key] = dict(source)
    value = f"{{ {', '.join(f'{part} = {_toml(each)}' for part, each in source.items())} }}"
    pair = child("", key)

    def edits() -> Iterator[Callable[[], str]]:
        if _spelled(data, name):
            yield lambda: replace_value(text, child(_WHERE, key), value)
        yield lambda: insert_key(text, _WHERE, pair, value)
        yield lambda: insert_inline_pair(text, _WHERE, pair, value)
        yield lambda: insert_table(text, _WHERE, [f"{pair} = {value}"], after="tool.envforge")
        yield lambda: insert_key(text, "tool.envforge", f"sources.{pair}", value)
        yield lambda: _with_tomlkit(text, lambda document: _table_in(document).update({key: dict(source)}))

    return _first_right(edits(), expected, path)


def without_unused_source(text: str, name: str, path: str = "pyproject.toml") -> str:
    """The manifest without a project's folder, archive or member, if nothing requires that any more.

    An index stays: it also holds for what others require.

    Args:
        text: of the manifest, valid.
        name: normalized, of the project.
        path: what errors call the manifest.

    Raises:
        ManifestError: it is laid out in a way that cannot be edited safely.
    """
    data = tomllib.loads(text)
    key = _spelled(data, name)
    source = (value_at(data, _KEYS) or {}).get(key)
    is_required = any(name_of(entry) == name for _, entries in lists(data) for entry in entries)
    if not isinstance(source, dict) or "index" in source or is_required:
        return text
    expected = deepcopy(data)
    del _table_in(expected)[key]
    where = child(_WHERE, key)

    def edits() -> Iterator[Callable[[], str]]:
        yield lambda: remove_pair(text, where)
        yield lambda: remove_table(text, where)
        yield lambda: _with_tomlkit(text, lambda document: _table_in(document).pop(key))

    edited = _first_right(edits(), expected, path)
    return edited if expected["tool"]["envforge"]["sources"] else _without_empty_header(edited)


def _without_empty_header(text: str) -> str:
    header = scan_positions(text).headers.get(_WHERE)
    return remove_table(text, _WHERE) if header is not None and header.last_pair is None else text


def _spelled(data: dict[str, Any], name: str) -> str:
    """The key of a project as the file has it, ``""`` for none."""
    return next((key for key in value_at(data, _KEYS) or () if normalize_name(key) == name), "")


def _table_in(document: Any) -> Any:
    for key in _KEYS:
        document = document.setdefault(key, {})
    return document


def _toml(value: str | bool) -> str:
    return quote(value) if isinstance(value, str) else str(value).lower()


def _first_right(edits: Iterator[Callable[[], str]], expected: dict[str, Any], path: str) -> str:
    """The first edited text that says what is expected and nothing else."""
    for edit in edits:
        try:
            edited = edit()
            if tomllib.loads(edited) == expected:
                return edited
        except (KeyError, ValueError):  # the table is laid out in a way that this edit does not know
            continue
    raise ManifestError(
        f"{path} is laid out in a way that cannot be edited safely", hints=[f"edit [{_WHERE}] by hand"]
    )


def _with_tomlkit(text: str, edit: Callable[[Any], object]) -> str:
    import tomlkit

    newline = newline_of(text)
    document = tomlkit.parse(text.replace(newline, "\n"))
    edit(document)
    return tomlkit.dumps(document).replace("\n", newline)
