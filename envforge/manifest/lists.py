"""The lists of requirements in a parsed pyproject.toml: which there are, and what stands in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from envforge.errors import ManifestError
from envforge.manifest.dotted import child
from envforge.manifest.faults import nearest, suggestion
from envforge.model.names import is_valid_name, normalize_name

_GROUPS = "dependency-groups"
_EXTRAS = "optional-dependencies"
_VARIANTS = ("tool", "envforge", "variants")
_LEADING_NAME = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)")

Keys = tuple[str, ...]


def name_of(entry: object) -> str:
    """The normalized name that a requirement's text begins with, ``""`` for what is no requirement."""
    match = _LEADING_NAME.match(entry) if isinstance(entry, str) else None
    return normalize_name(match[1]) if match else ""


def keys_of_list(
    data: dict[str, Any],
    group: str | None,
    extra: str | None,
    variant: str | None = None,
    path: str = "pyproject.toml",
) -> Keys:
    """The keys of the list, as the file spells them if it is there.

    Raises:
        ManifestError: the name is none for a group or an extra, or there is no such variant.
    """
    if sum(each is not None for each in (group, extra, variant)) > 1:
        raise ValueError("a requirement stands in a group, in an extra or in a variant, not in several")
    if variant is not None:
        return (*keys_of_variant(data, variant, path), "dependencies")
    if group is None and extra is None:
        return ("project", "dependencies")
    name = group if group is not None else extra or ""
    table: Keys = (_GROUPS,) if group is not None else ("project", _EXTRAS)
    if not is_valid_name(name):
        what = "a group" if group is not None else "an extra"
        hint = "use letters, digits, '-', '_' and '.', with a letter or digit first and last"
        raise ManifestError(f"{name!r} is no name for {what}", hints=[hint])
    spelled = [key for key in value_at(data, table) or () if normalize_name(key) == normalize_name(name)]
    return (*table, *(spelled or [name]))


def keys_of_variant(data: dict[str, Any], variant: str, path: str) -> Keys:
    """The keys of a variant's table, which has to be there: where it belongs among the others is no guess.

    Raises:
        ManifestError: there is no such variant; with the nearest one.
    """
    declared = value_at(data, _VARIANTS) or {}
    spelled = [key for key in declared if normalize_name(key) == normalize_name(variant)]
    if spelled:
        return (*_VARIANTS, spelled[0])
    hints = [suggestion(variant, declared)] if declared else []
    right = f"declare it first: [{dotted((*_VARIANTS, variant))}] with its `when`"
    raise ManifestError(f"{path} has no variant {variant!r}", hints=[*hints, right])


def lists(data: dict[str, Any]) -> Iterator[tuple[Keys, list[Any]]]:
    """Every list of requirements in the manifest."""
    tables: tuple[Keys, ...] = (("project", _EXTRAS), (_GROUPS,))
    candidates: list[Keys] = [("project", "dependencies")]
    for table in tables:
        candidates += [(*table, key) for key in value_at(data, table) or ()]
    candidates += [(*_VARIANTS, key, "dependencies") for key in value_at(data, _VARIANTS) or ()]
    for keys in candidates:
        entries = list_at(data, keys)
        if entries is not None:
            yield keys, entries


def value_at(data: dict[str, Any], keys: Keys) -> Any:
    """What stands at the keys, None if nothing does."""
    value: Any = data
    for key in keys:
        if not isinstance(value, dict) or key not in value:
            return None
        value = value[key]
    return value


def list_at(data: dict[str, Any], keys: Keys) -> list[Any] | None:
    """The list at the keys, None if there is none."""
    value = value_at(data, keys)
    return value if isinstance(value, list) else None


def dotted(keys: Keys) -> str:
    """The dotted path of the keys."""
    where = ""
    for key in keys:
        where = child(where, key)
    return where


def no_such_list(data: dict[str, Any], keys: Keys, path: str) -> ManifestError:
    """The error for a group or an extra that is not there, with the nearest one that is."""
    what = "dependency group" if keys[0] == _GROUPS else "extra"
    known = list(value_at(data, keys[:-1]) or ())
    hint = suggestion(keys[-1], known)
    return ManifestError(f"{path} has no {what} {keys[-1]!r}", hints=[hint] if hint else [])


def not_required(data: dict[str, Any], keys: Keys, missing: Sequence[str], path: str) -> ManifestError:
    """Says for every name that is not in the list where it stands, or what it may have been meant to be."""
    everywhere = list(lists(data))
    hints = []
    for name in missing:
        elsewhere = [other for other, entries in everywhere if normalize_name(name) in map(name_of, entries)]
        hints += [_hint_elsewhere(name, other) for other in elsewhere]
        here = {name_of(entry) for entry in list_at(data, keys) or []} - {""}
        if not elsewhere and (close := nearest(normalize_name(name), here)):
            hints.append(f"did you mean {close}?")
        elif not elsewhere:
            hints += _hints_close_elsewhere(name, everywhere)
        if elsewhere and keys[0] == "tool":
            table = dotted(keys[:-1])
            hints.append(f'to leave it out of this variant only: remove = ["{name}"] in [{table}]')
    return ManifestError(f"{path}: {dotted(keys)} does not require {', '.join(missing)}", hints=hints)


def _hints_close_elsewhere(name: str, everywhere: Sequence[tuple[Keys, list[Any]]]) -> list[str]:
    for keys, entries in everywhere:
        if close := nearest(normalize_name(name), {name_of(entry) for entry in entries} - {""}):
            return [_hint_elsewhere(close, keys)]
    return []


def _hint_elsewhere(name: str, keys: Keys) -> str:
    option = {
        _GROUPS: f"with --group {keys[-1]}",
        "project": f"with --extra {keys[-1]}",
        "tool": f"with --variant {keys[-2]}",
    }[keys[0]]
    if keys == ("project", "dependencies"):
        option = "without --group or --extra"
    return f"{name} stands in {dotted(keys)}: remove it {option}"
