"""Names that may stand in an archive."""

from __future__ import annotations

import pytest

from envforge.fetch.archive_names import find_clash, name_problem


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "a/b.py",
        "a/",
        ".hidden",
        "..a",
        "a..",
        "a/...",
        "ümlaut/日本",
        "a b",
        "ab:c",
        "con",
        "x" * 255,
        "-",
        "~",
    ],
)
def test_allowed(name: str) -> None:
    assert name_problem(name, windows=False) == ""


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("/etc/passwd", "absolute"),
        ("C:/x", "absolute"),
        ("c:x", "absolute"),
        ("//server/share", "absolute"),
        ("", "''"),
        ("/", "''"),
        ("a//b", "''"),
        ("a//", "''"),
        (".", "'.'"),
        ("a/./b", "'.'"),
        ("..", "'..'"),
        ("../a", "'..'"),
        ("a/../b", "'..'"),
        ("a/..", "'..'"),
        ("a/../", "'..'"),
        ("a\\b", "backslash"),
        ("..\\a", "backslash"),
        ("a\0b", "NUL"),
        ("x" * 256, "255"),
        ("a/" + "ü" * 128, "255"),
    ],
)
def test_refused(name: str, problem: str) -> None:
    assert problem in name_problem(name, windows=False)


@pytest.mark.parametrize("name", ["con", "a/NUL.txt", "com1", "a.", "a ", "a?b", "ab:c", 'a"b', "a|b", "a*"])
def test_refused_on_windows_only(name: str) -> None:
    assert "Windows" in name_problem(name, windows=True)
    assert name_problem(name, windows=False) == ""


@pytest.mark.parametrize("name", ["console", "a.txt", "nullable", "common1"])
def test_windows_allows_the_rest(name: str) -> None:
    assert name_problem(name, windows=True) == ""


@pytest.mark.parametrize(
    ("files", "folders", "clash"),
    [
        (["a", "b", "a/b"], [], ("a", "a")),
        (["a/b", "a"], [], ("a", "a")),
        (["a", "a"], [], ("a", "a")),
        (["Readme", "README"], [], ("README", "Readme")),
        (["a/x", "A/y"], [], ("A", "a")),
        (["p/a/x", "p/A/y"], [], ("p/A", "p/a")),
        (["a/x", "A"], [], ("A", "a")),
        (["A", "a/x"], [], ("a", "A")),
        (["caf\u00e9", "cafe\u0301"], [], ("cafe\u0301", "caf\u00e9")),
        (["stra\u00dfe", "STRASSE"], [], ("STRASSE", "stra\u00dfe")),
        (["\u212a", "k"], [], ("k", "\u212a")),
        (["a"], ["a"], ("a", "a")),
        ([], ["a/b", "A"], ("A", "a")),
        (["x/y"], ["X"], ("x", "X")),
        (["a/x", "a/y", "b/x"], ["a", "b", "c/d"], None),
        ([], [], None),
    ],
)
def test_clashes(files: list[str], folders: list[str], clash: tuple[str, str] | None) -> None:
    assert find_clash(files, folders) == clash
