"""Marks of locks that fit their manifest."""

from __future__ import annotations

from pathlib import Path

import pytest

from envforge.host.paths import find_cache_root
from envforge.workflows import checked
from envforge.workflows.checked import is_checked, mark_checked

MANIFEST, LOCK = b"[project]\n", b"{}\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pyproject.toml").write_bytes(MANIFEST)
    (folder / "envforge.lock").write_bytes(LOCK)
    return folder


@pytest.mark.parametrize(
    "environ",
    [
        {"ENVFORGE_CACHE_DIR": "{}/cache"},
        {"XDG_CACHE_HOME": "{}/xdg", "HOME": "{}"},
        {"XDG_CACHE_HOME": "relative", "HOME": "{}"},
        {"HOME": "{}"},
    ],
)
def test_a_mark_is_found_where_it_was_put(root: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    environ = {name: value.format(tmp_path) for name, value in environ.items()}
    assert not is_checked(str(root), environ)
    mark_checked(str(find_cache_root(environ)), str(root), MANIFEST, LOCK)
    assert is_checked(str(root), environ)


@pytest.mark.parametrize(
    ("name", "content"),
    [("pyproject.toml", b"[project]\n\n"), ("envforge.lock", b""), ("envforge.lock", None)],
)
def test_a_changed_file_is_not_checked(root: Path, tmp_path: Path, name: str, content: bytes | None) -> None:
    mark_checked(str(tmp_path), str(root), MANIFEST, LOCK)
    if content is None:
        (root / name).unlink()
    else:
        (root / name).write_bytes(content)
    assert not is_checked(str(root), {"ENVFORGE_CACHE_DIR": str(tmp_path)})


def test_another_project_with_the_same_files_has_a_mark_of_its_own(root: Path, tmp_path: Path) -> None:
    mark_checked(str(tmp_path), str(root), MANIFEST, LOCK)
    assert not is_checked(str(root.rename(tmp_path / "moved")), {"ENVFORGE_CACHE_DIR": str(tmp_path)})


def test_another_version_of_envforge_looks_again(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark_checked(str(tmp_path), str(root), MANIFEST, LOCK)
    monkeypatch.setattr(checked, "__version__", "999")
    assert not is_checked(str(root), {"ENVFORGE_CACHE_DIR": str(tmp_path)})


def test_damaged_marks_and_caches_that_cannot_be_written(root: Path, tmp_path: Path) -> None:
    mark_checked(str(tmp_path), str(root), MANIFEST, LOCK)
    (mark,) = (tmp_path / "locks-v1").iterdir()
    mark.write_bytes(b"\xff")
    assert not is_checked(str(root), {"ENVFORGE_CACHE_DIR": str(tmp_path)})
    (tmp_path / "file").touch()
    mark_checked(str(tmp_path / "file"), str(root), MANIFEST, LOCK)
    assert not is_checked(str(root), {"ENVFORGE_CACHE_DIR": str(tmp_path / "file")})
    assert not is_checked(str(root), {})
