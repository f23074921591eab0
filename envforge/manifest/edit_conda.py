"""Editing ``conda-dependencies``, of the manifest or of a variant: what is asked for changes, all else stays.

Whatever form the table has: with a header, inline, dotted keys, one header a package; tomlkit is asked for
what is stranger. Each edit is checked before it is given back: the new text says what the old one said, but
for what was asked.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import partial
from typing import Any

from envforge.errors import ManifestError
from envforge.manifest.dotted import child
from envforge.manifest.faults import suggestion
from envforge.manifest.lists import Keys, dotted, keys_of_variant, value_at
from envforge.manifest.manifest import Settings, Variant
from envforge.manifest.parse import parse_manifest
from envforge.manifest.positions import Positions, scan_positions
from envforge.manifest.splice import (
    insert_inline_pair,
    insert_key,
    insert_pair_after,
    insert_pair_before,
    insert_table,
    newline_of,
    quote,
    quote_list,
    remove_pair,
    remove_table,
    replace_value,
)
from envforge.struct import Struct


class _Place(Struct, frozen=True):
    """Where the table stands: the manifest's own, or that of a variant.

    Args:
        keys: the way to it.
        optional: how many of the last keys may be left out where nothing stands under them. A variant is
            there even where it says nothing.
    """

    keys: Keys
    optional: int

    @property
    def place(self) -> str:
        return dotted(self.keys)

    @property
    def parent(self) -> str:
        return dotted(self.keys[:-1])


def _place_of(variant: str | None, text: str, path: str) -> _Place:
    if variant is None:
        return _Place(("tool", "envforge", "conda-dependencies"), 3)
    return _Place((*keys_of_variant(tomllib.loads(text), variant, path), "conda-dependencies"), 1)


CondaWish = str | Mapping[str, str | Sequence[str]]
"""What follows the name in a match spec, or a table with ``version``, ``build`` and ``platforms``."""


def add_conda_dependencies(
    text: str, wishes: Mapping[str, CondaWish], path: str = "pyproject.toml", *, variant: str | None = None
) -> str:
    """Record conda packages; one that is there gets the new spec and keeps its platforms.

    A new one is put at the end, or in its alphabetical place if the table was sorted.

    Args:
        text: of the manifest.
        wishes: name → spec, ``*`` for any, or table; a table replaces what is there as a whole.
        path: what errors call the manifest.
        variant: that wants them, None for all.

    Raises:
        ManifestError: the manifest has faults, or would have with the new spec, has no such variant, or
            cannot be edited safely.
    """
    parse_manifest(text, path)
    at = _place_of(variant, text, path)
    for name, wish in wishes.items():
        text = _put(at, text, name, wish, path)
    parse_manifest(text, path)
    return text


def remove_conda_dependencies(
    text: str, names: Sequence[str], path: str = "pyproject.toml", *, variant: str | None = None
) -> str:
    """Take conda packages out, and the table with the last of them.

    Raises:
        ManifestError: the manifest has faults, cannot be edited safely, or does not have a name: then the
            closest one.
    """
    settings = parse_manifest(text, path).settings
    at = _place_of(variant, text, path)
    known = [name.lower() for name in value_at(tomllib.loads(text), at.keys) or ()]
    for name in names:
        if name.lower() not in known:
            raise ManifestError(
                f"{path}: {name} is not in {at.place}", hints=_hints_elsewhere(name, known, settings)
            )
    for name in dict.fromkeys(name.lower() for name in names):
        text = _remove(at, text, name, path)
    return _without_empty_table(at, text)


def _put(at: _Place, text: str, name: str, wish: CondaWish, path: str) -> str:
    data = tomllib.loads(text)
    table = value_at(data, at.keys) or {}
    key = next((key for key in table if key.lower() == name.lower()), name)
    value = _merged(table.get(key), wish)
    if table.get(key) == value:
        return text
    expected = deepcopy(data)
    _table_in(at, expected)[key] = value

    def put(document: Any) -> None:
        _table_in(at, document)[key] = value

    ways = (_replace,) if key in table else (_insert_below_header, _insert_inline, _insert_dotted, _add_table)
    edits = [partial(way, at, text, key, value) for way in ways]
    return _first_right(at, [*edits, partial(_with_tomlkit, text, put)], expected, path)


def _hints_elsewhere(name: str, known: Sequence[str], settings: Settings) -> list[str]:
    """In which table it is, else what it may have been meant to be."""
    places = [f"in {each.name}: --variant {each.name}" for each in settings.variants if _has(each, name)]
    if any(each.name == name.lower() for each in settings.conda_dependencies):
        places.insert(0, "in tool.envforge.conda-dependencies: without --variant")
    if places:
        return [f"{name} stands {place}" for place in places]
    return [suggestion(name, known) or f"there: {', '.join(known)}"] if known else []


def _has(variant: Variant, name: str) -> bool:
    return any(each.name == name.lower() for each in variant.conda_dependencies)


def _merged(former: Any, wish: CondaWish) -> Any:
    """The new value; a spec for a package that has a table leaves its platforms alone."""
    if not isinstance(wish, str):
        return {key: value if isinstance(value, str) else list(value) for key, value in wish.items()}
    if isinstance(former, dict):
        return {"version": wish, **{key: former[key] for key in former if key == "platforms"}}
    return wish


def _replace(at: _Place, text: str, key: str, value: Any) -> str:
    positions, where = scan_positions(text), child(at.place, key)
    if where in positions.values:
        return replace_value(text, where, _toml(value, where, positions))
    return _set_in_own_table(text, where, value)


def _insert_below_header(at: _Place, text: str, key: str, value: Any) -> str:
    """In its place among sorted names, else last."""
    positions = scan_positions(text)
    names = [name for name in _written(at, text) if child(at.place, name) in positions.values]
    later = [name for name in names if name.lower() > key.lower()]
    is_sorted = len(names) > 1 and names == sorted(names, key=str.lower)
    if at.place in positions.headers and later and is_sorted:
        return insert_pair_before(text, child(at.place, later[0]), child("", key), _new(value))
    return insert_key(text, at.place, child("", key), _new(value))


def _insert_inline(at: _Place, text: str, key: str, value: Any) -> str:
    return insert_inline_pair(text, at.place, child("", key), _new(value))


def _insert_dotted(at: _Place, text: str, key: str, value: Any) -> str:
    """``conda-dependencies.name = …`` below the last of its kind."""
    positions = scan_positions(text)
    last = max(
        (where for where in positions.values if where.startswith(f"{at.place}.")),
        key=lambda where: positions.values[where],
        default=at.place,
    )
    above = [
        depth
        for depth in range(len(at.keys))
        if dotted(at.keys[:depth]) in positions.headers
        and (depth == 0 or positions.starts[dotted(at.keys[:depth])] < positions.starts[last])
    ]
    return insert_pair_after(text, last, dotted((*at.keys[max(above) :], key)), _new(value))


def _add_table(at: _Place, text: str, key: str, value: Any) -> str:
    # a table that is only there because of [table.below] may have its own header, anywhere
    after = at.place if at.place in scan_positions(text).starts else at.parent
    return insert_table(text, at.place, [f"{child('', key)} = {_new(value)}"], after=after)


def _written(at: _Place, text: str) -> list[str]:
    return list(value_at(tomllib.loads(text), at.keys) or ())


def _set_in_own_table(text: str, where: str, value: Any) -> str:
    """``[tool.envforge.conda-dependencies.name]``, or ``name.version = …``: part by part."""
    wanted = value if isinstance(value, dict) else {"version": value}
    for part in ("version", "build", "platforms"):
        place = child(where, part)
        is_there = place in scan_positions(text).values
        if part in wanted:
            raw = _toml(wanted[part], place, scan_positions(text))
            text = replace_value(text, place, raw) if is_there else insert_key(text, where, part, raw)
        elif is_there:
            text = remove_pair(text, place)
    return text


def _new(value: Any) -> str:
    return _toml(value, "", Positions(""))


def _toml(value: Any, where: str, positions: Positions) -> str:
    """A value as TOML; a list that stands there already stays as it is written."""
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, dict):
        pairs = (f"{key} = {_toml(each, child(where, key), positions)}" for key, each in value.items())
        return f"{{ {', '.join(pairs)} }}"
    if where in positions.arrays:
        start, end = positions.values[where]
        written = positions.text[start:end]
        if tomllib.loads(f"x = {written}")["x"] == list(value):
            return written
    return quote_list(value)


def _remove(at: _Place, text: str, name: str, path: str) -> str:
    expected = tomllib.loads(text)
    table = _table_in(at, expected)
    key = next(key for key in table if key.lower() == name)
    del table[key]

    def splice() -> str:
        where = child(at.place, key)
        cut = remove_table if where in scan_positions(text).headers else remove_pair
        return cut(text, where)

    def delete(document: Any) -> None:
        del _table_in(at, document)[key]

    return _first_right(at, [splice, partial(_with_tomlkit, text, delete)], expected, path)


def _without_empty_table(at: _Place, text: str) -> str:
    """Without the header (or the key) of the table if nothing stands under it, not even a comment."""
    positions = scan_positions(text)
    expected = tomllib.loads(text)
    if at.place in positions.headers and positions.headers[at.place].last_pair is None:
        following = text[positions.headers[at.place].end :].split("\n")[1:2]
        if any(line.lstrip().startswith("#") for line in following):
            return text
        edited = remove_table(text, at.place)
    elif at.place in positions.values and value_at(expected, at.keys) == {}:
        edited = remove_pair(text, at.place)
    else:
        return text
    return edited if _says(at, edited, expected) else text


def _table_in(at: _Place, document: Any) -> Any:
    """The table of a document, made where it is missing."""
    for key in at.keys:
        document = document.setdefault(key, {})
    return document


def _first_right(at: _Place, edits: Sequence[Callable[[], str]], expected: dict[str, Any], path: str) -> str:
    """The first edited text that says what is expected and nothing else."""
    for edit in edits:
        try:
            edited = edit()
        except (KeyError, ValueError):  # the table is laid out in a way that this edit does not know
            continue
        if _says(at, edited, expected):
            return edited
    raise ManifestError(
        f"{path} is laid out in a way that cannot be edited safely",
        hints=[f"write the package into [{at.place}] by hand"],
    )


def _says(at: _Place, text: str, expected: dict[str, Any]) -> bool:
    try:
        return _without_empty(at, tomllib.loads(text)) == _without_empty(at, expected)
    except tomllib.TOMLDecodeError:
        return False


def _without_empty(at: _Place, data: dict[str, Any]) -> dict[str, Any]:
    """The same, whether the tables above an empty ``conda-dependencies`` are written or not."""
    data = deepcopy(data)
    for depth in range(len(at.keys), len(at.keys) - at.optional, -1):
        holder = value_at(data, at.keys[: depth - 1]) if depth > 1 else data
        if isinstance(holder, dict) and holder.get(at.keys[depth - 1]) == {}:
            del holder[at.keys[depth - 1]]
    return data


def _with_tomlkit(text: str, edit: Callable[[Any], None]) -> str:
    import tomlkit

    newline, ending = newline_of(text), "" if text.endswith("\n") else "\n"
    # tomlkit writes new lines with \n, whatever the others end with
    document = tomlkit.parse(text.replace(newline, "\n") + ending)
    edit(document)
    return tomlkit.dumps(document).removesuffix(ending).replace("\n", newline)
