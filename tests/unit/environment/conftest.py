"""A project with two packages to install."""

from __future__ import annotations

from pathlib import Path

import pytest

from envforge.model.tree import EntryPoint

from support.environments import Grounds


@pytest.fixture
def grounds(tmp_path: Path) -> Grounds:
    grounds = Grounds(tmp_path)
    grounds.forest.plant(
        "alpha",
        {"alpha/__init__.py": "def main():\n    print('alpha runs')\n", "ns/alpha.py": ""},
        points=(EntryPoint(name="alpha", module="alpha", attribute="main"),),
        scripts={"old": "#!python\nprint('old')\n", "program": b"\x7fELF"},
        data={"share/alpha/x.json": "{}"},
    )
    grounds.forest.plant("beta", {"beta/__init__.py": "", "ns/beta.py": ""})
    return grounds
