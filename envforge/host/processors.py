"""How many processors this process has."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def count_processors(root: Path = Path("/")) -> int:
    """Those that this process may run on, less what its control group's quota forbids (version 2).

    Args:
        root: where ``proc`` and ``sys`` are.
    """
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):
        group = (root / "proc/self/cgroup").read_text().rpartition("::")[2].strip()
        place = root / "sys/fs/cgroup" / group.lstrip("/")
        quota, period = (place / "cpu.max").read_text().split()
        if quota != "max":
            count = min(count, max(1, int(quota) // int(period)))
    return count
