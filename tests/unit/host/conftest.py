"""Programs, folders and environments for the tests of the host."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

MakeProgram = Callable[[Path, str], Path]


@pytest.fixture
def real_python() -> str:
    """The real interpreter that runs the tests, not the virtual environment's link to it."""
    return os.path.realpath(sys._base_executable)  # type: ignore[attr-defined]


@pytest.fixture
def make_program() -> MakeProgram:
    """Write an executable shell script."""

    def make(path: Path, body: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n" + textwrap.dedent(body))
        path.chmod(0o755)
        return path

    return make


@pytest.fixture
def bare_environ(tmp_path: Path) -> dict[str, str]:
    """An environment whose PATH and home are empty folders."""
    (tmp_path / "home").mkdir()
    (tmp_path / "bin").mkdir()
    return {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path / "home")}


@pytest.fixture
def cache_file(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "interpreters.json"
