"""``[tool.envforge.build.NAME]``: how one project is built. A lock depends on ``prebuilt`` only.

Standards: PEP 517 (config settings).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from envforge.manifest.dotted import child, item
from envforge.manifest.faults import suggestion
from envforge.manifest.reading import Reader, Table, kind
from envforge.model.names import is_valid_name, normalize_name
from envforge.struct import Struct, field

_KEYS = ("config-settings", "env", "prebuilt", "timeout-s", "with")
PLACEHOLDERS = ("version", "python", "platform", "arch", "torch", "cuda", "cuda-major", "abi")
"""What ``prebuilt`` may have in braces."""
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
"""One of them, as it stands in a URL; its group is the name."""
_PREBUILT = "https://…/v{version}/NAME-{version}+{cuda-major}torch{torch}-{python}-{python}-{platform}.whl"
_EXAMPLES = {"config-settings": '{ "--build-option" = "…" }', "env": '{ MAX_JOBS = "4" }'}


class BuildSettings(Struct, frozen=True, kw_only=True):
    """How a project is built.

    Args:
        config_settings: for its backend.
        env: variables for its backend.
        runtime: normalized names of projects that the build needs as they will be at run time
            (``with``): in the locked version where they are locked.
        timeout_s: for each step of the build, None for no limit.
        prebuilt: URLs with :data:`PLACEHOLDERS` in braces of wheels to take instead of a build.
    """

    config_settings: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    runtime: tuple[str, ...] = ()
    timeout_s: float | None = None
    prebuilt: tuple[str, ...] = ()


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
        prebuilt=tuple(_read_prebuilt(reader, table, where)),
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


def _read_prebuilt(reader: Reader, table: Table, where: str) -> Iterator[str]:
    """One URL, or a list of them."""
    value = table.get("prebuilt", [])
    listed = {"prebuilt": [value] if isinstance(value, str) else value}
    for url, place in reader.texts(listed, "prebuilt", where, f'"{_PREBUILT}"'):
        unknown = [name for name in PLACEHOLDER.findall(url) if name not in PLACEHOLDERS]
        if "@" in "/".join(url.split("/")[:3]):
            right = "leave it out: the lock would have it; a netrc file may have it"
            reader.refuse(place, "has a password or name in it", right)
        elif not url.startswith(("https://", "http://")) or not url.endswith(".whl"):
            reader.refuse(place, f"{url!r} is no URL of a wheel", f'write e.g. "{_PREBUILT}"')
        elif unknown:
            right = f"write one of {', '.join(f'{{{name}}}' for name in PLACEHOLDERS)}"
            reader.refuse(place, f"{{{unknown[0]}}} is nothing that is known", right)
        else:
            yield url


def _read_timeout(reader: Reader, table: Table, where: str) -> float | None:
    value = table.get("timeout-s")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        reader.refuse(child(where, "timeout-s"), "is no number of seconds", "write e.g. timeout-s = 3600")
        return None
    return float(value)
