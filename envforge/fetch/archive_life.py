"""Kept archives taken away: which, is decided elsewhere; that nobody is about to read one, is seen here."""

from __future__ import annotations

from pathlib import Path

from envforge.fetch.archives import archive_guard, archive_path
from envforge.store.failures import store_failures
from envforge.store.sweeping import is_abandoned
from envforge.store.uses import aside_path, withdraw


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
    left = [place for place in archives.glob("*.withdrawn") if is_abandoned(place)]
    with store_failures(archives, "clean the folder for archives"):
        for place in left:
            place.unlink(missing_ok=True)
    return len(left)
