"""Failures, rendered: what, where and why, what to do. A traceback only for a bug."""

from __future__ import annotations

from envforge.errors import EnvforgeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from envforge.cli.output import Output


def show_failure(error: Exception, output: Output, *, json: bool) -> int:
    """Render a failure.

    Args:
        error: what was raised.
        output: where to.
        json: as a document on stdout.

    Returns:
        The exit code.
    """
    bug = not isinstance(error, EnvforgeError)
    if bug:
        _show_traceback(error, output)
    shown = error if isinstance(error, EnvforgeError) else _as_bug(error)
    if json:
        output.document({"error": failure_document(shown, "bug" if bug else shown.code)})
    else:
        causes = _causes(error) if output.verbose and not bug else ()
        for line in (*causes, *failure_lines(shown, output)):
            output.insist(line)
    return shown.exit_code


def failure_document(error: EnvforgeError, code: str) -> dict[str, object]:
    """A failure for ``--json``."""
    return {
        "code": code,
        "message": error.message,
        "context": list(error.context),
        "hints": list(error.hints),
    }


def failure_lines(error: EnvforgeError, output: Output) -> Iterator[str]:
    """A failure for people: ``error: …``, its context indented, ``hint: …`` for each hint."""
    width = _wrapping_width(output)
    yield from _wrap("error: ", error.message, output.paint("error:", "red") + " ", width)
    for fact in error.context:
        yield from _wrap("  ", fact, "  ", width)
    for hint in error.hints:
        yield from _wrap("hint: ", hint, output.paint("hint:", "cyan") + " ", width)


def _causes(error: BaseException) -> Iterator[str]:
    """What led to a failure, the deepest first, as the programs below said it.

    Only what was named as the cause (``raise … from``): what merely was being handled, such as that the
    cache alone was not enough, explains nothing.
    """
    if error.__cause__ is not None:
        yield from _causes(error.__cause__)
        yield f"cause: {type(error.__cause__).__name__}: {error.__cause__}"


def _wrapping_width(output: Output) -> int:
    """The terminal's width; 0 where lines are not wrapped, because a file or a program reads them."""
    from envforge.cli.options import terminal_width
    from envforge.cli.output import is_terminal

    return terminal_width(output.stderr) if is_terminal(output.stderr) else 0


def _wrap(head: str, text: str, painted_head: str, width: int) -> Iterator[str]:
    """Lines of a text under a head, later lines indented; only lines that are too long are touched."""
    import textwrap

    indent = " " * len(head)
    start = painted_head
    for line in text.splitlines() or [""]:
        pieces = [line]
        if width and len(head) + len(line) > width:
            own_indent = line[: len(line) - len(line.lstrip())]
            pieces = textwrap.wrap(
                line,
                max(width - len(head), 20),
                subsequent_indent=own_indent,
                break_long_words=False,
                break_on_hyphens=False,
            )
        for piece in pieces:
            yield (start + piece).rstrip()
            start = indent


def _as_bug(error: Exception) -> EnvforgeError:
    import sys

    from envforge import __version__

    name = type(error).__name__
    python = ".".join(map(str, sys.version_info[:3]))
    return EnvforgeError(
        f"this is a bug in envforge: {name}: {error}" if str(error) else f"this is a bug in envforge: {name}",
        context=[f"envforge {__version__}, Python {python}, {sys.platform}"],
        hints=["please report it, with the lines above and the command that you ran"],
    )


def _show_traceback(error: Exception, output: Output) -> None:
    import traceback

    output.insist("".join(traceback.format_exception(error)).rstrip())
