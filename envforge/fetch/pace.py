"""How many large archives a fetch has in hand at one time: as many as keep the processors busy.

More do not make it faster, but each thread has to get the GIL from the others some hundred thousand times:
3.2 GB on two processors took 28.6 s with 16 archives at a time (618,000 switches of context) and 20.7 s with
three (107,000). On a slow line, processors are idle with three, and one after the other is begun beside.
"""

from __future__ import annotations

import time
from collections.abc import Callable

_LOOK_S = 0.5
"""Long enough that waiting for the disk now and then does not count as idle: the count is never lowered."""
_BUSY = 0.6


class Pace:
    """Looks at how busy the processors are with a fetch.

    Args:
        processors: how many it has.
        most: how many archives may be in hand at all.
        find_spent_s: processor time that the fetch has used, in seconds.
    """

    def __init__(self, processors: int, most: int, find_spent_s: Callable[[], float]) -> None:
        self._processors = processors
        self._most = most
        self._find_spent_s = find_spent_s
        self.count = min(processors + 1, most)
        self._looked_s, self._spent_s = time.monotonic(), find_spent_s()

    def raise_count(self) -> bool:
        """Count one more where the processors were idle since the last look; returns whether that is so."""
        now_s, spent_s = time.monotonic(), self._find_spent_s()
        since_s = now_s - self._looked_s
        if since_s < _LOOK_S or self.count >= self._most:
            return False
        was_idle = spent_s - self._spent_s < _BUSY * self._processors * since_s
        self._looked_s, self._spent_s = now_s, spent_s
        self.count += was_idle
        return was_idle
