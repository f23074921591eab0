"""How much a start imports, and how a process ends. Budgets may only go down."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
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


def modules_after(code: str, path: Sequence[str] = (str(ROOT),)) -> set[str]:
    """Modules that a bare interpreter does not have, and has after the code."""
    program = (
        f"import sys; sys.path[:0] = {[*path]!r}; bare = set(sys.modules)\n"
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


@pytest.mark.parametrize("command", ["sync", "lock"])
def test_what_a_warm_cache_answers_needs_neither_openssl_nor_packaging(command):
    code = (
        f"import envforge.cli.commands.{command}, envforge.workflows.{command}, envforge.workflows.resolving"
    )
    modules = modules_after(code, path=[str(ROOT), *filter(None, sys.path)])
    assert "envforge.workflows.resolving" in modules
    assert not {"_hashlib", "hashlib", "ssl", "packaging", "urllib.request"} & modules


def test_the_short_way_of_a_sync_understands_neither_manifest_nor_lock():
    modules = modules_after("import envforge.workflows.sync_again", path=[str(ROOT), *filter(None, sys.path)])
    assert "envforge.workflows.sync_again" in modules
    assert not {name for name in modules if name.startswith(("envforge.lock", "envforge.manifest"))}
    assert not {"tomllib", "envforge.workflows.selection", "envforge.plan.bundles"} & modules
    assert not (HEAVY - {"json"}) & modules


def test_an_exit_status_and_the_last_words_survive_the_quick_end():
    run = [sys.executable, "-m", "envforge.cli"]
    helped = subprocess.run([*run, "--help"], capture_output=True, text=True, timeout=60)
    assert helped.returncode == 0
    assert helped.stdout.endswith("--no-color.\n")
    wrong = subprocess.run([*run, "snyc"], capture_output=True, text=True, timeout=60)
    assert wrong.returncode == 2
    assert "did you mean" in wrong.stderr


def told_by_a_process(beforehand: str) -> list[str]:
    """What a process prints that does something before it becomes ``envforge --version``."""
    code = f"import sys\n{beforehand}\nsys.argv[1:] = ['--version']\n"
    code += "from envforge.cli import main\nsys.exit(main())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.returncode == 0
    return done.stdout.splitlines()


def test_who_wants_to_hear_of_the_end_does():
    """Temporary folders of threads are removed so, and coverage is written."""
    assert told_by_a_process("import atexit; atexit.register(print, 'left well')")[-1] == "left well"


def test_a_thread_that_is_at_work_is_waited_for():
    work = "lambda: (time.sleep(0.3), print('thread done'))"
    told = told_by_a_process(f"import threading, time; threading.Thread(target={work}).start()")
    assert told[-1] == "thread done"
