"""A damaged conda prefix taken away, with what is damaged of its packages in the cache.

py-rattler links the files of a prefix to those in its cache of unpacked packages: who writes into one has
written into both, and a new prefix would be made of the same damage. So what is in the cache of a damaged
package is compared with the list of digests that the package brings (``info/paths.json``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from glob import escape
from hashlib import file_digest
from pathlib import Path

from envforge.events import Reporter
from envforge.link.conda_prefix import MARKER, clear_prefix
from envforge.store.failures import store_failures
from envforge.store.guard import Guard
from envforge.store.sealing import remove_sealed


def discard_prefix(path: Path, stems: Iterable[str], packages_cache: Path, reporter: Reporter) -> None:
    """Remove a prefix, for all who use it, so that the next sync makes it anew.

    Args:
        path: of the prefix.
        stems: ``name-version-build`` of the packages whose files are damaged.
        packages_cache: of what is unpacked.
        reporter: hears when another process is at work on the prefix.

    Raises:
        StoreError: it cannot be removed.
    """
    guard = Guard(path.parent.parent / "guards" / f"prefix-{path.name}")
    with guard.hold(reporter, "a conda prefix"), store_failures(path, "remove a damaged conda prefix"):
        # without its marker there is no prefix, whatever comes next
        (path / MARKER).unlink(missing_ok=True)
        clear_prefix(path)
        for stem in sorted(stems):
            for place in packages_cache.glob(f"{escape(stem)}*"):
                if place.is_dir() and not _is_whole(place):
                    remove_sealed(place)


def _is_whole(place: Path) -> bool:
    """Whether an unpacked package has the files that it was made with; False if it does not tell."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        paths = json.loads((place / "info" / "paths.json").read_bytes())["paths"]
        return all(_is_file_whole(place / path["_path"], path) for path in paths)
    return False


def _is_file_whole(place: Path, path: dict[str, str]) -> bool:
    if path.get("path_type", "hardlink") != "hardlink":
        return place.is_symlink() or place.exists()
    with open(place, "rb") as file:
        return file_digest(file, "sha256").hexdigest() == path["sha256"]
