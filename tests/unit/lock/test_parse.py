"""Every way in which a lock can be broken is told with its place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from envforge.errors import LockError
from envforge.lock.parse import LockConflictError, has_conflict_markers, parse_lock
from envforge.lock.write import format_lock

from support.locks import simple_lock

LOCK = simple_lock({"numpy": "2.5.0", "torch": "2.15.0"})
TEXT = format_lock(LOCK)


def broken(*path: str | int, value: Any = None, delete: bool = False) -> str:
    """The lock's text with one place changed."""
    document = json.loads(TEXT)
    place = document
    for key in path[:-1]:
        place = place[key]
    if delete:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return json.dumps(document)


def faults(text: str) -> tuple[str, ...]:
    with pytest.raises(LockError) as caught:
        parse_lock(text)
    assert caught.value.message == "envforge.lock is damaged"
    assert caught.value.hints[0] == "restore it: git checkout -- envforge.lock"
    return caught.value.context


def test_reads_what_was_written():
    assert parse_lock(TEXT) == LOCK


def test_windows_line_ends_change_nothing():
    assert parse_lock(TEXT.replace("\n", "\r\n")) == LOCK


def test_unknown_keys_are_passed_over():
    assert parse_lock(broken("comment", value="from a later 1.x")) == LOCK


@pytest.mark.parametrize(
    ("text", "message", "context"),
    [
        ("", "is not JSON", "line 1 column 1"),
        ("{", "is not JSON", "line 1 column 2"),
        (TEXT[: len(TEXT) // 2], "is not JSON", "line "),
        ('{\n "version": 1,\n oops\n}', "is not JSON", "line 3 column 2"),
        ("\ufeff{}", "is not JSON", "BOM"),
        ("[]", "is not a lock", "has to be an object"),
        ("null", "is not a lock", "has to be an object"),
        ("[" * 200_000, "is not a lock", "nested too deeply"),
        ('{"inputs": "\\ud800"}', "is not JSON", "surrogates not allowed"),
    ],
)
def test_what_is_no_lock_at_all(text: str, message: str, context: str):
    with pytest.raises(LockError) as caught:
        parse_lock(text, "sub/envforge.lock")
    assert caught.value.message == f"sub/envforge.lock {message}"
    assert context in caught.value.context[0]
    assert "sub/envforge.lock" in caught.value.hints[0]


def test_a_newer_format_is_told_before_its_shape_is_looked_at():
    with pytest.raises(LockError, match="written by a newer envforge") as caught:
        parse_lock('{"version": 4, "packages": []}')
    assert caught.value.context == ("it has format 4, this envforge knows 3",)
    assert caught.value.hints == ("upgrade envforge",)


@pytest.mark.parametrize("version", [0, -1, True, 1.0, "1", None, [1]])
def test_a_version_that_never_was(version: Any):
    assert faults(broken("version", value=version)) == ("version: has to be 1, 2 or 3",)


NUMPY = ("packages", "numpy")
FILE = (*NUMPY, "files", 0)
SYSTEM = ("targets", 0, "system")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("inputs",), "inputs: is missing"),
        (("targets",), "targets: is missing"),
        (("packages",), "packages: is missing"),
        (("version",), "version: has to be 1, 2 or 3"),
        (("indexes", 0, "url"), "indexes[0].url: is missing"),
        (("targets", 1, "platform"), "targets[1].platform: is missing"),
        (("targets", 1, "python"), "targets[1].python: is missing"),
        (("targets", 0, "groups"), "targets[0].groups: is missing"),
        (SYSTEM, "targets[0].system: is missing"),
        ((*SYSTEM, "glibc"), "targets[0].system.glibc: is missing"),
        ((*NUMPY, "name"), "packages.numpy.name: is missing"),
        ((*NUMPY, "version"), "packages.numpy.version: is missing"),
        ((*NUMPY, "files"), "targets.osx-arm64.groups.project: no file of numpy is for osx-arm64"),
        ((*FILE, "url"), "packages.numpy.files[0].url: is missing"),
        ((*FILE, "sha256"), "packages.numpy.files[0].sha256: is missing"),
        ((*FILE, "targets"), "packages.numpy.files[0].targets: names no target"),
    ],
)
def test_what_is_missing_is_named(path: tuple[str | int, ...], expected: str):
    assert expected in faults(broken(*path, delete=True))


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (("inputs",), 7, "inputs: has to be a text"),
        (("exclude-newer",), 20261101, "exclude-newer: has to be a text"),
        (("indexes",), {}, "indexes: has to be a list of objects"),
        (("indexes", 0), "pypi", "indexes: has to be a list of objects"),
        (("targets",), [1], "targets: has to be a list of objects"),
        (("targets", 0, "platform"), "amiga-68k", "targets[0].platform: unknown platform 'amiga-68k'"),
        (("targets", 0, "python"), "three", "targets[0].python: 'three' is no version such as 3.12"),
        (("targets", 0, "python"), "3.१", "targets[0].python: '3.१' is no version such as 3.12"),
        ((*SYSTEM, "glibc"), "2", "targets[0].system.glibc: '2' is no version such as 2.28"),
        ((*SYSTEM, "macos"), 13.0, "targets[0].system.macos: 13.0 is no version such as 2.28"),
        ((*SYSTEM, "macos"), "1." + "9" * 5000, None),
        (("targets", 0, "groups"), [], "targets[0].groups: has to be an object"),
        (
            ("targets", 0, "groups", "project"),
            "numpy",
            "targets[0].groups.project: has to be a list of texts",
        ),
        (("packages",), [], "packages: has to be an object"),
        (NUMPY, "2.5.0", "packages.numpy: has to be an object"),
        ((*NUMPY, "version"), 2.5, "packages.numpy.version: has to be a text"),
        ((*NUMPY, "requires"), {"a": 1}, "packages.numpy.requires: has to be a list of texts"),
        ((*NUMPY, "requires"), ["a", 1], "packages.numpy.requires: has to be a list of texts"),
        ((*NUMPY, "files"), "x", "packages.numpy.files: has to be a list of objects"),
        ((*FILE, "size"), -1, "packages.numpy.files[0].size: has to be a number of bytes"),
        ((*FILE, "size"), True, "packages.numpy.files[0].size: has to be a number of bytes"),
        ((*FILE, "size"), 1.5, "packages.numpy.files[0].size: has to be a number of bytes"),
        ((*FILE, "size"), float("nan"), "packages.numpy.files[0].size: has to be a number of bytes"),
    ],
)
def test_what_has_the_wrong_shape_is_named(path: tuple[str | int, ...], value: Any, expected: str | None):
    found = faults(broken(*path, value=value))
    assert expected is None or expected in found


