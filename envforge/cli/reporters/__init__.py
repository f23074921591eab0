"""Reporters: who listens to a workflow's events, and what of it people see."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from envforge.cli.output import Output
    from envforge.events import Reporter


@contextmanager
def open_reporter(output: Output) -> Iterator[Reporter]:
    """The reporter for an output; closed at the end, when it has said its last line.

    With ``-q`` nobody listens; with ``--json`` only warnings are kept, for the document; on a terminal
    there is a live display; elsewhere there are a few lines.
    """
    if output.quiet:
        from envforge.events import SilentReporter

        yield SilentReporter()
    elif output.json:
        from envforge.cli.reporters.document import DocumentReporter

        yield DocumentReporter(output)
    else:
        from envforge.cli.reporters.lines import LineReporter

        if output.live:
            from envforge.cli.reporters.terminal import TerminalReporter

            reporter: LineReporter = TerminalReporter(output)
        else:
            reporter = LineReporter(output)
        try:
            yield reporter
        finally:
            reporter.close()
