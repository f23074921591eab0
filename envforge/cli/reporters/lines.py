"""The reporter that says what happened in a few lines: for logs and pipes, and below a live display."""

from __future__ import annotations

from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING

from envforge.cli.formats import count, format_duration, format_size
from envforge.cli.reporters.tally import Tally
from envforge.events import (
    BuildFinished,
    BuildStarted,
    DownloadFinished,
    DownloadProgressed,
    EnvironmentChanged,
    FetchPlanned,
    HandingOver,
    LinkScriptRun,
    PrefixFinished,
    ResolutionFinished,
    TreeStored,
    WaitingForOwner,
    Warned,
)

if TYPE_CHECKING:
    from envforge.cli.output import Output
    from envforge.events import Event

_SIGN_OF_LIFE_S = 30.0


class LineReporter:
    """Says milestones, and something every half minute during a long download."""

    def __init__(self, output: Output) -> None:
        self.output = output
        self.tally = Tally()
        self._lock = Lock()
        self._said_fetched_files = 0
        self._said_resolved = False
        self._told_waiting: set[tuple[str, str]] = set()
        self._last_sign_s = monotonic()

    def report(self, event: Event) -> None:
        """Take an event in, and say it if it is a milestone."""
        self.tally.add(event)
        if isinstance(event, DownloadProgressed):
            self.sign_of_life()
            return
        with self._lock:
            self._say(event)

    def close(self) -> None:
        """Nothing more will happen."""

    def sign_of_life(self) -> None:
        """Say how far a long download is."""
        tally = self.tally
        if not tally.planned_files or not self._is_time():
            return
        of_bytes = f" of {format_size(tally.planned_bytes)}" if tally.planned_bytes else ""
        self.output.say(
            f"Downloading: {tally.finished_files} of {count(tally.planned_files, 'file')}, "
            f"{format_size(tally.received_bytes)}{of_bytes}"
        )

    def wait_goes_on(self, event: WaitingForOwner) -> None:
        """Say how far another process is, now and then."""
        if self._is_time():
            self.output.say(waiting_text(event))

    def _is_time(self) -> bool:
        """Whether nothing was said for half a minute."""
        now_s = monotonic()
        if now_s - self._last_sign_s < _SIGN_OF_LIFE_S:
            return False
        self._last_sign_s = now_s
        return True

    def fetch_begins(self, event: FetchPlanned) -> None:
        """Say what is going to be downloaded; a live display shows it instead."""
        size = f" ({format_size(event.size_bytes)})" if event.size_bytes else ""
        self.output.say(f"Downloading {count(event.file_count, 'file')}{size}")

    def build_begins(self, event: BuildStarted) -> None:
        """Say what may take an hour, and where to look meanwhile; a live display shows it instead."""
        self.output.say(f"Building {event.what} (log: {event.log})")

    def _say(self, event: Event) -> None:
        match event:
            case FetchPlanned():
                self._say_resolved()
                if event.file_count:
                    self._last_sign_s = monotonic()
                    self.fetch_begins(event)
            case DownloadFinished():
                self._say_fetched()
            case WaitingForOwner():
                self._say_waiting(event)
            case BuildStarted() if event.log:
                self.build_begins(event)
            case BuildFinished():
                self.output.say(f"Built {event.what} in {format_duration(event.duration_s)}")
            case PrefixFinished():
                packages = count(event.package_count, "conda package")
                self.output.say(f"Installed {packages} in {format_duration(event.duration_s)}")
            case LinkScriptRun():
                self.output.say(f"Ran the link script of {event.package}, as link-scripts allows")
            case ResolutionFinished():
                self.output.detail(f"Resolved {count(event.package_count, 'package')} for {event.target}")
            case TreeStored():
                files = count(event.file_count, "file")
                self.output.detail(f"Stored {event.filename}: {files}, {format_size(event.size_bytes)}")
            case Warned():
                self.output.warn(event.message, event.hint)
            case EnvironmentChanged():
                packages = count(event.change_count, "package")
                self.output.say(
                    f"Synced first: {packages} changed; --no-sync runs in the environment as it is"
                )
            case HandingOver():
                self.close()

    def _say_resolved(self) -> None:
        """Once, when a sync goes on after a resolution; ``lock`` says so itself."""
        if self.tally.resolved and not self._said_resolved:
            self._said_resolved = True
            most = max(self.tally.resolved.values())
            self.output.say(f"Resolved {count(most, 'package')} in {format_duration(self.tally.resolving_s)}")

    def _say_fetched(self) -> None:
        tally = self.tally
        if self._said_fetched_files < tally.planned_files <= tally.finished_files:
            self._said_fetched_files = tally.finished_files
            duration = format_duration(monotonic() - tally.fetching_since_s)
            self.output.say(
                f"Downloaded {count(tally.finished_files, 'file')} ({format_size(tally.received_bytes)})"
                f" in {duration}"
            )

    def _say_waiting(self, event: WaitingForOwner) -> None:
        key = (event.what, event.owner)
        if key not in self._told_waiting:
            self._told_waiting.add(key)
            self._last_sign_s = monotonic()
            self.output.say(waiting_text(event))
        else:
            self.wait_goes_on(event)


def waiting_text(event: WaitingForOwner) -> str:
    """Whom we wait for, and how far that one is."""
    progress = f" ({event.progress})" if event.progress else ""
    return f"Waiting for {event.owner}: {event.what}{progress}"
