from __future__ import annotations

from pathlib import Path

import pytest

from envforge.build.source import LEGACY_BACKEND, BuildSystem, parse_build_system, read_build_system
from envforge.errors import BuildError

LEGACY = BuildSystem(requires=("setuptools>=40.8.0",), backend="setuptools.build_meta:__legacy__")


def test_a_whole_table() -> None:
    content = b"""
    [build-system]
    requires = ["hatchling>=1.26", "hatch-vcs; python_version >= '3.8'"]
    build-backend = "hatchling.build"
    backend-path = [".", "tools/build"]
    """
    assert parse_build_system(content) == BuildSystem(
        requires=("hatchling>=1.26", "hatch-vcs; python_version >= '3.8'"),
        backend="hatchling.build",
        backend_path=(".", "tools/build"),
    )


@pytest.mark.parametrize("content", [b"", b"[project]\nname = 'x'", b"[tool.x]"])
def test_without_a_table_it_is_setuptools(content: bytes) -> None:
    assert parse_build_system(content) == LEGACY


def test_without_a_backend_it_is_setuptools_with_the_named_requirements() -> None:
    system = parse_build_system(b"[build-system]\nrequires = ['setuptools', 'wheel']")
    assert system == BuildSystem(requires=("setuptools", "wheel"), backend=LEGACY_BACKEND)


def test_a_setup_py_alone_is_a_project(tmp_path: Path) -> None:
    (tmp_path / "setup.py").write_text("")
    assert read_build_system(tmp_path) == LEGACY


def test_an_empty_folder_is_none(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"neither a pyproject\.toml nor a setup\.py"):
        read_build_system(tmp_path)
    with pytest.raises(BuildError):
        read_build_system(tmp_path / "absent")


def test_a_pyproject_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").mkdir()
    with pytest.raises(BuildError, match="cannot be read"):
        read_build_system(tmp_path)


@pytest.mark.parametrize("content", [b"[build-system", b"\xff\xfe", b"a = 1\na = 2"])
def test_what_is_not_toml(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_bytes(content)
    with pytest.raises(BuildError, match="not valid TOML") as caught:
        read_build_system(tmp_path)
    assert str(tmp_path / "pyproject.toml") in caught.value.message


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ("build-system = 3", "has to be a table"),
        ("[build-system]\nbuild-backend = 'x'", "requires is missing"),
        ("[build-system]\nrequires = 'x'", "requires has to be a list of texts"),
        ("[build-system]\nrequires = [1]", "requires has to be a list of texts"),
        ("[build-system]\nrequires = ['ok', '>=1']", "requires[1]: '>=1' is not a requirement"),
        ("[build-system]\nrequires = []\nbuild-backend = 3", "build-backend has to be"),
        ("[build-system]\nrequires = []\nbuild-backend = 'a b'", "not 'a b'"),
        ("[build-system]\nrequires = []\nbuild-backend = 'a:'", "not 'a:'"),
        ("[build-system]\nrequires = []\nbuild-backend = ''", "not ''"),
        ("[build-system]\nrequires = []\nbackend-path = ['.']", "of no use without build-backend"),
        ("[build-system]\nrequires = []\nbuild-backend = 'x'\nbackend-path = '.'", "list of texts"),
        ("[build-system]\nrequires = []\nbuild-backend = 'x'\nbackend-path = ['/etc']", "inside the source"),
        ("[build-system]\nrequires = []\nbuild-backend = 'x'\nbackend-path = ['..']", "inside the source"),
        ("[build-system]\nrequires = []\nbuild-backend = 'x'\nbackend-path = ['a/../..']", "inside"),
        ("[build-system]\nrequires = []\nbuild-backend = 'x'\nbackend-path = ['a\\..\\..']", "inside"),
        ("[build-system]\nrequires = []\nbuild-backend = 'x'\nbackend-path = ['C:\\x']", "inside"),
    ],
)
def test_broken_tables(table: str, fault: str) -> None:
    with pytest.raises(BuildError) as caught:
        parse_build_system(table.encode(), "some/pyproject.toml")
    assert fault in "\n".join(caught.value.context)
    assert "some/pyproject.toml" in caught.value.message


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(BuildError) as caught:
        parse_build_system(b"[build-system]\nrequires = ['>', 'ok', '<']\nbuild-backend = '-'")
    assert len(caught.value.context) == 3
