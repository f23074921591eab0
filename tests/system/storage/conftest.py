"""How often and how many: small numbers by default, ``ENVFORGE_TEST_SCALE=10`` for the real proof."""

from __future__ import annotations

import os

SCALE = int(os.environ.get("ENVFORGE_TEST_SCALE", "1"))


def scaled(usual: int, full: int) -> int:
    """A number of processes or rounds: the usual one, more on demand, never more than the full one."""
    return full if SCALE >= 10 else min(usual * SCALE, full)
