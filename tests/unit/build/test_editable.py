from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest

from envforge.build.editable import editable_fingerprint, record_origin

from support.distributions import make_wheel

PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
backend-path = ["_build"]

[project]
name = "app"
version = "1.0"
readme = "README.md"
dependencies = ["numpy"]

[tool.hatch.build.targets.wheel]
packages = ["src/app"]

[tool.ruff]
line-length = 100

[tool.envforge]
python = "3.12"
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    source = tmp_path / "app"
    for folder in ("src/app", "_build"):
        (source / folder).mkdir(parents=True)
    (source / "pyproject.toml").write_text(PYPROJECT)
    (source / "README.md").write_text("an app")
    (source / "src" / "app" / "__init__.py").write_text("")
    (source / "_build" / "backend.py").write_text("")
    return source


def edit(name: str, old: str, new: str) -> Callable[[Path], object]:
    def change(source: Path) -> None:
        text = (source / name).read_text()
        assert old in text
        (source / name).write_text(text.replace(old, new))

    return change


def write(name: str, text: str = "") -> Callable[[Path], object]:
    def change(source: Path) -> None:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text)

    return change


def remove(name: str) -> Callable[[Path], object]:
    return lambda source: (source / name).unlink()


@pytest.mark.parametrize(
    "change",
    [
        edit("pyproject.toml", '"1.0"', '"1.1"'),
        edit("pyproject.toml", "numpy", "numpy>=2"),
        edit("pyproject.toml", '"hatchling"', '"hatchling>=1.26"'),
        edit("pyproject.toml", "src/app", "src/other"),
        write("setup.py"),
        write("setup.cfg", "[metadata]"),
        write("README.md", "a better app"),
        remove("README.md"),
        write("src/other/__init__.py"),
        write("src/module.py"),
        write("flat/__init__.py"),
        write("_build/backend.py", "# new"),
        write("_build/more.py"),
        write("pyproject.toml", "broken ["),
        remove("pyproject.toml"),
    ],
)
def test_what_changes_it(source: Path, change: Callable[[Path], object]) -> None:
    before = editable_fingerprint(source)
    change(source)
    assert editable_fingerprint(source) != before


@pytest.mark.parametrize(
    "change",
    [
        edit("pyproject.toml", "line-length = 100", "line-length = 88"),
        edit("pyproject.toml", 'python = "3.12"', 'python = "3.13"'),
        edit("pyproject.toml", "[project]", "# a comment\n[project]"),
        write("src/app/__init__.py", "code = 1"),
        write("src/app/new.py"),
        write("src/app.egg-info/PKG-INFO"),
        write("data/file.txt"),
        write("src/__pycache__/x.pyc"),
        write(".git/HEAD"),
    ],
)
def test_what_does_not(source: Path, change: Callable[[Path], object]) -> None:
    before = editable_fingerprint(source)
    change(source)
    assert editable_fingerprint(source) == before


def test_it_belongs_to_a_place(source: Path, tmp_path: Path) -> None:
    before = editable_fingerprint(source)
    (tmp_path / "route").symlink_to(source)
    assert editable_fingerprint(tmp_path / "route") == before
    moved = source.rename(tmp_path / "moved")
    assert editable_fingerprint(moved) != before


@pytest.mark.parametrize(
    "text",
    [
        "",
        "project = 1",
        "[build-system]\nbackend-path = 3",
        "[build-system]\nbackend-path = ['..', 3]",
        "tool = 3",
        "[project]\nreadme = 3",
        "[project]\nreadme = {file = 'README.md'}",
        "[project]\nreadme = '.'",
        "x = 2026-01-01",
    ],
)
def test_strange_projects_have_one_too(source: Path, text: str) -> None:
    (source / "pyproject.toml").write_text(text)
    assert len(editable_fingerprint(source)) == 64


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert len(editable_fingerprint(tmp_path / "absent")) == 64


def test_names_that_are_no_text(source: Path) -> None:
    os.mkdir(os.fsencode(source / "src") + b"/\xff")
    assert len(editable_fingerprint(source)) == 64


def test_the_wheel_says_where_it_comes_from(tmp_path: Path) -> None:
    source = tmp_path / "pro ject"
    source.mkdir()
    wheel = tmp_path / "app-1.0-py3-none-any.whl"
    wheel.write_bytes(make_wheel("app").content)
    with ZipFile(wheel) as archive:
        before = {name: archive.read(name) for name in archive.namelist()}
    for _ in range(2):  # a backend may have written one
        record_origin(wheel, source, editable=True)
    with ZipFile(wheel) as archive:
        after = {name: archive.read(name) for name in archive.namelist()}
        assert len(archive.namelist()) == len(after)
    told, record = (f"app-1.0.dist-info/{name}" for name in ("direct_url.json", "RECORD"))
    origin = json.loads(after.pop(told))
    assert origin == {
        "url": (tmp_path / "pro%20ject").as_uri().replace("%25", "%"),
        "dir_info": {"editable": True},
    }
    rows = after.pop(record).decode().splitlines()
    assert rows[:-1] == before.pop(record).decode().splitlines()
    assert rows[-1].startswith(f"{told},sha256=")
    assert after == before
    assert list(tmp_path.glob("*.new")) == []
