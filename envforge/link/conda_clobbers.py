"""Paths that more than one conda package brings, as py-rattler left them in a prefix.

py-rattler keeps the file of one package in its place, moves those of the others to ``__clobbers__``, and
says so in their records (``original_path`` in ``conda-meta``). conda and pixi warn and go on; so do we.
Where both have the same content nothing is lost, and nothing is said.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envforge.events import Warned

_MOST_PATHS = 3
_ORIGINAL = "original_path"


@dataclass(frozen=True, slots=True, order=True)
class Clobber:
    """A path of two packages with different content.

    Args:
        kept: name of the package whose file is there.
        lost: name of the one whose file is not.
        path: relative to the prefix.
    """

    kept: str
    lost: str
    path: str


def find_clobbers(prefix: Path) -> list[Clobber]:
    """What the records of a prefix tell of, sorted; nearly always nothing, and then nothing is parsed."""
    texts = {place.name: place.read_bytes() for place in sorted((prefix / "conda-meta").glob("*.json"))}
    lost = [entry for text in texts.values() if _ORIGINAL.encode() in text for entry in _lost_entries(text)]
    if not lost:
        return []
    wanted = {path for path, _, _ in lost}
    kept: dict[str, tuple[str, str]] = {}
    for text in texts.values():
        record = json.loads(text)
        for entry in _entries(record):
            if entry["_path"] in wanted:
                kept[entry["_path"]] = (record["name"], _content(entry))
    return sorted(
        Clobber(kept[path][0], name, path)
        for path, name, content in lost
        if path in kept and (not content or kept[path][1] != content)
    )


def clobber_warnings(clobbers: list[Clobber]) -> Iterator[Warned]:
    """A warning for each two packages."""
    for kept, lost in dict.fromkeys((clobber.kept, clobber.lost) for clobber in clobbers):
        paths = [clobber.path for clobber in clobbers if (clobber.kept, clobber.lost) == (kept, lost)]
        shown = ", ".join(paths[:_MOST_PATHS])
        more = f" and {len(paths) - _MOST_PATHS} more" if len(paths) > _MOST_PATHS else ""
        yield Warned(
            message=f"conda packages {kept} and {lost} both bring {shown}{more}, with different content: "
            f"{'those' if len(paths) > 1 else 'that'} of {kept} {'are' if len(paths) > 1 else 'is'} used",
            hint="if that is wrong, leave one of the two out",
        )


def _lost_entries(text: bytes) -> Iterator[tuple[str, str, str]]:
    """Path, package and content of what was moved out of the way."""
    record = json.loads(text)
    for entry in _entries(record):
        if entry.get(_ORIGINAL):
            yield entry[_ORIGINAL], record["name"], _content(entry)


def _entries(record: dict[str, Any]) -> list[dict[str, Any]]:
    return list(record.get("paths_data", {}).get("paths", ()))


def _content(entry: dict[str, Any]) -> str:
    """The digest of a file as it was installed, "" where none is told."""
    return str(entry.get("sha256_in_prefix") or entry.get("sha256") or "")
