"""git itself, for locks that it merges."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Merge = Callable[..., str]


@pytest.fixture
def merge(tmp_path: Path) -> Merge:
    """Merges three texts as ``git merge`` does, without the cost of a repository."""

    def run(ours: str, base: str, theirs: str, style: str = "merge") -> str:
        names = ("ours", "base", "theirs")
        for name, text in zip(names, (ours, base, theirs), strict=True):
            (tmp_path / name).write_text(text, encoding="utf-8", newline="")
        options = [] if style == "merge" else [f"--{style}"]
        done = subprocess.run(
            ["git", "merge-file", "-p", *options, *names], cwd=tmp_path, capture_output=True, check=False
        )
        if done.returncode == 129:
            pytest.skip(f"this git does not know {style}")
        assert done.returncode < 128, done.stderr
        return done.stdout.decode("utf-8")

    return run
