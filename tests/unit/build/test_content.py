import os
from pathlib import Path

import pytest

from envforge.build.content import content_fingerprint


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for name in ("pyproject.toml", "lib/__init__.py", "lib/data/table.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


@pytest.mark.parametrize(
    "name",
    [
        "build/lib/x.py",
        "dist/x.whl",
        ".git/HEAD",
        "lib/__pycache__/x.pyc",
        "lib.egg-info/PKG-INFO",
        ".venv/x",
    ],
)
def test_what_tools_leave_behind_does_not_count(source: Path, name: str) -> None:
    before = content_fingerprint(source)
    (source / name).parent.mkdir(parents=True)
    (source / name).write_text("x")
    assert content_fingerprint(source) == before


def test_an_environment_under_any_name_does_not_count(source: Path) -> None:
    before = content_fingerprint(source)
    (source / "env").mkdir()
    (source / "env" / "pyvenv.cfg").write_text("")
    assert content_fingerprint(source) == before


@pytest.mark.parametrize("name", ["lib/new.py", "build/__init__.py", "lib/build/x.py", "LICENSE"])
def test_a_new_file_counts(source: Path, name: str) -> None:
    before = content_fingerprint(source)
    (source / name).parent.mkdir(parents=True, exist_ok=True)
    (source / name).write_text("x")
    assert content_fingerprint(source) != before


@pytest.mark.skipif(os.name == "nt", reason="no modes there")
def test_content_name_and_mode_count_and_time_does_not(source: Path) -> None:
    file = source / "lib" / "data" / "table.csv"
    before = content_fingerprint(source)
    os.utime(file, (1, 1))
    assert content_fingerprint(source) == before
    file.write_text("lib/data/tablE.csv")
    changed = content_fingerprint(source)
    file.chmod(0o755)
    executable = content_fingerprint(source)
    file.rename(file.with_name("other.csv"))
    assert len({before, changed, executable, content_fingerprint(source)}) == 4
