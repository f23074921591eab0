"""Generations on a real file system."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from envforge.environment.generation import is_generation, read_generation, sweep_unfinished
from envforge.errors import ArchiveError, InterpreterError, StoreError
from envforge.model.tree import EntryPoint
from envforge.plan.link_plan import MARKER, LinkMode
from envforge.struct import replace

from support.environments import Grounds


def leftovers(grounds: Grounds) -> list[str]:
    return [name for name in os.listdir(grounds.environments) if name.startswith(".tmp")]


def test_what_a_generation_holds(grounds: Grounds) -> None:
    made = grounds.create()
    assert made.path == grounds.environments / grounds.spec().digest
    minor = grounds.interpreter.minor
    assert set(os.listdir(made.path)) == {
        "bin", "lib", "lib64", "share", "pyvenv.cfg", ".gitignore", MARKER,
    }  # fmt: skip
    names = {"python", "python3", f"python{minor}", "activate", "activate.fish", "activate.csh"}
    assert names | {"alpha", "old", "program"} <= set(os.listdir(made.scripts))
    assert set(os.listdir(made.site_packages)) == {
        "alpha", "alpha-1.0.dist-info", "beta", "beta-1.0.dist-info", "ns",
    }  # fmt: skip
    assert os.readlink(made.path / "lib64") == "lib"
    assert os.path.realpath(made.python) == grounds.interpreter.executable
    assert (made.scripts / "old").read_text() == f"#!{made.python}\nprint('old')\n"
    assert leftovers(grounds) == []


def test_the_marker_is_for_people_too(grounds: Grounds) -> None:
    made = grounds.create()
    fields = json.loads((made.path / MARKER).read_text())
    assert fields["spec"]["packages"]["alpha"] == {
        "version": "1.0",
        "tree": grounds.forest.trees[0].id,
        "mode": "shared",
    }
    assert fields["spec"]["python"]["version"] == grounds.interpreter.version
    assert "pyvenv.cfg" in fields["files"]
    assert read_generation(made.path) == made


def test_a_generation_that_is_there_is_not_made_again(grounds: Grounds) -> None:
    made = grounds.create()
    before = (made.path / MARKER).stat().st_ino
    grounds.tier.joinpath("trees").rename(grounds.tier / "gone")
    assert grounds.create() == made
    assert (made.path / MARKER).stat().st_ino == before


@pytest.mark.parametrize("content", ["", "{", '{"spec": {}}', "[]", '{"format": 99, "spec": 1, "files": 2}'])
def test_an_incomplete_folder_is_replaced(grounds: Grounds, content: str) -> None:
    made = grounds.create()
    (made.path / MARKER).write_text(content)
    (made.scripts / "alpha").unlink()
    assert read_generation(made.path) is None
    assert (grounds.create().scripts / "alpha").exists()
    assert leftovers(grounds) == []


def test_a_renamed_folder_is_not_that_generation(grounds: Grounds) -> None:
    made = grounds.create()
    made.path.rename(made.path.with_name("other"))
    assert read_generation(made.path.with_name("other")) is None
    assert is_generation(made.path.with_name("other"))


def test_all_modes_are_different_generations(grounds: Grounds) -> None:
    assert len({grounds.create(mode).path for mode in LinkMode}) == 3


def test_an_interpreter_that_is_gone(grounds: Grounds, tmp_path: Path) -> None:
    gone = replace(grounds.interpreter, executable=str(tmp_path / "python"))
    with pytest.raises(InterpreterError, match="not there any more") as raised:
        grounds.create(interpreter=gone)
    assert raised.value.hints
    assert not grounds.environments.exists()


def test_a_bad_script_leaves_nothing(grounds: Grounds) -> None:
    grounds.forest.plant("evil", points=(EntryPoint(name="../../x", module="m", attribute="a"),))
    with pytest.raises(ArchiveError, match=r"\.\./\.\./x"):
        grounds.create()
    assert os.listdir(grounds.environments) == []


def test_a_place_that_is_a_file(grounds: Grounds) -> None:
    grounds.environments.parent.mkdir(parents=True)
    grounds.environments.write_text("")
    with pytest.raises(StoreError, match="build the environment") as raised:
        grounds.create()
    assert str(grounds.environments) in raised.value.context[0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_write_access(grounds: Grounds) -> None:
    grounds.environments.mkdir(parents=True)
    grounds.environments.chmod(0o555)
    with pytest.raises(StoreError, match="permission denied"):
        grounds.create()


def test_what_dead_processes_left_is_swept_and_what_living_ones_do_is_not(grounds: Grounds) -> None:
    from envforge.store.owner import this_process

    environments = grounds.environments
    code = "from envforge.store.owner import this_process; print(this_process())"
    dead = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for owner in (dead.stdout.strip(), str(this_process()), "elsewhere.1.2", "strange"):
        (environments / f".tmp-{owner}.abc" / "bin").mkdir(parents=True)
    os.utime(environments / ".tmp-strange.abc", (0, 0))
    assert sweep_unfinished(environments) == 2
    assert sorted(leftovers(grounds)) == sorted([".tmp-elsewhere.1.2.abc", f".tmp-{this_process()}.abc"])
