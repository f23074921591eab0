"""Builds that fail, hang, lie, need themselves or are killed: told, and nothing half-done."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from support.distributions import (
    BUILD_SYSTEM,
    Distribution,
    backend,
    make_sdist,
    project_tables,
)
from support.projects import Project
from support.simple_index import SimpleIndex
from support.telling import TELLING, count, telling

pytestmark = pytest.mark.skipif(os.name == "nt", reason="paths of the environment are POSIX here")


def test_builds_that_need_each_other(project: Project, index: SimpleIndex) -> None:
    index.add(make_sdist("one"), make_sdist("two"))
    tables = '[tool.envforge.build]\none = { with = ["two"] }\ntwo = { with = ["one"] }'
    project.write("one", "two", tables=tables)
    project.done("lock")
    project.fails("sync", says=["cannot be built: it is needed for its own build", "one → two → one"])


@pytest.mark.parametrize(
    ("hooks", "options", "says"),
    [
        (
            "\ndef build_wheel(*a, **k):\n    raise SystemExit('no compiler today')\n",
            "",
            ["no compiler today"],
        ),
        (
            "\ndef build_wheel(*a, **k):\n    import time; print('waiting', flush=True); time.sleep(60)\n",
            "timeout-s = 1",
            ["it did not end in 1 s", "waiting", "timeout-s"],
        ),
        (
            "\ndef build_wheel(folder, *a, **k):\n    return _pack(folder, {'../../escaped.py': b''})\n",
            "",
            ["../../escaped.py"],
        ),
        ("VERSION", "", ["is version 6.6 by its", "not 1.0"]),
        (
            "\nNAME = 'other'\ndef build_wheel(folder, *a, **k):\n    return _pack(folder, {})\n",
            "",
            ["is of other by its file name, not of telling"],
        ),
        (
            "\ndef build_wheel(*a, **k):\n    return 'telling-1.0-py3-none-any.whl'\n",
            "",
            ["but made nothing"],
        ),
        ("\nimport no_such_backend\n", "", ["its backend cannot be imported", "no_such_backend"]),
    ],
    ids=[
        *("fails", "hangs", "leaves its folder", "lies about its version", "lies about its name"),
        *("makes nothing", "cannot be imported"),
    ],
)
def test_what_a_build_must_not_do(
    project: Project, index: SimpleIndex, hooks: str, options: str, says: list[str]
) -> None:
    index.add(telling("", built_as="6.6") if hooks == "VERSION" else telling(hooks))
    project.write("telling", tables=f"[tool.envforge.build.telling]\n{options}" if options else "")
    project.done("lock")
    failed = project.fails("sync", says=says)
    assert not list(project.cache.rglob("escaped.py"))
    if "whole output" in failed.err:
        log = next(line for line in failed.err.splitlines() if "whole output: " in line)
        assert Path(log.partition("whole output: ")[2].strip()).is_file()


def test_an_sdist_that_cannot_be_asked_what_it_requires(project: Project, index: SimpleIndex) -> None:
    hooks = (
        "\nimport sys\ndef prepare_metadata_for_build_wheel(*a, **k):\n"
        "    print('    same line\\n    same line', file=sys.stderr, flush=True)\n"
        "    raise SystemExit('no setup.py of this decade')\n"
    )
    files = {
        "PKG-INFO": "Metadata-Version: 1.1\nName: old\nVersion: 1.0\n",
        "pyproject.toml": BUILD_SYSTEM,
        "_backend/backend.py": backend("old", "1.0") + hooks,
    }
    index.add(make_sdist("old", "1.0", files=files), make_sdist("old", "0.9", files=files))
    project.write()
    says = [
        "old 1.0 cannot be used: the build backend of old-1.0.tar.gz failed to prepare the metadata\n",
        "its last words:\n",
        "  no setup.py of this decade\n",
        "old 0.9 cannot be used: not tried, because 1.0 does not build\n",
        "whole output: ",
        "allow other versions of old",
    ]
    told = project.fails("add", "old", says=says).err
    assert told.count("same line") == 2
    assert "has no wheel" not in told
    assert told.count("hint: ") == 1
    assert "Traceback" not in project.fails("add", "-v", "old", says=says).err


def needing(name: str, *requires: str, static: bool = True) -> Distribution:
    """An sdist with build requirements; without ``static`` only its backend tells what it requires."""
    wants = BUILD_SYSTEM.replace("requires = []", f"requires = {json.dumps(requires)}")
    return make_sdist(
        name,
        files={
            "pyproject.toml": project_tables(name, "1.0") + wants if static else wants,
            "_backend/backend.py": backend(name, "1.0"),
            f"{name}/__init__.py": f"import {', '.join(requires) or 'os'}\n",
            **({} if static else {"PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"}),
        },
    )


@pytest.mark.parametrize("static", [True, False], ids=["static", "asked"])
def test_what_a_build_requires_may_have_to_be_built_itself(
    project: Project, index: SimpleIndex, static: bool
) -> None:
    index.add(needing("outer", "inner", static=static), needing("inner", static=static))
    project.write("outer", settings="only-binary = true\nno-binary = ['outer']")
    if static:
        project.done("lock")
    project.fails("sync", says=["inner", "which only-binary forbids to build"])
    project.write("outer")
    project.done("sync")
    assert project.installed() == {"outer": "1.0"}


@pytest.mark.parametrize("static", [True, False], ids=["static", "asked"])
def test_what_a_build_requires_may_not_be_itself(project: Project, index: SimpleIndex, static: bool) -> None:
    index.add(needing("outer", "inner", static=static), needing("inner", "outer", static=static))
    project.write("outer")
    if static:
        project.done("lock")
    project.fails("sync", says=["needed for its own build", "→"])


def test_requirements_that_depend_on_the_platform(project: Project, index: SimpleIndex) -> None:
    """Its backend says one thing here, and told its author another."""
    files = {
        "PKG-INFO": "Metadata-Version: 2.1\nName: telling\nVersion: 1.0\n",
        "pyproject.toml": BUILD_SYSTEM,
        "_backend/backend.py": backend("telling", "1.0", ["core"]),
        "setup.py": "import sys\nextra = ['lint'] if sys.platform == 'win32' else []\n",
        "telling.egg-info/requires.txt": "core\nlint\n",
    }
    index.add(make_sdist("telling", files=files))
    project.write("telling", settings='platforms = ["linux-64", "win-64"]')
    project.fails(
        "lock", says=["depends on the platform", "win-64", "packed core, lint", "tool.envforge.metadata"]
    )
    supplied = (
        "[tool.envforge.metadata]\ntelling = { requires = ['core', \"lint; sys_platform == 'win32'\"] }"
    )
    project.write("telling", settings='platforms = ["linux-64", "win-64"]', tables=supplied)
    project.done("lock")
    assert project.locked == {"telling": "1.0", "core": "1.2.0", "lint": "1.0"}
    project.write("telling", settings='platforms = ["linux-64"]')
    project.done("lock")


def test_ctrl_c_ends_a_build_and_all_that_it_started(
    project: Project, index: SimpleIndex, tmp_path: Path
) -> None:
    hang = """
