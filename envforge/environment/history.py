"""Which generations a project's ``.venv`` has pointed to: ``history.json`` beside them, newest last."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from envforge.environment.generation import aside_name
from envforge.store.sharing import share_handle
from envforge.struct import Struct

FILE = "history.json"
KEPT = 50


class Past(Struct, frozen=True):
    """A generation, and when ``.venv`` was last pointed to it (seconds since the epoch)."""

    digest: str
    time_s: float


def read_history(environments_dir: Path) -> list[Past]:
    """Every generation once, newest last; empty if there is no history or it cannot be read."""
    try:
        rows = json.loads((environments_dir / FILE).read_bytes())
        return [Past(str(row["generation"]), float(row["time_s"])) for row in rows]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def record_switch(environments_dir: Path, previous: str, digest: str, now_s: float) -> None:
    """Put a generation at the end, right behind the one that it follows.

    So after a rollback and a new generation, the next rollback leads to where the first one went.
    Losing a race with another process loses one line. A history that cannot be written is no failure:
    the environment stands.
    """
    past = {entry.digest: entry for entry in read_history(environments_dir)}
    if previous and previous != digest:
        past[previous] = past.pop(previous, Past(previous, now_s))
    past.pop(digest, None)
    past[digest] = Past(digest, now_s)
    rows = [{"generation": entry.digest, "time_s": entry.time_s} for entry in past.values()]
    aside = environments_dir / aside_name()
    with suppress(OSError):
        with open(aside, "w", encoding="utf-8") as file:
            file.write(json.dumps(rows[-KEPT:], indent=1) + "\n")
            share_handle(file.fileno(), environments_dir)
        aside.replace(environments_dir / FILE)
