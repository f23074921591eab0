"""``sources``: which projects come from one certain index, for all or for a variant."""

from __future__ import annotations

from collections.abc import Collection

from envforge.manifest.dotted import child
from envforge.manifest.faults import suggestion
from envforge.manifest.manifest import Source
from envforge.manifest.reading import Reader, Table, kind


def read_sources(reader: Reader, table: Table, where: str, indexes: Collection[str]) -> dict[str, Source]:
    """Normalized project name → its source.

    Args:
        reader: collects faults.
        table: that may have ``sources``.
        where: its dotted path.
        indexes: names of those that there are.
    """
    sources = reader.table(table, "sources", where)
    where = child(where, "sources")
    found = {}
    for key, name in reader.names(sources, where, "a project"):
        place, value = child(where, key), sources[key]
        right = f'write {child("", key)} = {{ index = "name" }}'
        if not isinstance(value, dict):
            reader.refuse(place, f"is {kind(value)}, not a table", right)
        elif [*value] != ["index"] or not isinstance(value["index"], str):
            reader.refuse(place, "this version of envforge only knows sources that name an index", right)
        elif value["index"] not in indexes:
            problem = f"there is no index {value['index']!r}"
            reader.refuse(child(place, "index"), problem, suggestion(value["index"], indexes))
        else:
            found[name] = Source(value["index"])
    return found
