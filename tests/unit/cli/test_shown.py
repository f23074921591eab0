"""What commands show of the reports that workflows return, to people and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from envforge.cli.changes import changes_text, say_lock_diff, say_sync, sync_document
from envforge.cli.commands.change_options import show_change
from envforge.cli.commands.lock import _instant
from envforge.cli.commands.tree import tree_lines
from envforge.cli.commands.why import _steps
from envforge.cli.formats import (
    count,
    fold_table,
    format_age,
    format_duration,
    format_size,
    format_table,
    parse_size,
)
from envforge.cli.output import Output
from envforge.errors import UsageError
from envforge.lock.diff import LockDiff, PackageDiff, PythonDiff


def sync_report(*changes: tuple[str, ...], **more: object):
    from envforge.workflows.sync_report import PackageChange, SyncReport

    names = ("name", "old", "new", "ecosystem")
    told = tuple(PackageChange(**dict(zip(names, change, strict=False))) for change in changes)
    facts = {"generation": Path("/tier/envs/p/1"), "python": "3.12.4", "package_count": 175, **more}
    return SyncReport(venv=Path("/p/.venv"), changes=told, **facts)  # type: ignore[arg-type]


CHANGES = [("a", "", "1"), ("b", "1", ""), ("c", "1", "2"), ("d", "", "3", "conda")]


def test_a_sync(capsys):
    output = Output({})
    say_sync(output, sync_report(*CHANGES), 0.213)
    assert capsys.readouterr().err.splitlines() == [
        "Synced 175 packages in 0.21 s (2 added, 1 removed, 1 changed)",
        "+ a 1",
        "- b 1",
        "~ c 1 → 2",
        "+ d 3 (conda)",
    ]


def test_a_dry_run(capsys):
    output = Output({})
    say_sync(output, sync_report(("a", "", "1"), dry_run=True), 0.2)
    assert capsys.readouterr().err == "Would sync 175 packages (1 added)\n+ a 1\n"


def test_nothing_to_sync(capsys):
    output = Output({})
    say_sync(output, sync_report(changed=False), 0.2)
    assert capsys.readouterr().err == "Environment is up to date\n"


def test_another_generation_with_the_same_packages(capsys):
    """Such as after a change of the link mode, or of the interpreter."""
    output = Output({})
    say_sync(output, sync_report(), 1.26)
    assert capsys.readouterr().err == "Synced 175 packages in 1.3 s\n"


@pytest.mark.parametrize(("verbose", "lines"), [(False, 1 + 20 + 1), (True, 1 + 60)])
def test_a_long_list_is_cut_unless_asked_for(capsys, verbose, lines):
    output = Output({})
    output.verbose = verbose
    say_sync(output, sync_report(*[(f"p{number}", "", "1") for number in range(60)]), 0.2)
    shown = capsys.readouterr().err.splitlines()
    assert len(shown) == lines
    assert (shown[-1] == "… and 40 more (-v shows all)") != verbose


def test_a_list_of_twenty_is_not_cut(capsys):
    output = Output({})
    say_sync(output, sync_report(*[(f"p{number}", "", "1") for number in range(20)]), 0.2)
    assert len(capsys.readouterr().err.splitlines()) == 21


def test_a_sync_as_json():
    document = json.loads(json.dumps(sync_document(sync_report(*CHANGES, fetched_count=2))))
    assert document == {
        "venv": "/p/.venv",
        "generation": "/tier/envs/p/1",
        "python": "3.12.4",
        "package_count": 175,
        "changes": [
            {"name": "a", "old": None, "new": "1", "ecosystem": "pypi"},
            {"name": "b", "old": "1", "new": None, "ecosystem": "pypi"},
            {"name": "c", "old": "1", "new": "2", "ecosystem": "pypi"},
            {"name": "d", "old": None, "new": "3", "ecosystem": "conda"},
        ],
        "fetched_count": 2,
        "locked": False,
        "changed": True,
        "dry_run": False,
        "variant": None,
        "variant_reason": None,
        "repaired": False,
        "room": [],
    }


def test_no_changes_have_no_text():
    assert changes_text([]) == ""


DIFF = LockDiff(
    packages=(
        PackageDiff(name="numpy", old=("1.26.4",), new=("1.26.4", "2.5.0")),
        PackageDiff(name="six", old=("1.16.0",), new=()),
        PackageDiff(name="torch", old=(), new=("2.9.0",)),
    ),
    conda=(PackageDiff(name="ffmpeg", old=("7.1 h1_0",), new=("7.1 h2_1",), targets=("linux-64",)),),
    targets_added=("osx-arm64 · Python 3.12",),
    pythons=(PythonDiff(target="linux-64", old="3.12", new="3.12.8"),),
)
DIFF_LINES = [
    "~ numpy 1.26.4 → 1.26.4, 2.5.0",
    "- six 1.16.0",
    "+ torch 2.9.0",
    "~ ffmpeg 7.1 h1_0 → 7.1 h2_1 (conda) (linux-64 only)",
    "~ target linux-64 · Python 3.12 → 3.12.8",
    "+ target osx-arm64 · Python 3.12",
]


def test_the_difference_of_locks(capsys):
    output = Output({})
    say_lock_diff(output, DIFF)
    assert capsys.readouterr().err.splitlines() == DIFF_LINES


def change_report(*, synced: bool):
    from envforge.workflows.change import ChangeReport

    return ChangeReport(
        recorded=("torch>=2.9", "numpy"),
        where="project.dependencies",
        manifest="pyproject.toml",
        diff=DIFF,
        sync=sync_report(("torch", "", "2.9.0")) if synced else None,
    )


def test_an_addition(capsys):
    output = Output({})
    show_change(output, change_report(synced=True), verb="Added {} to", key="added", duration_s=3)
    assert capsys.readouterr().err.splitlines() == [
        "Added torch>=2.9, numpy to project.dependencies",
        "Synced 175 packages in 3.0 s (1 added)",
        "+ torch 2.9.0",
    ]


def test_an_addition_without_sync_shows_the_lock(capsys):
    output = Output({})
    show_change(output, change_report(synced=False), verb="Added {} to", key="added", duration_s=3)
    assert capsys.readouterr().err.splitlines()[1:] == DIFF_LINES


@pytest.mark.parametrize("synced", [True, False])
def test_an_addition_as_json(capsys, synced):
    output = Output({})
    output.json = True
    show_change(output, change_report(synced=synced), verb="Added {} to", key="added", duration_s=3)
    document = json.loads(capsys.readouterr().out)
    assert document["added"] == ["torch>=2.9", "numpy"]
    assert document["where"] == "project.dependencies"
    assert document["diff"] == {
        "packages": [
            {"name": "numpy", "old": ["1.26.4"], "new": ["1.26.4", "2.5.0"], "targets": []},
            {"name": "six", "old": ["1.16.0"], "new": [], "targets": []},
            {"name": "torch", "old": [], "new": ["2.9.0"], "targets": []},
        ],
        "conda": [{"name": "ffmpeg", "old": ["7.1 h1_0"], "new": ["7.1 h2_1"], "targets": ["linux-64"]}],
        "targets_added": ["osx-arm64 · Python 3.12"],
        "targets_removed": [],
        "pythons": [{"target": "linux-64", "old": "3.12", "new": "3.12.8"}],
    }
    assert (document["sync"] is not None) == synced
    assert set(document) == {"added", "where", "manifest", "diff", "sync", "warnings"}


def tree_report():
    from envforge.workflows.tree import TreeNode, TreeReport

    def node(
        name: str, version: str, requirement: str, *children: TreeNode, repeated: bool = False
    ) -> TreeNode:
        return TreeNode(
            name=name, version=version, requirement=requirement, children=children, repeated=repeated
        )

    numpy = node("numpy", "2.5.0", "numpy>=1.26")
    return TreeReport(
        target="linux-64 · Python 3.12",
        roots=(
            node("pandas", "2.3.0", "pandas", numpy, node("six", "1.17.0", "six>=1.5")),
            node(
                "torch", "2.9.0", "torch>=2.9", node("sympy", "1.14.0", "sympy", node("mpmath", "1.3.0", ""))
            ),
            node("lightning", "2.6.0", "lightning", node("torch", "2.9.0", "torch", repeated=True)),
        ),
    )


def test_a_tree():
    output = Output({})
    assert [*tree_lines(tree_report(), output)] == [
        "pandas 2.3.0 [pandas]",
        "├── numpy 2.5.0 [numpy>=1.26]",
        "└── six 1.17.0 [six>=1.5]",
        "torch 2.9.0 [torch>=2.9]",
        "└── sympy 1.14.0 [sympy]",
        "    └── mpmath 1.3.0",
        "lightning 2.6.0 [lightning]",
        "└── torch 2.9.0 [torch] (*)",
    ]


def test_a_tree_where_lines_cannot_be_drawn(monkeypatch):
    import io
    import sys

    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    lines = [*tree_lines(tree_report(), Output({}))]
    assert lines[1:3] == ["|-- numpy 2.5.0 [numpy>=1.26]", "`-- six 1.17.0 [six>=1.5]"]
    assert all(line.isascii() for line in lines)


def test_a_chain():
    chain = ("your project", "torch>=2", "torch 2.15.0", "sympy", "sympy 1.14.0")
    assert [*_steps(chain)] == ["your project", "torch 2.15.0 (torch>=2)", "sympy 1.14.0 (sympy)"]


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("", ""),
        ("2026-11-01", "2026-11-01T00:00:00Z"),
        ("7 days", "P7D"),
        ("2026-11-01T12:30:00", "2026-11-01T12:30:00Z"),
        ("2026-11-01T12:30:00Z", "2026-11-01T12:30:00Z"),
        ("2026-11-01T12:30:00+02:00", "2026-11-01T10:30:00Z"),
    ],
)
def test_instants(text, instant):
    assert _instant(text) == instant


@pytest.mark.parametrize("text", ["7m", "yesterday", "2026-13-01", "01.11.2026", " "])
def test_what_is_no_date(text):
    with pytest.raises(UsageError, match="is no date"):
        _instant(text)


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [
        (0, "0 ms"),
        (0.0123, "12 ms"),
        (0.0994, "99 ms"),
        (0.0996, "0.10 s"),
        (0.213, "0.21 s"),
        (0.996, "1.0 s"),
        (1.26, "1.3 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (125, "2 min 5 s"),
    ],
)
def test_durations(duration_s, text):
    assert format_duration(duration_s) == text


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (9_960, "10 kB"),
        (999_600, "1.0 MB"),
        (63_000_000, "63 MB"),
        (3_210_000_000, "3.2 GB"),
        (2_500_000_000_000, "2.5 TB"),
    ],
)
def test_sizes(size_bytes, text):
    assert format_size(size_bytes) == text


def test_counts():
    assert [count(number, "file") for number in (0, 1, 2, 43_000)] == [
        "0 files",
        "1 file",
        "2 files",
        "43,000 files",
    ]


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("40G", 40_000_000_000),
        ("500M", 500_000_000),
        ("1.5T", 1_500_000_000_000),
        ("1.5 tb", 1_500_000_000_000),
        ("20GiB", 20 * 1024**3),
        ("64k", 64_000),
        ("0", 0),
        ("12b", 12),
        ("", None),
        ("G", None),
        ("-1G", None),
        ("1,5G", None),
        ("40 gigs", None),
        ("1e9", None),
        ("٤G", None),
    ],
)
def test_sizes_on_the_command_line(text, size_bytes):
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize(
    ("age_s", "shown"),
    [
        (0, "now"),
        (-5, "now"),
        (59, "now"),
        (60, "1 minute"),
        (7300, "2 hours"),
        (90000, "1 day"),
        (9e6, "104 days"),
    ],
)
def test_ages(age_s, shown):
    assert format_age(age_s) == shown


def test_a_table():
    rows = [("name", "size", ""), ("a", "5 B", ""), ("longer", "63 MB", "x")]
    assert format_table(rows, right=(1,)) == ["name     size", "a         5 B", "longer  63 MB  x"]


def test_a_table_that_is_too_wide():
    rows = [("name", "kind", "size"), ("a", "tree", "5 B"), ("longer", "x", "63 MB")]
    assert fold_table(rows, 0, right=(2,)) == [format_table(rows, right=(2,))]
    assert fold_table(rows, 19, right=(2,)) == [format_table(rows, right=(2,))]
    assert fold_table(rows, 18, right=(2,)) == [
        ["name    kind", "a       tree", "longer  x"],
        ["name     size", "a         5 B", "longer  63 MB"],
    ]
    more = [("name", "a", "b", "c"), ("x", "1", "2", "3")]
    assert [table[0] for table in fold_table(more, 12, seam=2)] == ["name  a", "name  b  c"]
    assert [table[0] for table in fold_table(more, 13, seam=2)] == ["name  a  b  c"]
    # what does not fit at all is whole all the same
    assert [len(table) for table in fold_table(rows, 5)] == [3, 3]
