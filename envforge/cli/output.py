"""The two streams: data to stdout, everything said to people to stderr.

Colours only where a terminal shows them (``NO_COLOR``, ``FORCE_COLOR``, ``TERM=dumb`` and
``--no-color`` are obeyed). With ``--json`` nothing is said; one document is printed at the end.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing costs more than argparse
    from argparse import Namespace
    from collections.abc import Callable, Mapping
    from typing import Any, TextIO

_STYLES = {"bold": "1", "dim": "2", "red": "1;31", "green": "32", "yellow": "33", "cyan": "36"}


class OutputClosedError(Exception):
    """Whoever read our stdout went away: there is nobody left to tell."""


class Output:
    """Where one command writes, and how much.

    Attributes:
        json: one document instead of words.
        quiet: nothing but errors.
        verbose: details too.
        display: writes lines above a live display while there is one.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self.json = self.quiet = self.verbose = False
        self.display: Callable[[str], None] | None = None
        self._stdout: TextIO | None = sys.stdout
        self._stderr: TextIO | None = sys.stderr
        self._warnings: list[dict[str, str]] = []
        self._data_colours = _shows_colours(self._stdout, environ)
        self.colours = _shows_colours(self._stderr, environ)

    def configure(self, arguments: Namespace) -> None:
        """Obey the global options."""
        self.json = getattr(arguments, "json", False)
        self.quiet = arguments.quiet
        self.verbose = arguments.verbose
        if arguments.no_color:
            self.colours = self._data_colours = False

    @property
    def stderr(self) -> TextIO | None:
        return self._stderr

    @property
    def live(self) -> bool:
        """Whether a moving display can be shown."""
        return not (self.quiet or self.json) and is_terminal(self._stderr)

    @property
    def data_width(self) -> int:
        """Columns of the terminal that stdout is; 0 where a file or a program reads it."""
        from envforge.cli.options import terminal_width

        return terminal_width(self._stdout) if is_terminal(self._stdout) else 0

    def data(self, text: str) -> None:
        """Write what was asked for to stdout, as it is.

        Raises:
            OutputClosedError: the reader went away.
            HostError: the device is full or broken.
        """
        if self._stdout is None:
            return
        try:
            self._stdout.write(_encodable(text, self._stdout))
            self._stdout.flush()
        except BrokenPipeError:
            raise OutputClosedError from None
        except OSError as error:
            from envforge.errors import HostError

            self.abandon_stdout()
            raise HostError("cannot write to stdout", context=[error.strerror or str(error)]) from None

    def document(self, content: Mapping[str, Any]) -> None:
        """Print a JSON document to stdout, with the warnings that there were."""
        import json

        self.data(json.dumps({**content, "warnings": self._warnings}, indent=2) + "\n")

    def say(self, line: str) -> None:
        """Tell people, unless they do not want to be told."""
        if not (self.quiet or self.json):
            self.insist(line)

    def detail(self, line: str) -> None:
        """Tell people who asked for more."""
        if self.verbose:
            self.say(line)

    def warn(self, message: str, hint: str = "") -> None:
        """Tell people, or the document, of something that may be wrong."""
        if self.json:
            self._warnings.append({"message": message, "hint": hint})
            return
        self.say(f"{self.paint('warning:', 'yellow')} {message}")
        if hint:
            self.say(f"{self.paint('hint:', 'cyan')} {hint}")

    def insist(self, line: str) -> None:
        """Tell people in any case. A stderr that is closed or full is no reason to fail."""
        display = self.display
        if display is not None:
            display(line)
        elif self._stderr is not None:
            try:
                self._stderr.write(line + "\n")
                self._stderr.flush()
            except (OSError, ValueError):
                _silence(self._stderr)
                self._stderr = None

    def paint(self, text: str, style: str, *, data: bool = False) -> str:
        """Colour a text for stderr, or for stdout if it is ``data``."""
        coloured = self._data_colours if data else self.colours
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if coloured and text else text

    def can_draw(self) -> bool:
        """Whether stdout can take line-drawing characters."""
        encoding = getattr(self._stdout, "encoding", None) or "ascii"
        return encoding.lower().replace("-", "").startswith("utf")

    def abandon_stdout(self) -> None:
        """Let nothing more be written to stdout, not even what is buffered when Python ends."""
        if self._stdout is not None:
            _silence(self._stdout)
            self._stdout = None


def _silence(stream: TextIO) -> None:
    """Point a stream's file descriptor to nowhere: what it still buffers cannot fail any more."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        pass


def is_terminal(stream: Any) -> bool:
    """Whether a person looks at the stream, on a terminal that can move its cursor."""
    try:
        return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"
    except ValueError:  # closed
        return False


def _shows_colours(stream: Any, environ: Mapping[str, str]) -> bool:
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    # Windows Terminal and terminals that came from Unix understand the codes, the old console does not.
    understood = os.name != "nt" or "WT_SESSION" in environ or "TERM" in environ
    return understood and is_terminal(stream)


def _encodable(text: str, stream: TextIO) -> str:
    """The text with what the stream's encoding lacks written as escapes (a path may hold any byte)."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.encode(encoding, "backslashreplace").decode(encoding)
    return text
