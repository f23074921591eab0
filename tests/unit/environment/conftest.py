"""A project with two packages to install."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from envforge.environment.generation import Generation, create_generation
from envforge.environment.prefix_contents import with_prefix_data
from envforge.events import SilentReporter
from envforge.model.tree import EntryPoint

from support.environments import Grounds
from support.prefixes import PlantedPrefix


@pytest.fixture
def grounds() -> Iterator[Grounds]:
    # a path that is short enough for a line with #!
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield _planted(Grounds(Path(folder).resolve()))


def _planted(grounds: Grounds) -> Grounds:
    grounds.forest.plant(
        "alpha",
        {"alpha/__init__.py": "def main():\n    print('alpha runs')\n", "ns/alpha.py": ""},
        points=(EntryPoint(name="alpha", module="alpha", attribute="main"),),
        scripts={"old": "#!python\nprint('old')\n", "program": b"\x7fELF"},
        data={"share/alpha/x.json": "{}"},
    )
    grounds.forest.plant("beta", {"beta/__init__.py": "", "ns/beta.py": ""})
    return grounds


@pytest.fixture
def prefix(grounds: Grounds) -> PlantedPrefix:
    """A conda prefix in the tier: ``tool`` has a script, data, a kernel and activation scripts."""
    prefix = PlantedPrefix(grounds.tier / "prefixes" / "abc")
    prefix.install_python("tool", "def main():\n    import beta, sys\n    print(sys.prefix)\n", script="tool")
    prefix.install(
        "data",
        {
            "share/data/table.txt": "rows",
            "share/alpha/y.json": "{}",
            "share/jupyter/lab/settings.json": "{}",
            "share/jupyter/kernels/python3/kernel.json": '{"argv": ["@PREFIX@/bin/python3.11", "-m", "k"]}',
            "etc/conda/activate.d/data.sh": 'export DATA_HOME="$CONDA_PREFIX/share/data"\n',
            "etc/conda/deactivate.d/data.sh": "unset DATA_HOME\n",
            "etc/conda/env_vars.d/data.json": '{"DATA_LEVEL": "it\'s 5"}',
            "bin/native": b"\x7fELF",
            "bin/shell-tool": "#!/bin/sh\necho from conda\n",
        },
    )
    return prefix


@pytest.fixture
def based(grounds: Grounds, prefix: PlantedPrefix) -> Generation:
    """A generation that stands on it."""
    return create_based(grounds, prefix)


def create_based(grounds: Grounds, prefix: PlantedPrefix, **changes: Any) -> Generation:
    spec = grounds.spec(interpreter=prefix.interpreter, prefix=prefix.value, **changes)
    plan = with_prefix_data(grounds.plan(spec.link_mode), spec, grounds.tier)
    return create_generation(spec, plan, grounds.tier, grounds.environments, SilentReporter())
