"""Paths that more than one conda package brings, as py-rattler left them in a prefix.

py-rattler keeps the file of one package in its place, moves those of the others to ``__clobbers__``, and
says so in their records (``original_path`` in ``conda-meta``). conda and pixi warn and go on; so do we.
Where both have the same content nothing is lost, and nothing is said.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from envforge.errors import GenerationError
from envforge.events import Warned
from envforge.link.conda_packages import unpacked_stem
from envforge.model.conda import CondaRecord
from envforge.struct import Struct

_MOST_PATHS = 3
_ORIGINAL = "original_path"


class Clobber(Struct, frozen=True, order=True):
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
    """What the records of a prefix tell of, sorted; nearly always nothing, and then nothing is parsed.

    Raises:
        GenerationError: one package has a file where another has a folder.
    """
    texts = [place.read_bytes() for place in sorted((prefix / "conda-meta").glob("*.json"))]
    if not any(_ORIGINAL.encode() in text for text in texts):
        return []
    records = [json.loads(text) for text in texts]
    owners = {
        entry["_path"]: (record["name"], _content(entry))
        for record in records
        for entry in _entries(record)
        if not entry.get(_ORIGINAL)
    }
    return sorted(_clobbers(records, owners))


def _clobbers(records: Sequence[dict[str, Any]], owners: Mapping[str, tuple[str, str]]) -> Iterator[Clobber]:
    for record in records:
        for entry in _entries(record):
            path = entry.get(_ORIGINAL)
            if not path:
                continue
            if path not in owners:
                raise _conflict(record["name"], path, records)
            owner, content = owners[path]
            if content != _content(entry):
                yield Clobber(owner, record["name"], path)


def _conflict(name: str, path: str, records: Sequence[dict[str, Any]]) -> GenerationError:
    """A file where another package has a folder: py-rattler keeps the one or the other, or neither."""
    above = {str(parent) for parent in PurePosixPath(path).parents}
    found = next(
        (
            (record["name"], other)
            for record in records
            for other in (entry.get(_ORIGINAL) or entry["_path"] for entry in _entries(record))
            if record["name"] != name and (other in above or other.startswith(f"{path}/"))
        ),
        ("another package", path),
    )
    return GenerationError(
        f"conda packages {found[0]} and {name} cannot be in one environment",
        context=[
            f"{found[0]} brings the file {found[1]}",
            f"{name} brings the file {path}",
            "one of the two would have to be a folder",
        ],
        hints=["leave one of the two out, or ask for another version of one"],
    )


def find_folder_conflict(records: Iterable[CondaRecord], packages_cache: Path) -> GenerationError | None:
    """The error for a file where another package has a folder, None for none.

    For an installation that failed: which of the two py-rattler meets first decides whether it notices.
    """
    listed: list[dict[str, Any]] = [
        {"name": record.name, "paths_data": paths}
        for record in records
        if (paths := _unpacked_paths(packages_cache / unpacked_stem(record))) is not None
    ]
    files = {entry["_path"] for record in listed for entry in _entries(record)}
    for record in listed:
        for entry in _entries(record):
            if any(str(parent) in files for parent in PurePosixPath(entry["_path"]).parents):
                return _conflict(record["name"], entry["_path"], listed)
    return None


def _unpacked_paths(folder: Path) -> dict[str, Any] | None:
    with suppress(OSError, ValueError):
        found = json.loads((folder / "info" / "paths.json").read_bytes())
        return found if isinstance(found, dict) else None
    return None


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


def _entries(record: dict[str, Any]) -> list[dict[str, Any]]:
    return list(record.get("paths_data", {}).get("paths", ()))


def _content(entry: dict[str, Any]) -> str:
    """The digest of a file as it was installed, "" where none is told."""
    return str(entry.get("sha256_in_prefix") or entry.get("sha256") or "")
