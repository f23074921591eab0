"""conda records in a lock: whole, so that nobody needs repodata to install them.

Empty fields are left out. ``name``, ``version`` and ``build`` are written although the file's name has them:
a reader of the diff should not have to take it apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from envforge.lock.reading import Reader

if TYPE_CHECKING:
    from envforge.model.conda import CondaRecord

_TEXTS = ("sha256", "md5", "noarch", "license", "license_family", "features", "python_site_packages_path")
_LISTS = ("depends", "constrains", "track_features", "purls", "pypi_names")
_NUMBERS = ("size_bytes", "timestamp_ms")


def record_table(record: CondaRecord) -> dict[str, Any]:
    """A record as JSON has it."""
    fields: dict[str, Any] = {
        "name": record.name,
        "version": record.version,
        "build": record.build,
        "build-number": record.build_number,
        "subdir": record.subdir,
        "url": record.url,
        "channel": record.channel,
    }
    for name in (*_TEXTS, *_LISTS, *_NUMBERS):
        value = getattr(record, name)
        if value or value == 0:
            fields[_key(name)] = list(value) if isinstance(value, tuple) else value
    return fields


def read_record(record_id: str, table: object, reader: Reader) -> CondaRecord:
    """A record out of JSON; faults are noted by the reader."""
    from envforge.model.conda import CondaRecord

    where = f"conda.{record_id}."
    if not isinstance(table, dict):
        reader.faults.append(f"conda.{record_id}: has to be an object")
        table = {}
    fields: dict[str, Any] = {
        **{name: reader.text(table, _key(name), where, needed=False) for name in _TEXTS},
        **{name: reader.texts(table, _key(name), where) for name in _LISTS},
        **{name: reader.number(table, _key(name), where) for name in _NUMBERS},
    }
    return CondaRecord(
        name=reader.text(table, "name", where),
        version=reader.text(table, "version", where),
        build=reader.text(table, "build", where),
        build_number=reader.number(table, "build-number", where) or 0,
        subdir=reader.text(table, "subdir", where),
        url=reader.text(table, "url", where),
        channel=reader.text(table, "channel", where),
        **fields,
    )


def _key(field: str) -> str:
    """``size_bytes`` is ``size`` in the file, as repodata has it; the others with hyphens."""
    return {"size_bytes": "size", "timestamp_ms": "timestamp"}.get(field, field.replace("_", "-"))