def build_wheel(*a, **k):
    import subprocess, sys
    print("compiling", flush=True)
    subprocess.run([sys.executable, "-c", "import time; time.sleep(100)", "compiler-of-this-test"])
"""
    index.add(telling(hang))
    project.write("telling")
    project.done("lock")
    with project.unchanged():
        process = project.start("sync")
        assert process.stderr is not None
        told = next(line for line in process.stderr if line.startswith("Building telling 1.0 (log: "))
        log = Path(told.partition("(log: ")[2].rstrip(")\n"))
        wait_until(lambda: log.is_file() and "compiling" in log.read_text())
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert process.returncode == 130
    assert b"compiler-of-this-test" not in b"".join(command_lines())


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def command_lines() -> Iterator[bytes]:
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            yield place.read_bytes()


@pytest.mark.parametrize(
    "lie", ["Name: other\nVersion: 1.0", "Name: telling\nVersion: 6.6"], ids=["name", "version"]
)
def test_an_sdist_that_is_another_by_its_metadata(project: Project, index: SimpleIndex, lie: str) -> None:
    index.add(make_sdist("telling", files={"PKG-INFO": f"Metadata-Version: 2.2\n{lie}\n"}))
    project.write("telling")
    project.fails("lock", says=["telling-1.0.tar.gz says in its metadata that it is"])


def test_a_killed_build_is_done_again(project: Project, index: SimpleIndex, noted: Path) -> None:
    slow = TELLING.replace(
        "    try:\n        import core", "    import time; time.sleep(2)\n    try:\n        import core"
    )
    index.add(telling(slow))
    project.write("telling")
    process = project.start("sync")
    wait_until(lambda: count(noted) == 1)
    process.kill()
    process.communicate(timeout=30)
    assert not project.venv.exists()
    project.done("sync")
    assert count(noted) == 2
    assert project.installed() == {"telling": "1.0"}
    project.done("cache", "prune")
    assert project.leftovers() == []
