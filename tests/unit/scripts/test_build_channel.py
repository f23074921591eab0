"""The script refuses what it cannot do, and what it compiles is the same each time."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[3] / "scripts" / "build_channel.py"
needs_gcc = pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")


def _build(*arguments: object, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, env={**os.environ, **environ}, capture_output=True, text=True, check=False)


def test_without_a_compiler_it_says_so(tmp_path: Path) -> None:
    done = _build(tmp_path / "channel", PATH=str(tmp_path))
    assert (done.returncode, done.stderr) == (3, "error: needed and not found: gcc, strip\n")
    assert not (tmp_path / "channel").exists()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    done = _build(tmp_path)
    assert done.returncode == 2
    assert f"{tmp_path} is not empty" in done.stderr
    assert os.listdir(tmp_path) == ["mine"]


@needs_gcc
def test_what_is_no_python_is_refused(tmp_path: Path) -> None:
    for wrong in ("/bin/sh", tmp_path / "missing"):
        done = _build(tmp_path / "channel", "--python", wrong)
        assert done.returncode == 1
        assert done.stderr.startswith(f"error: {wrong} is no CPython")


def test_an_unknown_platform_is_refused(tmp_path: Path) -> None:
    done = _build(tmp_path / "channel", "--platform", "amiga-500")
    assert done.returncode == 2
    assert "amiga-500" in done.stderr


@needs_gcc
def test_what_is_compiled_is_the_same_each_time(channel_module: Callable[[str], ModuleType]) -> None:
    native = channel_module("native")
    first, second = (native.libgreet("1.2", "linux-64") for _ in range(2))
    assert first.files == second.files
    placeholder = channel_module("package").PLACEHOLDER.encode()
    assert placeholder + b"/share/libgreet\0" in first.files["lib/libgreet.so.1.2"].content


@needs_gcc
def test_code_that_does_not_compile_is_shown(channel_module: Callable[[str], ModuleType]) -> None:
    with pytest.raises(SystemExit, match=r"gcc cannot compile broken.so:\n.*error"):
        channel_module("native").compile_c("int broken(", "broken.so", "-shared")


@needs_gcc
def test_run_paths_become_relative_where_there_is_room(channel_module: Callable[[str], ModuleType]) -> None:
    compile_c = channel_module("native").compile_c
    relative = channel_module("host_python")._with_relative_run_path
    flags = ("-shared", "-fPIC", "-Wl,-rpath,")
    long = compile_c("int x;\n", "x.so", *flags[:2], flags[2] + "/home/somebody/python/lib")
    changed = relative("lib/python3.11/lib-dynload/x.so", long)
    assert len(changed) == len(long)
    assert b"\0$ORIGIN/../../../lib\0" in changed
    assert b"/home/somebody" not in changed
    assert relative("lib/python3.11/lib-dynload/x.so", changed) == changed
    short = compile_c("int x;\n", "x.so", *flags[:2], flags[2] + "/x")
    with pytest.raises(SystemExit, match=r"/x of lib/x\.so is too short"):
        relative("lib/x.so", short)
    without = compile_c("int x;\n", "x.so", *flags[:2])
    assert relative("lib/x.so", without) == without


def test_pythons_of_two_different_minors_are_found(
    channel_module: Callable[[str], ModuleType],
) -> None:
    found = channel_module("host_python").find_pythons()
    if not found:
        pytest.skip("no Python of the usual layout on this machine")
    minors = [python.minor for python in found]
    assert len(set(minors)) == len(minors) <= 2
    assert all((python.prefix / "bin" / f"python{python.minor}").is_file() for python in found)
