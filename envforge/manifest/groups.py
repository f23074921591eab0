"""``[dependency-groups]``: requirements in named groups that may include each other (PEP 735)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from envforge.manifest.dotted import child, item
from envforge.manifest.faults import suggestion
from envforge.manifest.manifest import Declared
from envforge.manifest.reading import Reader, Table, kind
from envforge.model.names import normalize_name

_TABLE = "dependency-groups"


def read_groups(reader: Reader, table: Table) -> dict[str, tuple[Declared, ...]]:
    """Normalized name of each group → its requirements, those of included groups in their place."""
    keys = {name: key for key, name in reader.names(table, _TABLE, "a group")}
    entries = {
        name: [
            *_read_entries(reader, reader.entries(table, key, _TABLE, '["pytest>=8"]'), child(_TABLE, key))
        ]
        for name, key in keys.items()
    }
    _refuse_unknown_includes(reader, entries)
    _refuse_cycles(reader, entries)
    return {name: tuple(dict.fromkeys(_expand(entries, name, ()))) for name in entries}


class _Include(Declared, frozen=True):
    """An entry ``{ include-group = "text" }``; ``text`` is the group's normalized name."""


def _read_entries(reader: Reader, values: list[Any], group: str) -> Iterator[Declared]:
    for index, value in enumerate(values):
        where = item(group, index)
        if isinstance(value, str) and value.strip():
            yield Declared(value.strip(), where)
        elif (
            isinstance(value, dict)
            and [*value] == ["include-group"]
            and isinstance(value["include-group"], str)
        ):
            yield _Include(normalize_name(value["include-group"]), where)
        else:
            problem = "is empty" if value == "" else f"is {kind(value)} that cannot stand in a group"
            reader.refuse(where, problem, 'write a requirement, or { include-group = "test" }')


def _refuse_unknown_includes(reader: Reader, groups: dict[str, list[Declared]]) -> None:
    for entries in groups.values():
        for entry in entries:
            if isinstance(entry, _Include) and entry.text not in groups:
                reader.refuse(
                    entry.where, f"there is no group {entry.text!r}", suggestion(entry.text, groups)
                )


def _refuse_cycles(reader: Reader, groups: dict[str, list[Declared]]) -> None:
    """One fault for each cycle, at its first include in the order of the file."""
    told: set[str] = set()
    for group in groups:
        cycle = _find_cycle(groups, group)
        if cycle and told.isdisjoint(cycle):
            told.update(cycle)
            where = next(e.where for e in groups[group] if isinstance(e, _Include) and e.text == cycle[1])
            reader.refuse(
                where, f"groups include each other: {' → '.join(cycle)}", "remove one of the includes"
            )


def _find_cycle(groups: dict[str, list[Declared]], start: str) -> tuple[str, ...]:
    """The groups from ``start`` back to itself, ``()`` if no chain of includes leads back."""
    chains: list[tuple[str, ...]] = [(start,)]
    seen: set[str] = set()
    while chains:
        chain = chains.pop()
        for entry in groups.get(chain[-1], ()):
            if isinstance(entry, _Include) and entry.text == start:
                return (*chain, start)
            if isinstance(entry, _Include) and entry.text not in seen:
                seen.add(entry.text)
                chains.append((*chain, entry.text))
    return ()


def _expand(groups: dict[str, list[Declared]], name: str, within: tuple[str, ...]) -> Iterator[Declared]:
    if name in within:  # already told as a cycle
        return
    for entry in groups.get(name, ()):
        if isinstance(entry, _Include):
            yield from _expand(groups, entry.text, (*within, name))
        else:
            yield entry
