"""The reporter for terminals: the lines of :class:`LineReporter` and, while work is going on, a live display.

Events only change numbers; a thread of its own draws ten times a second. It waits a moment before it
imports rich (65 ms), so that a command that is done by then has never paid for it.
"""

from __future__ import annotations

from collections import deque
from threading import Event as Flag
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING

from envforge.cli.formats import count, format_duration, format_size
from envforge.cli.reporters.lines import LineReporter, waiting_text
from envforge.events import (
    BuildStarted,
    CheckPlanned,
    FetchPlanned,
    PrefixStarted,
    ResolutionStarted,
    WaitingForOwner,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

    from envforge.cli.output import Output
    from envforge.cli.reporters.tally import Tally
    from envforge.events import Event

_PATIENCE_S = 0.3
_FRAME_S = 0.1
_RATE_WINDOW_S = 3.0
_MOST_TRANSFERS = 4


class TerminalReporter(LineReporter):
    """Lines, and a live display that vanishes when the command ends."""

    def __init__(self, output: Output) -> None:
        super().__init__(output)
        self._display: LiveDisplay | None = None

    def report(self, event: Event) -> None:
        """Take an event in; the first one that means work starts the display."""
        super().report(event)
        if self._display is None and _means_work(event):
            self._display = LiveDisplay(self.tally, self.output)
            self._display.start()

    def close(self) -> None:
        """Take the display off the terminal."""
        if self._display is not None:
            self._display.stop()

    def sign_of_life(self) -> None:
        """The display is one."""

    def wait_goes_on(self, event: WaitingForOwner) -> None:
        """The display shows it."""

    def fetch_begins(self, event: FetchPlanned) -> None:
        """The display shows it."""

    def build_begins(self, event: BuildStarted) -> None:
        """The display shows it."""


def _means_work(event: Event) -> bool:
    if isinstance(event, FetchPlanned):
        return event.file_count > 0
    work = (ResolutionStarted, BuildStarted, PrefixStarted, CheckPlanned, WaitingForOwner)
    return isinstance(event, work)


class LiveDisplay:
    """Draws a tally on stderr, in a thread of its own, until it is stopped."""

    def __init__(self, tally: Tally, output: Output) -> None:
        self._tally = tally
        self._output = output
        self._stopping = Flag()
        self._thread = Thread(target=self._run, name="display", daemon=True)
        self._rate = _Rate()
        self._started_s = monotonic()

    def start(self) -> None:
        """Begin to draw, after a moment."""
        self._thread.start()

    def stop(self) -> None:
        """Take the display away; the terminal is as it was when this returns."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        if self._stopping.wait(_PATIENCE_S):
            return
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        console = Console(file=self._output.stderr, force_terminal=True, no_color=not self._output.colours)

        def print_above(line: str) -> None:
            console.print(Text.from_ansi(line), soft_wrap=True)

        live = Live(
            console=console,
            get_renderable=self._render,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        try:
            with live:
                self._output.display = print_above
                while not self._stopping.wait(_FRAME_S):
                    live.refresh()
        finally:
            self._output.display = None

    def _render(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        tally = self._tally
        rows: list[RenderableType] = []
        rows.extend(Text(waiting_text(wait), style="yellow") for wait in tally.waits(_MOST_TRANSFERS))
        if tally.checked_bytes < tally.check_bytes:
            rows.append(Text(f"Checking {_progress_text(tally.checked_bytes, tally.check_bytes)}"))
        if tally.resolving:
            rows.append(self._resolution_row())
        if tally.finished_files < tally.planned_files:
            rows.append(self._download_rows())
        elif tally.linking:
            rows.append(Text(f"Installing {count(tally.linking, 'conda package')}"))
        elif tally.stored_files < tally.planned_files:
            rows.append(Text(f"Unpacking {tally.stored_files}/{count(tally.planned_files, 'file')}"))
        rows.extend(Text(f"Building {what}") for what in list(tally.builds))
        return Group(*rows)

    def _resolution_row(self) -> RenderableType:
        from rich.text import Text

        row = Text("Resolving ").append(self._tally.resolving, style="bold")
        if self._tally.metadata_count:
            row.append(f"  {count(self._tally.metadata_count, 'release')} read")
        return row.append(f"  {format_duration(monotonic() - self._started_s)}", style="dim")

    def _download_rows(self) -> RenderableType:
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        tally = self._tally
        table = Table.grid(padding=(0, 1))
        for _ in range(4):
            table.add_column(no_wrap=True, overflow="ellipsis")
        rate = self._rate.update(tally.received_bytes)
        table.add_row(
            Text(f"Downloading {tally.finished_files}/{count(tally.planned_files, 'file')}"),
            ProgressBar(total=tally.planned_bytes or None, completed=tally.received_bytes, width=30),
            Text(_progress_text(tally.received_bytes, tally.planned_bytes), style="green"),
            Text(f"{format_size(rate)}/s" if rate else "", style="cyan"),
        )
        for transfer in tally.biggest_transfers(_MOST_TRANSFERS):
            table.add_row(
                Text("  " + _short_name(transfer.filename), style="dim"),
                ProgressBar(total=transfer.size_bytes or None, completed=transfer.received_bytes, width=30),
                Text(_progress_text(transfer.received_bytes, transfer.size_bytes), style="dim"),
                Text(""),
            )
        return table


def _progress_text(received_bytes: int, size_bytes: int) -> str:
    if not size_bytes:
        return format_size(received_bytes)
    return f"{format_size(received_bytes)} / {format_size(size_bytes)}"


def _short_name(filename: str) -> str:
    """Name and version of a wheel or sdist: the tags say nothing to the one who waits."""
    parts = filename.split("-")
    return "-".join(parts[:2]) if filename.endswith(".whl") else filename


class _Rate:
    """Bytes a second over the last seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def update(self, received_bytes: int) -> float:
        now_s = monotonic()
        self._samples.append((now_s, received_bytes))
        while now_s - self._samples[0][0] > _RATE_WINDOW_S:
            self._samples.popleft()
        first_s, first_bytes = self._samples[0]
        return (received_bytes - first_bytes) / (now_s - first_s) if now_s > first_s else 0.0
