"""``[tool.envforge.build.NAME]``: how one project is built. A lock does not depend on it.

Standards: PEP 517 (config settings).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from envforge.manifest.dotted import child, item
from envforge.manifest.faults import suggestion
from envforge.manifest.reading import Reader, Table, kind
from envforge.model.requirement import is_valid_name, normalize_name
from envforge.struct import Struct, field

_KEYS = ("config-settings", "env", "timeout-s", "with")
_EXAMPLES = {"config-settings": '{ "--build-option" = "…" }', "env": '{ MAX_JOBS = "4" }'}


class BuildSettings(Struct, frozen=True, kw_only=True):
    """How a project is built.

    Args:
        config_settings: for its backend.
        env: variables for its backend.
        runtime: normalized names of projects that the build needs as they will be at run time
            (``with``): in the locked version where they are locked.
        timeout_s: for each step of the build, None for no limit.
    """

    config_settings: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    runtime: tuple[str, ...] = ()
    timeout_s: float | None = None


USUAL = BuildSettings()


def read_build_settings(reader: Reader, table: Table, where: str) -> dict[str, BuildSettings]:
    """Normalized project name → its settings.

    Args:
        reader: collects faults.
        table: ``tool.envforge``.
        where: its dotted path.
    """
    tables = reader.table(table, "build", where)
    where = child(where, "build")
    return {
        name: _read_one(reader, reader.table(tables, key, where), child(where, key), name)
        for key, name in reader.names(tables, where, "a project")
    }


def _read_one(reader: Reader, table: Table, where: str, name: str) -> BuildSettings:
    for key in table:
        if key not in _KEYS:
            reader.refuse(child(where, key), "unknown key", suggestion(key, _KEYS))
    env = dict(_read_texts(reader, table, "env", where))
    for variable in env:
        if not variable or "=" in variable or "\0" in variable:
            reader.refuse(child(where, "env"), f"{variable!r} is no name of a variable", 'write NAME = "…"')
    return BuildSettings(
        config_settings=dict(_read_config_settings(reader, table, where)),
        env=env,
        runtime=tuple(dict.fromkeys(_read_runtime(reader, table, where, name))),
        timeout_s=_read_timeout(reader, table, where),
    )


def _read_texts(reader: Reader, table: Table, key: str, where: str) -> Iterator[tuple[str, str]]:
    place = child(where, key)
    for name, value in reader.table(table, key, where).items():
        if isinstance(value, str):
            yield name, value
        else:
            right = f"write e.g. {key} = {_EXAMPLES[key]}"
            reader.refuse(child(place, name), f"is {kind(value)}, not a text", right)


def _read_config_settings(
    reader: Reader, table: Table, where: str
) -> Iterator[tuple[str, str | tuple[str, ...]]]:
    values: dict[str, Any] = reader.table(table, "config-settings", where)
    texts = {name: value for name, value in values.items() if not isinstance(value, list)}
    yield from _read_texts(reader, {"config-settings": texts}, "config-settings", where)
    for name in values.keys() - texts.keys():
        place = child(where, "config-settings")
        yield name, tuple(text for text, _ in reader.texts(values, name, place, '["…"]'))


def _read_runtime(reader: Reader, table: Table, where: str, own_name: str) -> Iterator[str]:
    for number, (text, _) in enumerate(reader.texts(table, "with", where, '["torch"]')):
        place = item(child(where, "with"), number)
        if not is_valid_name(text):
            reader.refuse(
                place, f"{text!r} is no name of a project", "write the name only: the lock has versions"
            )
        elif normalize_name(text) == own_name:
            reader.refuse(place, "is the project that is to be built", "remove it")
        else:
            yield normalize_name(text)


def _read_timeout(reader: Reader, table: Table, where: str) -> float | None:
    value = table.get("timeout-s")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        reader.refuse(child(where, "timeout-s"), "is no number of seconds", "write e.g. timeout-s = 3600")
        return None
    return float(value)
