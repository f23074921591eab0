"""Which command is meant, with which options, and what is said when none is."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from envforge import __version__
from envforge.cli import main
from envforge.cli.commands import COMMANDS, SYNONYMS
from envforge.cli.options import split_at_first_word
from envforge.cli.program import command_parser


def test_without_arguments_the_help_is_shown(capsys):
    assert main([]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("usage: envforge ")
    assert err == ""
    for name, (_, line) in COMMANDS.items():
        assert f"  {name} " in out and line in out


@pytest.mark.parametrize(
    "words",
    [
        ["--version"],
        ["-V"],
        ["-q", "--version"],
        ["--json", "-V"],
        ["--project", "/does/not/exist", "--version"],
        ["--no-color", "--version", "sync"],
    ],
)
def test_version(capsys, words):
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert (out, err) == (f"envforge {__version__}\n", "")


@pytest.mark.parametrize(
    "words",
    [
        ["--help", "sync"],
        ["-h"],
        ["-q", "--help"],
        ["--json", "--help"],
        ["--no-color", "-h"],
        ["--project", ".", "--help"],
        ["--project=.", "-h", "--version"],
    ],
)
def test_help_before_a_command(capsys, words):
    assert main(words) == 0
    assert capsys.readouterr().out.startswith("usage: envforge [options] COMMAND")


@pytest.mark.parametrize(
    "words", [["sync", "-h"], ["-q", "sync", "--help"], ["sync", "--no-dev", "-h", "--json"]]
)
def test_help_of_a_command(capsys, words):
    assert main(words) == 0
    assert capsys.readouterr().out.startswith("usage: envforge sync [options]")


@pytest.mark.parametrize("typo", ["snyc", "Sync", "sycn", "syncc"])
def test_unknown_command_names_the_nearest(capsys, typo):
    assert main([typo]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert f"error: envforge has no command {typo!r}\n" in err
    assert "hint: did you mean sync?\n" in err


@pytest.mark.parametrize("word", SYNONYMS)
def test_words_of_other_tools_are_understood_and_refused(capsys, word):
    assert main([word]) == 2
    assert f"hint: did you mean: envforge {SYNONYMS[word]}\n" in capsys.readouterr().err


def test_synonyms_name_what_exists():
    for word, ours in SYNONYMS.items():
        assert word not in COMMANDS
        name, *options = ours.split()
        if name in COMMANDS:
            if options:
                command_parser(name).parse_args(options)
        else:
            assert ours == "--help"


def test_a_word_far_from_every_command_gets_no_guess(capsys):
    assert main(["xyzzy"]) == 2
    err = capsys.readouterr().err
    assert "did you mean" not in err
    assert "hint: see: envforge --help" in err


@pytest.mark.parametrize(
    ("words", "option", "nearest"),
    [
        (["sync", "--frozn"], "--frozn", "--frozen"),
        (["sync", "--fro"], "--fro", None),  # an abbreviation is not an option, and not near enough
        (["sync", "--linkmode=copy"], "--linkmode", "--link-mode"),
        (["add", "--dve"], "--dve", "--dev"),
        (["why", "--platfrom", "linux-64"], "--platfrom", "--platform"),
        (["lock", "-X"], "-X", None),
        (["run", "--no-snyc", "python"], "--no-snyc", "--no-sync"),
        (["--ofline", "sync"], "--ofline", "--offline"),
    ],
)
def test_unknown_option_names_the_nearest(capsys, words, option, nearest):
    assert main(words) == 2
    err = capsys.readouterr().err
    assert f" has no option {option}\n" in err
    assert "--help" in err
    if nearest:
        assert f"hint: did you mean {nearest}?\n" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["add"], "REQUIREMENT"),
        (["why"], "NAME"),
        (["why", "a", "b"], "unrecognized arguments: b"),
        (["sync", "now"], "unrecognized arguments: now"),
        (["sync", "--link-mode", "soft"], "argument --link-mode: invalid choice: 'soft'"),
        (["sync", "--link-mode"], "expected one argument"),
        (["tree", "--depth", "0"], "argument --depth: '0' is no whole number from 1"),
        (["tree", "--depth", "-3"], "'-3' is no whole number from 1"),
        (["rollback", "two"], "argument N: 'two' is no whole number from 1"),
        (["sync", "-q", "-v"], "not allowed with argument"),
        (["-q", "sync", "-v"], "not allowed with argument"),
        (["add", "x", "--dev", "--group", "docs"], "not allowed with argument"),
        (["-q"], "no command is given"),
        (["--project"], "no command is given"),
        (["sync", "--version"], "envforge sync has no option --version"),
        (["add", "--dev", "conda:ffmpeg"], "not in a group or an extra"),
        (["add", "--conda", "--group", "docs", "ffmpeg"], "not in a group or an extra"),
        (["lock", "--check", "--upgrade"], "--check writes nothing"),
        (["lock", "--exclude-newer", "tomorrow"], "'tomorrow' is no date"),
        (["run"], "no program to run is given"),
        (["run", "--frozen", "--"], "no program to run is given"),
        (["sync", "--project", "/does/not/exist"], "/does/not/exist is no folder"),
    ],
)
def test_wrong_usage(capsys, words, message):
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert message in err
    assert "hint: " in err
    assert "Traceback" not in err


@pytest.mark.parametrize("words", [["--json", "lock", "--chek"], ["lock", "--chek", "--json"]])
def test_wrong_usage_as_json(capsys, words):
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out) == {
        "error": {
            "code": "usage",
            "message": "envforge lock has no option --chek",
            "context": [],
            "hints": ["did you mean --check?", "see: envforge lock --help"],
        },
        "warnings": [],
    }


def test_no_project_here(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENVFORGE_CACHE_DIR", str(tmp_path / "cache"))
    for words in (["sync"], ["lock"], ["tree"], ["why", "x"], ["verify"], ["rollback"], ["add", "x"]):
        assert main(words) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("error: no pyproject.toml in ")
        assert "hint: start a project with: envforge init\n" in err
        assert main([*words, "--json"]) == 1
        out, err = capsys.readouterr()
        assert json.loads(out)["error"]["code"] == "manifest"
        assert err == ""


def test_the_current_folder_is_gone(envforge, tmp_path, environ):
    gone = tmp_path / "gone"
    gone.mkdir()
    line = f"cd {gone} && rmdir {gone} && exec {sys.executable} -m envforge.cli sync"
    done = subprocess.run(["sh", "-c", line], env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr == "error: the current folder no longer exists\nhint: change to another one: cd\n"


@pytest.mark.parametrize(
    "words",
    [
        ["-v", "--project", "here", "lock", "--upgrade"],
        ["lock", "-v", "--upgrade", "--project", "here"],
        ["-v", "lock", "--project=here", "--upgrade"],
    ],
)
def test_global_options_stand_before_and_after(words):
    parser = command_parser("lock")
    before, rest = split_at_first_word(command_parser("lock"), words)
    arguments = parser.parse_args([*before, *rest[1:]])
    assert rest[0] == "lock"
    assert (arguments.verbose, arguments.project, arguments.upgrade) == (True, "here", True)


@pytest.mark.parametrize(
    ("words", "ours", "program"),
    [
        ("python -c x", "", "python -c x"),
        ("--frozen python --frozen -q", "--frozen", "python --frozen -q"),
        ("--group docs python -- x", "--group docs", "python -- x"),
        ("--group=docs python", "--group=docs", "python"),
        ("-q -- python -q", "-q", "python -q"),
        ("-- --odd-program", "", "--odd-program"),
        ("-- -- x", "", "-- x"),
        ("--project .. pytest --no-sync", "--project ..", "pytest --no-sync"),
        ("--unknown python", "--unknown", "python"),
        ("- x", "", "- x"),
        ("--group", "--group", ""),
        ("", "", ""),
    ],
)
def test_options_of_the_program_are_its_own(words, ours, program):
    found = split_at_first_word(command_parser("run"), words.split())
    assert found == (ours.split(), program.split())


def test_every_command_has_a_parser_and_a_body():
    from importlib import import_module

    for name, (module_name, line) in COMMANDS.items():
        module = import_module(module_name)
        assert callable(module.execute)
        parser = command_parser(name)
        assert parser.usage.startswith("%(prog)s [options]")
        assert not line.endswith(".")
        names = parser.option_names()
        assert len(names) == len(set(names))


def test_script_and_module_are_the_same_program(envforge):
    done = envforge("--version")
    assert (done.code, done.stdout, done.stderr) == (0, f"envforge {__version__}\n", "")


def test_width_of_the_help_is_the_terminals(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    assert main(["sync", "--help"]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 60
    assert os.environ["COLUMNS"] == "60"