def test_a_key_that_is_there_twice():
    text = TEXT.replace('"torch": {', '"numpy": {')
    assert text != TEXT
    assert faults(text) == ("the key 'numpy' is there twice",)


def test_faults_are_collected_and_cut():
    document = json.loads(TEXT)
    for number in range(20):
        document["packages"][f"p{number:02}"] = {}
    found = faults(json.dumps(document))
    assert found[0] == "packages.p00.name: is missing"
    assert len(found) == 11
    assert found[-1] == "… and 30 more"


@pytest.mark.parametrize(
    "line",
    ["<<<<<<< HEAD", "=======", ">>>>>>> add-torch", "||||||| 1a2b3c", "<<<<<<<", ">>>>>>> theirs\r"],
)
def test_conflict_markers_are_a_failure_of_their_own(line: str):
    first, rest = TEXT.split("\n", 1)
    text = f"{first}\n{line}\n{rest}\n======="
    assert has_conflict_markers(text)
    with pytest.raises(LockConflictError, match="has git conflict markers") as caught:
        parse_lock(text)
    assert caught.value.code == "lock"
    assert caught.value.hints == ("run: envforge lock",)


def test_marker_like_text_in_a_value_is_no_conflict():
    assert parse_lock(broken("inputs", value="<<<<<<< ======= >>>>>>>")).inputs.startswith("<<<")
    assert not has_conflict_markers("<<<<<<<<< nine\n========\n")


def test_no_hundred_thousand_faults_are_shown_for_a_hostile_file():
    text = broken("packages", value={f"x{number}": 1 for number in range(10_000)})
    assert len(faults(text)) == 11
