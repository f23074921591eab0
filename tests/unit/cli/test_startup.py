"""How much a start imports. Budgets may only go down."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
HEAVY = {
    "asyncio",
    "concurrent.futures",
    "dataclasses",
    "difflib",
    "email",
    "hashlib",
    "httpx",
    "importlib.metadata",
    "inspect",
    "isal",
    "json",
    "logging",
    "packaging",
    "platformdirs",
    "resolvelib",
    "rich",
    "shutil",
    "socket",
    "ssl",
    "subprocess",
    "tempfile",
    "tomlkit",
    "tomllib",
    "urllib3",
    "zipfile",
}


def modules_after(code: str) -> set[str]:
    """Modules that a bare interpreter does not have, and has after the code."""
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); bare = set(sys.modules)\n"
        f"{code}\n"
        "new = sorted(set(sys.modules) - bare)\n"
        "import json; sys.stderr.write(json.dumps(new))\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    return set(json.loads(done.stderr))


@pytest.mark.parametrize(
    ("code", "budget"),
    [
        ("import envforge.cli", 3),
        ("import envforge.cli; envforge.cli.main(['--version'])", 13),
        ("import envforge.cli; envforge.cli.main(['--help'])", 13),
        ("import envforge.cli; envforge.cli.main([])", 13),
    ],
)
def test_budget_of_a_start(code, budget):
    modules = modules_after(code)
    assert "envforge.cli" in modules
    assert len(modules) <= budget, f"{len(modules)} modules: {sorted(modules)}"


def test_budget_of_reading_options():
    modules = modules_after("import envforge.cli; envforge.cli.main(['sync', '--help'])")
    assert "argparse" in modules
    assert len(modules) <= 59, f"{len(modules)} modules: {sorted(modules)}"  # Python 3.12; 58 elsewhere
    assert not {name for name in modules if name.startswith("envforge.workflows")}
    commands = {name for name in modules if name.startswith("envforge.cli.commands.")}
    assert commands == {"envforge.cli.commands.sync", "envforge.cli.commands.sync_options"}


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["sync", "--help"], ["run", "--help"]])
def test_nothing_heavy(words):
    modules = modules_after(f"import envforge.cli; envforge.cli.main({words!r})")
    assert not HEAVY & modules
