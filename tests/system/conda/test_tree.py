"""``envforge tree`` and ``why`` across both worlds, from a lock alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from envforge.cli import main
from envforge.lock.write import format_lock
from envforge.manifest.digest import inputs_digest
from envforge.manifest.parse import parse_manifest

from support.locks import conda_python, conda_record, lock_of, pin, resolution

MANIFEST = """\
[project]
name = "p"
dependencies = ["pandas>=2"]

[dependency-groups]
dev = ["six"]

[tool.envforge]
platforms = ["linux-64"]

[tool.envforge.conda-dependencies]
ffmpeg = ">=7"
cudnn = { version = "*", platforms = ["linux-64"] }
"""
RECORDS = [
    conda_python(depends=["libzlib >=1.3,<2.0a0"]),
    conda_record("libzlib", "1.3.1"),
    conda_record("numpy", "2.1.0", ["python >=3.12", "libzlib"], pypi="numpy"),
    conda_record("ffmpeg", "7.1", ["libzlib"]),
    conda_record("cudnn", "9.5"),
]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pins = [pin("pandas", "2.2.3", ["numpy>=1.26"]), pin("six", "1.17.0")]
    groups = {"project": ["pandas"], "group:dev": ["six"]}
    lock = lock_of(
        resolution("linux-64", pins, groups=groups, conda=RECORDS),
        inputs=inputs_digest(parse_manifest(MANIFEST)),
    )
    (tmp_path / "pyproject.toml").write_text(MANIFEST)
    (tmp_path / "envforge.lock").write_text(format_lock(lock))
    monkeypatch.chdir(tmp_path)


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main([*words, "--platform", "linux-64"]) == 0
    return capsys.readouterr().out.replace("├──", "|--").replace("└──", "`--").replace("│", "|")


def test_the_tree_goes_from_one_world_into_the_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, "tree").splitlines() == [
        "conda:cudnn 9.5 [cudnn]",
        "conda:ffmpeg 7.1 [ffmpeg >=7]",
        "`-- conda:libzlib 1.3.1 [libzlib]",
        "conda:python 3.12.8 [python 3.12.*]",
        "`-- conda:libzlib 1.3.1 [libzlib >=1.3,<2.0a0]",
        "pandas 2.2.3 [pandas>=2]",
        "`-- conda:numpy 2.1.0 [numpy>=1.26]",
        "    |-- conda:libzlib 1.3.1 [libzlib]",
        "    `-- conda:python 3.12.8 [python >=3.12] (*)",
        "six 1.17.0 [six]",
    ]


def test_conda_dependencies_are_in_no_group(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, "tree", "--group", "dev") == "six 1.17.0 [six]\n"
    assert shown(capsys, "tree", "--group", "project", "--depth", "2").splitlines() == [
        "pandas 2.2.3 [pandas>=2]",
        "`-- conda:numpy 2.1.0 [numpy>=1.26]",
    ]


@pytest.mark.parametrize("name", ["libzlib", "conda:libzlib", "LibZlib"])
def test_upwards(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert shown(capsys, "tree", "--invert", name).splitlines() == [
        "conda:libzlib 1.3.1",
        "|-- conda:ffmpeg 7.1 [libzlib]",
        "|-- conda:numpy 2.1.0 [libzlib]",
        "|   `-- pandas 2.2.3 [numpy>=1.26]",
        "`-- conda:python 3.12.8 [libzlib >=1.3,<2.0a0]",
        "    `-- conda:numpy 2.1.0 [python >=3.12] (*)",
    ]


def test_why(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, "why", "libzlib").replace(" -> ", " → ").splitlines()
    assert lines == [
        "conda:libzlib 1.3.1 (linux-64 · Python 3.12.8)",
        "  your project → conda:ffmpeg 7.1 (ffmpeg >=7) → conda:libzlib 1.3.1 (libzlib)",
        "  your project → conda:python 3.12.8 (python 3.12.*) → conda:libzlib 1.3.1 (libzlib >=1.3,<2.0a0)",
        "  your project → pandas 2.2.3 (pandas>=2) → conda:numpy 2.1.0 (numpy>=1.26)"
        " → conda:libzlib 1.3.1 (libzlib)",
    ]


def test_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    document: dict[str, Any] = json.loads(shown(capsys, "why", "--json", "numpy"))
    assert document["name"] == "conda:numpy"
    assert document["chains"] == [
        ["your project", "pandas>=2", "pandas 2.2.3", "numpy>=1.26", "conda:numpy 2.1.0"]
    ]
    roots = json.loads(shown(capsys, "tree", "--json"))["roots"]
    assert [root["name"] for root in roots] == [
        "conda:cudnn",
        "conda:ffmpeg",
        "conda:python",
        "pandas",
        "six",
    ]


def test_a_package_that_is_in_neither_world(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["why", "libzlip", "--platform", "linux-64"]) == 1
    assert "hint: did you mean libzlib?" in capsys.readouterr().err
