"""Which variant of a project this host got: one small file for each host beside the project's generations.

A choice that is remembered is not made again, so that a driver that does not answer for a moment does not
turn a GPU environment into another one. What is remembered is told to be old where the manifest's conditions
have changed since.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from envforge.host.facts import node_name
from envforge.struct import Struct, asdict


class RememberedVariant(Struct, frozen=True, kw_only=True):
    """A choice.

    Args:
        name: of the variant.
        is_asked: a user named it, by an option or a variable; else it was chosen by the host's facts.
        conditions: ``name: condition`` of all variants that there were, in order.
    """

    name: str
    is_asked: bool
    conditions: tuple[str, ...]


def read_variant(environments_dir: Path, platform: str) -> RememberedVariant | None:
    """What this host remembers, None for nothing; also where it cannot be read."""
    try:
        fields = json.loads(_file(environments_dir, platform).read_bytes())
        return RememberedVariant(
            name=str(fields["name"]),
            is_asked=bool(fields["is_asked"]),
            conditions=tuple(map(str, fields["conditions"])),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_variant(environments_dir: Path, platform: str, remembered: RememberedVariant) -> None:
    """Remember a choice for this host. One that cannot be written is chosen again: no failure."""
    if read_variant(environments_dir, platform) == remembered:
        return
    place = _file(environments_dir, platform)
    aside = place.with_name(f".{place.name}.{os.getpid()}")
    with suppress(OSError):
        aside.write_text(json.dumps(asdict(remembered), indent=1) + "\n", encoding="utf-8")
        aside.replace(place)


def _file(environments_dir: Path, platform: str) -> Path:
    return environments_dir / f"variant-{platform}-{node_name()}.json"
