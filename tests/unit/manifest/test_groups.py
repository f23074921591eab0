from __future__ import annotations

import pytest

from envforge.manifest.parse import parse_manifest

HEAD = '[project]\nname = "x"\n[dependency-groups]\n'


def groups_of(body: str) -> dict[str, list[str]]:
    groups = parse_manifest(f"{HEAD}{body}\n").groups
    return {name: [entry.text for entry in entries] for name, entries in groups.items()}


def test_includes_are_expanded_in_their_place(read_corpus):
    groups = parse_manifest(read_corpus("training")).groups
    assert [entry.text for entry in groups["dev"]] == ["ruff", "mypy", "pytest>=8", "pytest-cov", "ipython"]
    assert groups["dev"][2].where == "dependency-groups.test[0]"


def test_what_is_included_twice_is_there_once():
    body = 'a = ["p"]\nb = [{include-group = "a"}]\nc = [{include-group = "a"}, {include-group = "b"}, "q"]'
    assert groups_of(body)["c"] == ["p", "q"]


def test_names_are_normalized_in_tables_and_includes():
    assert groups_of('Dev_Tools = ["p"]\nall = [{include-group = "dev.tools"}]') == {
        "dev-tools": ["p"],
        "all": ["p"],
    }


@pytest.mark.parametrize(
    ("body", "message", "hint"),
    [
        ('a = [{include-group = "a"}]', "groups.a[0]: groups include each other: a → a", "remove one"),
        (
            'z = [{include-group = "a"}]\na = ["p", {include-group = "b"}]\nb = [{include-group = "a"}]',
            "pyproject.toml:5: dependency-groups.a[1]: groups include each other: a → b → a",
            "remove one",
        ),
        (
            'dev = [{include-group = "tets"}]\ntest = []',
            "dev[0]: there is no group 'tets'",
            "did you mean test?",
        ),
        ("dev = [{path = '.'}]", "dependency-groups.dev[0]: is a table that cannot stand", "include-group"),
        (
            "dev = [{include-group = 1}]",
            "dependency-groups.dev[0]: is a table that cannot stand",
            "include-group",
        ),
        ("dev = ['']", "dependency-groups.dev[0]: is empty", "write a requirement"),
        ("dev = 'pytest'", "dependency-groups.dev: is a text, not a list", '["pytest>=8"]'),
        ("Dev = []\ndev = []", "dependency-groups.dev: is the same group as 'Dev'", "put both into one"),
        ('"-dev" = []', "dependency-groups.-dev: '-dev' is no name for a group", "letter or digit first"),
    ],
)
def test_what_cannot_be_meant_is_refused(body, message, hint, error_lines):
    lines = error_lines(groups_of, body)
    assert len(lines) == 2, lines
    assert message in lines[0]
    assert hint in lines[1]


def test_a_cycle_is_told_once_and_other_faults_beside_it(error_lines):
    body = 'a = [{include-group = "b"}]\nb = [{include-group = "a"}]\nc = [1]'
    lines = error_lines(groups_of, body)
    assert lines[0] == "pyproject.toml has 2 faults"
    assert sum("include each other" in line for line in lines) == 1
