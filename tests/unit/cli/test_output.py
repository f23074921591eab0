"""Streams, colours, and readers that go away."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys

import pytest

from envforge.cli.output import Output


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("terminal", "environ", "coloured"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),  # no-color.org: only when not empty
        (False, {"FORCE_COLOR": "1"}, True),
        (True, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_colours(monkeypatch, terminal, environ, coloured):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal() if terminal else io.StringIO())
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    output = Output(environ)
    assert (output.paint("x", "red") != "x") == coloured
    assert (output.paint("x", "red", data=True) != "x") == ("FORCE_COLOR" in environ and coloured)


def test_a_dumb_terminal_gets_neither_colours_nor_a_display(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(sys, "stderr", Terminal())
    output = Output({})
    assert not output.live
    assert output.paint("x", "red") == "x"


def test_no_color_option_wins_over_force_color(envforge):
    done = envforge("snyc", FORCE_COLOR="1")
    assert "\x1b[1;31merror:\x1b[0m" in done.stderr
    done = envforge("--no-color", "add", "--dev", "conda:x", FORCE_COLOR="1")
    assert done.stderr.startswith("error: ")


def test_errors_are_coloured_on_a_terminal_only(envforge, on_terminal):
    assert "\x1b" not in envforge("snyc").stderr
    assert "\x1b[1;31merror:\x1b[0m" in on_terminal("snyc").stdout
    assert "\x1b" not in on_terminal("snyc", NO_COLOR="1").stdout
    assert "\x1b" not in on_terminal("snyc", TERM="dumb").stdout


def test_data_goes_to_stdout_and_the_rest_to_stderr(capsys):
    output = Output({})
    output.data("data\n")
    output.say("said")
    output.detail("unasked")
    output.warn("careful", "look left")
    assert capsys.readouterr() == ("data\n", "said\nwarning: careful\nhint: look left\n")


def test_quiet_and_verbose(capsys):
    output = Output({})
    output.verbose = True
    output.detail("detail")
    output.quiet = True
    output.detail("unheard")
    output.say("unheard")
    output.warn("unheard")
    output.insist("error")
    assert capsys.readouterr() == ("", "detail\nerror\n")


def test_a_document_holds_the_warnings(capsys):
    output = Output({})
    output.json = True
    output.say("unheard")
    output.warn("careful", "look left")
    output.document({"a": 1})
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out) == {"a": 1, "warnings": [{"message": "careful", "hint": "look left"}]}


def test_a_reader_that_went_away_is_no_failure_to_speak_of(environ):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "envforge.cli", "--help"], env=environ, stdout=writing, stderr=subprocess.PIPE
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_under_stdout(environ):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "envforge.cli", "--help"], env=environ, stdout=full, stderr=subprocess.PIPE
        )
    assert done.returncode == 1
    assert done.stderr == b"error: cannot write to stdout\n  No space left on device\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams(environ, closed):
    line = f"exec {sys.executable} -m envforge.cli snyc {closed}"
    done = subprocess.run(["sh", "-c", line], env=environ, capture_output=True, text=True)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_full_disk_under_stderr_does_not_fail_a_command(environ):
    line = f"exec {sys.executable} -m envforge.cli snyc 2>/dev/full"
    assert subprocess.run(["sh", "-c", line], env=environ, capture_output=True).returncode == 2


def test_an_encoding_that_lacks_letters(environ):
    done = subprocess.run(
        [sys.executable, "-m", "envforge.cli", "--help"],
        env={**environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
    )
    assert done.returncode == 0
    assert rb"COMMAND \u2026" in done.stdout


def test_a_path_of_any_bytes_can_be_shown(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", stream)
    Output({}).data("/home/\udce4\n")
    assert stream.buffer.getvalue() == b"/home/\\udce4\n"
