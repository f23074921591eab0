"""``exclude-newer`` and ``exclude-newer-package`` of ``[tool.envforge]``."""

from __future__ import annotations

from datetime import date

from envforge.manifest.dotted import child
from envforge.manifest.reading import Reader, Table, kind
from envforge.model.cutoff import canonical_age, canonical_instant

_RIGHT = 'write a date, "2026-11-01", or an age in hours, days or weeks, "7d"'


def read_exclude_newer(reader: Reader, table: Table, where: str) -> str:
    """The limit of a manifest: instant or age, ``""`` for none."""
    if "exclude-newer" not in table:
        return ""
    return _read_limit(reader, table["exclude-newer"], child(where, "exclude-newer"))


def read_exclude_newer_package(reader: Reader, table: Table, where: str) -> dict[str, str]:
    """Normalized project name → its own limit, ``""`` for ``false``: none."""
    limits = reader.table(table, "exclude-newer-package", where)
    place = child(where, "exclude-newer-package")
    found = {}
    for key, name in reader.names(limits, place, "a project"):
        value = limits[key]
        if value is True:
            reader.refuse(child(place, key), "is true", f"{_RIGHT}; or false for no limit")
        found[name] = "" if isinstance(value, bool) else _read_limit(reader, value, child(place, key))
    return found


def _read_limit(reader: Reader, value: object, where: str) -> str:
    if not isinstance(value, (str, date)):
        reader.refuse(where, f"is {kind(value)}, not a date", _RIGHT)
        return ""
    if isinstance(value, str) and (age := canonical_age(value)):
        return age
    try:
        return canonical_instant(value)
    except (ValueError, OverflowError):
        reader.refuse(where, f"{value!r} is no date and no age", _RIGHT)
        return ""
