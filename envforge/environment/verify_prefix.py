"""Whether a conda prefix is still what was installed: the files that its ``conda-meta`` tells of, by content.

Source: conda's prefix records (``paths_data``). Bytecode is not looked at. What is there beyond the records
is told of for programs and Python packages only: packages write elsewhere, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import file_digest
from pathlib import Path
from typing import Any

from envforge.environment.spec import PREFIX_MARKER, GenerationPrefix, PrefixPackage
from envforge.struct import Struct

_BYTECODE = "__pycache__"


class PrefixDamage(Struct, frozen=True):
    """A file of a prefix that is not as it was installed.

    Args:
        path: relative to the prefix, ``/``-separated; "" for the prefix itself.
        problem: what is wrong.
        package: name of the package that brought it, "" for none.
    """

    path: str
    problem: str
    package: str = ""


def verify_prefix(prefix: GenerationPrefix, watched: tuple[str, ...] = ()) -> tuple[int, list[PrefixDamage]]:
    """Compare a prefix with its records.

    Args:
        prefix: where it is, and what belongs there.
        watched: folders, relative, where nothing else may stand.

    Returns:
        How many files were compared, and what is wrong.
    """
    root = Path(prefix.path)
    if not (root / PREFIX_MARKER).is_file():
        return 0, [PrefixDamage("", "the conda prefix is gone")]
    damages: list[PrefixDamage] = []
    known: set[str] = set()
    for package in prefix.packages:
        paths = _read_paths(root, package)
        if paths is None:
            record = f"conda-meta/{package.stem}.json"
            damages.append(PrefixDamage(record, "missing, or cannot be read", package.name))
            continue
        for path in paths:
            known.add(str(path["_path"]))
            problem = _problem(root, path)
            if problem:
                damages.append(PrefixDamage(str(path["_path"]), problem, package.name))
    if not damages:
        damages += _strangers(root, watched, known)
    return len(known), damages


def _read_paths(root: Path, package: PrefixPackage) -> list[dict[str, Any]] | None:
    """The paths of a package's record, None if it cannot be read."""
    try:
        record = json.loads((root / "conda-meta" / f"{package.stem}.json").read_bytes())
        return [dict(path) for path in record["paths_data"]["paths"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _problem(root: Path, path: dict[str, Any]) -> str:
    """What is wrong with a path, "" for nothing."""
    place, kind = root / str(path["_path"]), path.get("path_type", "hardlink")
    if kind == "pyc_file":
        return ""
    if kind == "softlink":
        return "" if place.is_symlink() or place.exists() else "missing"
    if kind == "directory":
        return "" if place.is_dir() else "missing"
    if not place.is_file():
        return "missing"
    digest = path.get("sha256_in_prefix") or path.get("sha256")
    if digest:
        with open(place, "rb") as file:
            return "" if file_digest(file, "sha256").hexdigest() == digest else "changed"
    # a file that the prefix was written into has another size than in its archive
    size = path.get("size_in_bytes") if not path.get("prefix_placeholder") else None
    return "changed" if size is not None and place.stat().st_size != size else ""


def _strangers(root: Path, watched: tuple[str, ...], known: set[str]) -> Iterator[PrefixDamage]:
    """What stands directly in the watched folders, and belongs to no package."""
    parents = {str(parent) for path in known for parent in Path(path).parents}
    for folder in watched:
        for entry in sorted((root / folder).iterdir()):
            path = f"{folder}/{entry.name}"
            if path not in known and path not in parents and entry.name != _BYTECODE:
                yield PrefixDamage(path, "not from a package")
