"""Time that passes in a moment: what is in a tier or a cache is made older, as a prune sees it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

_MARKERS = (
    "trees/*.json",
    "bundles/*.json",
    "builds/*.json",
    "blueprints/*.json",
    "build-environments/*/envforge-generation.json",
    "envs/*/*/envforge-generation.json",
    "envs/*/lost",
    "prefixes/*/envforge-prefix.json",
)
HOUR_S = 3600.0
DAY_S = 24 * HOUR_S


def let_pass(root: Path, passed_s: float = 2 * HOUR_S) -> None:
    """Make everything in a tier that has a time of last use older."""
    for pattern in _MARKERS:
        for place in root.glob(pattern):
            make_older(place, passed_s)
    for place in root.glob("envs/*/history.json"):
        rows = json.loads(place.read_bytes())
        for row in rows:
            row["time_s"] -= passed_s
        place.write_text(json.dumps(rows))


def make_older(place: Path, passed_s: float = 2 * HOUR_S) -> None:
    """Make one file older; no error if it is gone."""
    try:
        status = place.stat()
        os.utime(place, (status.st_atime - passed_s, status.st_mtime - passed_s))
    except FileNotFoundError:
        return
    assert time.time() - place.stat().st_mtime > passed_s - 60
