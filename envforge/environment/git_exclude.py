"""Keeps ``.venv`` out of git: as a symlink it is a file to git, and no ``.gitignore`` inside it counts.

The line goes to the repository's own list, ``info/exclude``, which is not committed (gitignore(5)): a pattern
``.venv/`` of a project's ``.gitignore`` means folders only.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_PATTERNS = frozenset({".venv", "/.venv", "**/.venv"})


def exclude_from_git(venv: Path) -> None:
    """Have git pass over a project's ``.venv``, unless it does. What cannot be written is left as it is."""
    with suppress(OSError, ValueError):
        if _has_pattern(venv.parent / ".gitignore"):
            return
        repository = _find_repository(venv.parent)
        if repository is None or _has_pattern(exclude := repository / "info/exclude"):
            return
        exclude.parent.mkdir(exist_ok=True)
        with open(exclude, "a+b") as file:
            ends_line = file.tell() == 0 or exclude.read_bytes().endswith(b"\n")
            file.write(b".venv\n" if ends_line else b"\n.venv\n")


def _find_repository(folder: Path) -> Path | None:
    """The part of the repository around a folder that all of its worktrees share."""
    for place in (folder, *folder.parents):
        git = place / ".git"
        if git.is_dir():
            return git
        if git.is_file():  # a worktree or a submodule
            git = place / git.read_text().removeprefix("gitdir:").strip()
            with suppress(FileNotFoundError):
                return git / (git / "commondir").read_text().strip()
            return git
    return None


def _has_pattern(ignoring: Path) -> bool:
    with suppress(FileNotFoundError, NotADirectoryError):
        return not _PATTERNS.isdisjoint(map(str.strip, ignoring.read_text().splitlines()))
    return False
