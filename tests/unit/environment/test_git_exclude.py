"""``.venv`` is kept out of git, once, wherever the repository keeps its list."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from envforge.environment.git_exclude import exclude_from_git


def git(folder: Path, *words: str) -> str:
    name = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    return subprocess.run(
        ["git", *name, *words], cwd=folder, check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q")
    return folder


def with_venv(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    venv = folder / ".venv"
    venv.symlink_to("/nowhere")
    return venv


def test_once(repository: Path) -> None:
    exclude = repository / ".git/info/exclude"
    exclude.write_text("own")
    venv = with_venv(repository)
    exclude_from_git(venv)
    exclude_from_git(venv)
    assert exclude.read_text() == "own\n.venv\n"
    assert git(repository, "status", "--porcelain") == ""


def test_in_a_folder_below_and_without_a_list(repository: Path) -> None:
    (repository / ".git/info/exclude").unlink()
    (repository / ".git/info").rmdir()
    exclude_from_git(with_venv(repository / "below"))
    assert git(repository, "status", "--porcelain") == ""


def test_in_a_worktree(repository: Path, tmp_path: Path) -> None:
    git(repository, "commit", "--allow-empty", "-q", "-m", "first")
    git(repository, "worktree", "add", "-q", str(tmp_path / "other"))
    exclude_from_git(with_venv(tmp_path / "other"))
    assert git(tmp_path / "other", "status", "--porcelain") == ""


def test_what_the_project_ignores_itself(repository: Path) -> None:
    (repository / ".gitignore").write_text("# mine\n.venv\n")
    exclude_from_git(with_venv(repository))
    assert ".venv" not in (repository / ".git/info/exclude").read_text()


@pytest.mark.parametrize("text", ["", "gitdir: /nowhere/at/all", "\0"])
def test_what_is_no_repository(tmp_path: Path, text: str) -> None:
    (tmp_path / ".git").write_text(text)
    exclude_from_git(with_venv(tmp_path / "project"))
