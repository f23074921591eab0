"""From words to an exit code: find the command, read its options, run it, render what fails."""

from __future__ import annotations

from envforge.cli.commands import COMMANDS, SYNONYMS

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing costs more than argparse
    from argparse import Namespace
    from collections.abc import Sequence
    from typing import Any

    from envforge.cli.options import Parser
    from envforge.cli.output import Output


_HELP = ("-h", "--help")
_VERSION = ("-V", "--version")


def run_command_line(words: Sequence[str]) -> int:
    """Run one command line.

    Args:
        words: without the program's name.

    Returns:
        The exit code. Failures have been rendered.
    """
    from envforge.cli.output import Output, OutputClosedError

    output = Output()
    try:
        try:
            return _run(words, output)
        except OutputClosedError:
            raise
        except Exception as error:
            from envforge.cli.failures import show_failure

            return show_failure(error, output, json="--json" in words or output.json)
    except OutputClosedError:
        output.abandon_stdout()
        return 141  # 128 + SIGPIPE, what a program that leaves the signal alone ends with


def _run(words: Sequence[str], output: Output) -> int:
    if not words or words[0] in _HELP:
        output.data(_help_text())
        return 0
    if words[0] in _VERSION:
        output.data(_version_text())
        return 0
    before, name, after = _split_command(words)
    if not name:
        output.data(_help_text() if any(word in _HELP for word in before) else _version_text())
        return 0
    module = _load_command(name)
    parser = command_parser(name, module)
    program: list[str] = []
    if getattr(module, "RUNS_A_PROGRAM", False):
        from envforge.cli.options import split_at_first_word

        after, program = split_at_first_word(parser, after)
    arguments = _read_options(parser, [*before, *after], output)
    if arguments is None:
        return 0
    arguments.program = program
    output.configure(arguments)
    return int(module.execute(arguments, output))


def command_parser(name: str, module: Any = None) -> Parser:
    """The parser of a command, for running it, and for comparing it with its documentation."""
    from envforge.cli.options import Parser, add_global_options

    module = module or _load_command(name)
    parser = Parser(f"envforge {name}")
    parser.description = COMMANDS[name][1][:1].upper() + COMMANDS[name][1][1:] + "."
    module.add_arguments(parser)
    add_global_options(parser, reports=getattr(module, "REPORTS", True))
    return parser


def _split_command(words: Sequence[str]) -> tuple[list[str], str, list[str]]:
    """Global options before the command, its name, and what follows.

    The name is "" where the options ask for the version, or, with no command behind them, for help.
    """
    if not words[0].startswith("-"):
        return [], words[0], list(words[1:])
    from envforge.cli.options import Parser, add_global_options, refuse_unknown_options, split_at_first_word
    from envforge.errors import UsageError

    parser = Parser("envforge")
    add_global_options(parser)
    parser.add_argument(*_VERSION, action="store_true")
    before, rest = split_at_first_word(parser, words)
    refuse_unknown_options(parser, before)
    if any(word in _VERSION for word in before) or (not rest and any(word in _HELP for word in before)):
        return before, "", []
    if not rest:
        raise UsageError("no command is given", hints=["see: envforge --help"])
    return before, rest[0], rest[1:]


def _load_command(name: str) -> Any:
    if name in COMMANDS:
        from importlib import import_module

        return import_module(COMMANDS[name][0])
    from envforge.cli.options import nearest_hints
    from envforge.errors import UsageError

    hints = nearest_hints(name, list(COMMANDS))
    if name in SYNONYMS:
        hints = [f"did you mean: envforge {SYNONYMS[name]}"]
    raise UsageError(f"envforge has no command {name!r}", hints=[*hints, "see: envforge --help"])


def _read_options(parser: Parser, words: Sequence[str], output: Output) -> Namespace | None:
    """The options as values; None if only help was asked for, and has been given."""
    from envforge.cli.options import refuse_unknown_options

    ours = words[: words.index("--")] if "--" in words else words
    if "-h" in ours or "--help" in ours:
        output.data(parser.format_help())
        return None
    refuse_unknown_options(parser, words)
    return parser.parse_args(words)


def _version_text() -> str:
    from envforge import __version__

    return f"envforge {__version__}\n"


def _help_text() -> str:
    width = max(len(name) for name in COMMANDS)
    commands = "".join(f"  {name:<{width}}  {line}\n" for name, (_, line) in COMMANDS.items())
    return (
        "usage: envforge [options] COMMAND …\n\n"
        "A fast, reproducible environment manager for machine-learning dependencies.\n\n"
        f"commands:\n{commands}\n"
        "options:\n"
        "  -h, --help     show this help; of one command: envforge COMMAND --help\n"
        "  -V, --version  show the version\n\n"
        "Options that every command has may stand before it too: --json, -q, -v, --project DIR,\n"
        "--tier DIR, --offline, --refresh, --no-color.\n"
    )
