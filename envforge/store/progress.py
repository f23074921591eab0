"""How far an owner is, told to those who wait for its guards: a reporter that passes all events on."""

from __future__ import annotations

from envforge.events import (
    BuildStarted,
    DownloadFinished,
    DownloadProgressed,
    DownloadStarted,
    Event,
    FetchPlanned,
    Reporter,
)
from envforge.store.guard import Hold


class ProgressTeller:
    """Sums up what is downloaded (or names the build) under some guards.

    Args:
        reporter: hears everything, as without this one.
        holds: the guards that are held for it.
    """

    def __init__(self, reporter: Reporter, *holds: Hold | None) -> None:
        self._reporter = reporter
        self._holds = [hold for hold in holds if hold is not None]
        self._received_bytes = 0
        self._size_bytes = 0
        self._is_planned = False

    def report(self, event: Event) -> None:
        """Pass an event on, and note how far the work is."""
        self._reporter.report(event)
        match event:
            case FetchPlanned():
                self._is_planned, self._size_bytes = True, event.size_bytes
            case DownloadStarted() if not self._is_planned:
                self._received_bytes, self._size_bytes = 0, event.size_bytes or 0
            case DownloadProgressed():
                self._received_bytes += event.received_bytes
                self._tell(_amount(self._received_bytes, self._size_bytes))
            case DownloadFinished() if not self._is_planned:
                self._tell("unpacking")
            case BuildStarted():
                self._tell("building")

    def _tell(self, progress: str) -> None:
        for hold in self._holds:
            hold.progress = progress


def _amount(done_bytes: int, size_bytes: int) -> str:
    """``1.2 of 3.1 GB``, ``12 of 80 MB``; what is not known is left out."""
    unit, name = (1e9, "GB") if max(done_bytes, size_bytes) >= 1e9 else (1e6, "MB")
    done = f"{done_bytes / unit:.1f}"
    return f"{done} of {size_bytes / unit:.1f} {name}" if size_bytes else f"{done} {name}"
