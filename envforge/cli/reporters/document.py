"""The reporter of ``--json``: warnings go into the document, the rest is for people and dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envforge.events import Warned

if TYPE_CHECKING:
    from envforge.cli.output import Output
    from envforge.events import Event


class DocumentReporter:
    """Keeps what belongs into the document."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def report(self, event: Event) -> None:
        """Keep a warning."""
        if isinstance(event, Warned):
            self._output.warn(event.message, event.hint)
