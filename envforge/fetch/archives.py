"""The folder of archives on their way: named by the tree that they become, guarded, swept."""

from __future__ import annotations

import time
from pathlib import Path

from envforge.store.failures import store_failures
from envforge.store.guard import Guard, sweep_guards
from envforge.store.store import Store

_KEPT_S = 30 * 24 * 3600
"""How long half a download waits for somebody to go on with it."""


def archive_path(archives: Path, tree_id: str) -> Path:
    """Where the archive of a tree is while it is needed."""
    return archives / f"{tree_id}.whl"


def archive_guard(archives: Path, tree_id: str) -> Guard:
    """The guard of an archive: two stores may share the folder, so the tree's own guard is not enough."""
    return Guard(archives / f"{tree_id}.guard")


def sweep_archives(archives: Path, store: Store) -> int:
    """Remove archives that killed processes left and nobody needs; returns how many files went.

    That is those whose tree is in the store, and those that nobody has touched for a month.
    """
    removed = 0
    with store_failures(archives, "clean the folder for archives"):
        for place in sorted(archives.glob("*.whl*")) if archives.is_dir() else ():
            tree_id = place.name.partition(".")[0]
            needed = not (store.trees / f"{tree_id}.json").exists()
            with archive_guard(archives, tree_id).try_hold() as mine:
                if mine and place.exists() and not (needed and time.time() - place.stat().st_mtime < _KEPT_S):
                    place.unlink()
                    removed += 1
    return removed + sweep_guards(archives, "*.guard*") + sweep_guards(archives, "*.clock")
