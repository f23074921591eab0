"""Errors as people and programs see them."""

from __future__ import annotations

import json

from envforge.cli.failures import failure_lines, show_failure
from envforge.cli.output import Output
from envforge.errors import LockError, ManifestError, UsageError

ERROR = ManifestError(
    "pyproject.toml:3:9: not valid TOML: expected '='",
    context=["name == 1", "     ^"],
    hints=["write name = 1", "see: https://toml.io"],
)


def test_message_context_and_hints():
    assert list(failure_lines(ERROR, Output({}))) == [
        "error: pyproject.toml:3:9: not valid TOML: expected '='",
        "  name == 1",
        "       ^",
        "hint: write name = 1",
        "hint: see: https://toml.io",
    ]


def test_a_text_of_several_lines_is_kept_and_indented():
    error = LockError("first\n\nthird", context=["chain:\n  a\n    b"])
    assert list(failure_lines(error, Output({}))) == [
        "error: first",
        "",
        "       third",
        "  chain:",
        "    a",
        "      b",
    ]


def test_long_lines_are_wrapped_on_a_terminal(on_terminal, command_script):
    script = command_script(
        "raise LockError('one two three four five six seven', context=['    deep deep deep deep deep deep',"
        " 'https://example.org/a/very/long/address/that/stays/whole'], hints=['do this and that and more'])"
    )
    done = on_terminal("try", script=script, COLUMNS="30", NO_COLOR="1")
    assert done.code == 1
    assert done.plain.splitlines() == [
        "error: one two three four five",
        "       six seven",
        "      deep deep deep deep deep",
        "      deep",
        "  https://example.org/a/very/long/address/that/stays/whole",
        "hint: do this and that and",
        "      more",
    ]


def test_lines_in_a_pipe_are_never_wrapped(envforge, command_script):
    message = "word " * 60
    done = envforge("try", script=command_script(f"raise LockError({message.strip()!r})"), COLUMNS="40")
    assert done.stderr == f"error: {message.strip()}\n"


def test_as_a_document(capsys):
    assert show_failure(ERROR, Output({}), json=True) == 1
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out)["error"] == {
        "code": "manifest",
        "message": ERROR.message,
        "context": ["name == 1", "     ^"],
        "hints": ["write name = 1", "see: https://toml.io"],
    }


def test_exit_codes(capsys):
    assert show_failure(UsageError("no"), Output({}), json=False) == 2
    assert show_failure(LockError("no"), Output({}), json=False) == 1


def test_a_bug_shows_its_traceback_and_asks_for_a_report(envforge, command_script):
    done = envforge("try", script=command_script("{}['a']"))
    assert done.code == 1
    assert done.stderr.startswith("Traceback (most recent call last):")
    assert "trying.py" in done.stderr
    assert "\nerror: this is a bug in envforge: KeyError: 'a'\n" in done.stderr
    assert "hint: please report it" in done.stderr
    assert done.stdout == ""


def test_a_bug_as_a_document(envforge, command_script):
    done = envforge("try", "--json", script=command_script("{}['a']"))
    assert done.code == 1
    assert json.loads(done.stdout)["error"]["code"] == "bug"
    assert "Traceback" in done.stderr


CAUSED = """
try:
    open('/does/not/exist')
except OSError as error:
    raise LockError('no lock') from error
"""


def test_the_cause_of_a_failure_is_shown_only_on_request(envforge, command_script):
    script = command_script(CAUSED)
    quiet = envforge("try", script=script)
    assert (quiet.code, quiet.stderr) == (1, "error: no lock\n")
    verbose = envforge("-v", "try", script=script)
    assert verbose.code == 1
    cause, what = verbose.stderr.splitlines()
    assert cause.startswith("cause: FileNotFoundError: ")
    assert "/does/not/exist" in cause
    assert what == "error: no lock"


def test_what_was_being_handled_is_no_cause(envforge, command_script):
    done = envforge("-v", "try", script=command_script(CAUSED.replace(" from error", "")))
    assert (done.code, done.stderr) == (1, "error: no lock\n")


def test_quiet_still_shows_errors(envforge, command_script):
    done = envforge("-q", "try", script=command_script("raise LockError('no lock')"))
    assert (done.code, done.stderr) == (1, "error: no lock\n")
