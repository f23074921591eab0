"""Projects with a build backend of their own, and an isolated environment to build them in."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from envforge.build.backend import BuildEnvironment, BuildJob

# A whole backend: what it makes is a real wheel. Tests replace single hooks.
BACKEND = """
import os, zipfile

NAME, VERSION = "in_tree", "1.0"

def make(folder, name=NAME, version=VERSION, filename=None, files=()):
    filename = filename or f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(os.path.join(folder, filename), "w") as wheel:
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        for path, text in files:
            wheel.writestr(path, text)
        wheel.writestr(f"{info}/RECORD", "")
    return filename

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    return make(wheel_directory, files=[("in_tree.py", "answer = 42")])

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    return make(wheel_directory, files=[("in_tree.pth", os.getcwd())])
"""

PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["_build"]

[project]
name = "in-tree"
version = "1.0"
"""


@pytest.fixture(scope="session")
def isolated_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("isolated") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return str(folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python"))


@pytest.fixture
def make_job(tmp_path: Path, isolated_python: str) -> Callable[..., BuildJob]:
    """A job for a project whose backend has further hooks (Python source)."""

    def make(hooks: str = "", **options: object) -> BuildJob:
        source = tmp_path / "source"
        (source / "_build").mkdir(parents=True)
        (source / "pyproject.toml").write_text(PYPROJECT)
        (source / "_build" / "backend.py").write_text(BACKEND + textwrap.dedent(hooks))
        known = {
            "name": "in-tree",
            "what": "in-tree 1.0",
            "source": source,
            "environment": BuildEnvironment(python=isolated_python, env=os.environ),
            "log_path": tmp_path / "logs" / "build.log",
            "timeout_s": 60.0,
        }
        return BuildJob(**{**known, **options})  # type: ignore[arg-type]

    return make
