"""Archives that are kept: listed, and taken away when nobody has used them in long."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from envforge.fetch.archives import archive_guard, archive_path
from envforge.store.failures import store_failures
from envforge.store.uses import aside_path, withdraw

_SUFFIX = ".whl"


@dataclass(frozen=True, slots=True)
class KeptArchive:
    """An archive: the id of the tree that it becomes, its size, when it was written or last used."""

    tree_id: str
    size_bytes: int
    used_s: float


def list_archives(archives: Path) -> Iterator[KeptArchive]:
    """All whole archives in a folder; one that is being unpacked at this moment, too."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(archives) as listing:
        for entry in listing:
            name = entry.name.removesuffix(_SUFFIX)
            if name != entry.name and "." not in name:
                with suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    yield KeptArchive(name, status.st_size, max(status.st_mtime, status.st_atime))


def drop_archive(archives: Path, tree_id: str, now_s: float) -> bool:
    """Remove an archive unless somebody is at it, or was just now. Returns whether it is gone.

    Raises:
        StoreError: it cannot be removed.
    """
    place = archive_path(archives, tree_id)
    with store_failures(place, "remove an archive"), archive_guard(archives, tree_id).try_hold() as mine:
        aside = aside_path(archives)
        if not mine or not withdraw(place, aside, now_s):
            return False
        aside.unlink(missing_ok=True)
    return True


def sweep_withdrawn(archives: Path) -> int:
    """Remove what a process left that was killed while it removed an archive; returns how many files went."""
    from envforge.store.owner import is_dead, parse_owner

    removed = 0
    for place in archives.glob("*.withdrawn"):
        owner = parse_owner(".".join(place.name.split(".")[:3]))
        if owner is not None and is_dead(owner):
            place.unlink(missing_ok=True)
            removed += 1
    return removed
