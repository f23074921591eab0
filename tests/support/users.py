"""Projects of real users, who are in one group; made by root, else the test is skipped."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.environments import base_interpreter
from support.projects import CHECKOUT, MINOR, Project

GROUP, ANNE, BEN = 64000, 64001, 64002
MakeProject = Callable[..., Project]


class UsersProject(Project):
    """The project of a user, whose commands run as that user.

    Args:
        root: made, for the user alone.
        index_url: as of other projects.
        cache: None for the user's own.
        user: id of the user and of the user's first group.
        umask: octal digits.
    """

    def __init__(self, root: Path, index_url: str, *, cache: Path | None, user: int, umask: str) -> None:
        root.mkdir()
        super().__init__(root, index_url, cache=cache)
        self.user = user
        self.interpreter = open_python()
        (root / "sitecustomize.py").write_text(f"import os\nos.umask(0o{umask})\n")
        self.variables["PYTHONPATH"] = f"{root}{os.pathsep}{open_python_path()}"
        self.variables["ENVFORGE_PYTHON"] = self.interpreter
        for place in (root, self.root, self.home):
            os.chown(place, user, user)

    def start(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        become = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", f"--groups={GROUP}"]
        return super().start(*words, prefix=become, **options)


def open_python() -> str:
    """A Python of our version that other users can run: root's own may be in a folder of root's."""
    names = (base_interpreter().executable, f"/usr/bin/python{MINOR}", f"/usr/local/bin/python{MINOR}")
    for name in names:
        if os.path.exists(name) and not _is_closed(name):
            return name
    pytest.skip(f"there is no Python {MINOR} that other users can run")


def open_python_path() -> str:
    """The PYTHONPATH with which :func:`open_python` finds envforge and what it needs."""
    return f"{CHECKOUT}{os.pathsep}{sysconfig.get_path('purelib')}"


def _is_closed(program: str) -> bool:
    return any(not folder.stat().st_mode & 0o001 for folder in Path(program).resolve().parents)
