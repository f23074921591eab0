"""The parser of one command, with the options that every command has.

Global options may stand before or after the command's name: the words before it are read as if they
came after it, so that one parser sees them all. Abbreviated options are not understood: what a script
says must not change its meaning when a new option comes.
"""

from __future__ import annotations

import argparse
import os
import sys

from envforge.errors import UsageError

# Ours are English; and to look for a catalogue that translates argparse's words takes 2 ms of every start.
argparse._ = str  # type: ignore[attr-defined]

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing costs more than argparse
    from collections.abc import Sequence
    from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """argparse, but wrong usage is a :class:`UsageError` and the help is the same on every Python."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog=prog, formatter_class=_HelpFormatter, allow_abbrev=False, add_help=False)
        self._positionals.title = "arguments"
        self.color = False  # Python 3.14 would colour the help

    def error(self, message: str) -> NoReturn:
        raise UsageError(message[:1].lower() + message[1:], hints=[f"see: {self.prog} --help"])

    def option_names(self) -> list[str]:
        """Every spelling of every option, in order of declaration."""
        return [name for action in self._actions for name in action.option_strings]

    def takes_value(self, name: str) -> bool:
        """Whether the option is followed by a value."""
        return any(name in action.option_strings and action.nargs is None for action in self._actions)


class _HelpFormatter(argparse.HelpFormatter):
    """argparse's, but ``-P, --long N`` on every Python, and the width without importing shutil."""

    def __init__(self, prog: str, **options: Any) -> None:
        super().__init__(prog, max_help_position=34, width=min(terminal_width(sys.stdout), 110) - 2)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings:
            return str(action.metavar or action.dest)
        names = ", ".join(action.option_strings)
        return names if action.nargs == 0 else f"{names} {action.metavar or action.dest.upper()}"


def terminal_width(stream: Any) -> int:
    """Columns of the terminal that a stream writes to, ``COLUMNS``, or 80."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 20:
        return int(columns)
    try:
        return max(os.get_terminal_size(stream.fileno()).columns, 20)
    except (OSError, ValueError, AttributeError):
        return 80


def add_global_options(parser: Parser, *, reports: bool = True) -> None:
    """Declare the options of every command.

    Args:
        parser: of a command.
        reports: whether the command reports something that ``--json`` can print.
    """
    group = parser.add_argument_group("global options (also before the command)")
    group.add_argument("-h", "--help", action="help", help="show this help")
    if reports:
        group.add_argument("--json", action="store_true", help="print one JSON document to stdout")
    loudness = group.add_mutually_exclusive_group()
    loudness.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")
    loudness.add_argument("-v", "--verbose", action="store_true", help="say more")
    group.add_argument("--project", metavar="DIR", default="", help="the project's folder, or one below it")
    group.add_argument("--tier", metavar="DIR", default="", help="where store and environments are kept")
    group.add_argument("--offline", action="store_true", help="never use the network")
    group.add_argument("--refresh", action="store_true", help="ask indexes again, whatever is cached")
    group.add_argument("--no-color", action="store_true", help="no colours")


def split_at_first_word(parser: Parser, words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Options with their values up to the first word that is neither, and the rest.

    A ``--`` in between ends the options and belongs to neither part.
    """
    index = 0
    while index < len(words):
        word = words[index]
        if word == "--":
            return list(words[:index]), list(words[index + 1 :])
        if not word.startswith("-") or word == "-":
            break
        index += 2 if parser.takes_value(word) else 1
    return list(words[:index]), list(words[index:])


def refuse_unknown_options(parser: Parser, words: Sequence[str]) -> None:
    """Say which option does not exist, before argparse complains about what may follow from it.

    Raises:
        UsageError: with the nearest option that exists.
    """
    known = parser.option_names()
    for word in words:
        if word == "--":
            return
        name = word.partition("=")[0]
        if not word.startswith("-") or word == "-" or word[1:2].isdigit() or name in known:
            continue
        if word.startswith("--") or word[:2] not in known:
            hints = [*nearest_hints(name, known), f"see: {parser.prog} --help"]
            raise UsageError(f"{parser.prog} has no option {name}", hints=hints)


def nearest_hints(name: str, known: Sequence[str]) -> list[str]:
    """A hint that names what was probably meant, or none."""
    import difflib

    nearest = difflib.get_close_matches(name, known, n=1)
    return [f"did you mean {nearest[0]}?"] if nearest else []


def positive_number(text: str) -> int:
    """A whole number from 1, for ``type=``."""
    if not (text.isascii() and text.isdecimal()) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1")
    return int(text)
