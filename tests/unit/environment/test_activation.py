"""The variables of ``envforge run``."""

from __future__ import annotations

from pathlib import Path

import pytest

from envforge.environment.activation import activated_environment

from support.environments import Grounds


def test_variables(grounds: Grounds) -> None:
    made = grounds.create()
    base = {
        "PATH": f"/old/venv/bin:{grounds.venv}/bin:/usr/bin:/old/venv/bin/:/bin",
        "VIRTUAL_ENV": "/old/venv",
        "PYTHONHOME": "/x",
        "LANG": "C",
    }
    before = dict(base)
    assert activated_environment(made, grounds.venv, base) == {
        "PATH": f"{made.scripts}:/usr/bin:/bin",
        "VIRTUAL_ENV": str(made.path),
        "VIRTUAL_ENV_PROMPT": "demo",
        "LANG": "C",
    }
    assert base == before


def test_activating_twice_is_activating_once(grounds: Grounds) -> None:
    made = grounds.create()
    once = activated_environment(made, grounds.venv, {"PATH": "/usr/bin"})
    assert activated_environment(made, grounds.venv, once) == once


@pytest.mark.parametrize("base", [{}, {"PATH": ""}])
def test_without_a_path(grounds: Grounds, base: dict[str, str]) -> None:
    made = grounds.create()
    folders = activated_environment(made, grounds.venv, base)["PATH"].split(":")
    assert folders[0] == str(made.scripts)
    assert "" not in folders
    assert all(Path(folder).is_absolute() for folder in folders)
