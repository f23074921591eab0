"""Old generations go, except the current one and those of running processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from envforge.environment.activation import activated_environment
from envforge.environment.collect import (
    collect_generations,
    retire_generation,
    survey_generations,
    survey_project,
    sweep_environments,
)
from envforge.environment.generation import Generation, note_generation
from envforge.environment.switch import current_generation, rollback, switch
from envforge.host.processes import read_traces
from envforge.plan.link_plan import MARKER, LinkMode
from envforge.store.sealing import remove_sealed

from support.ages import HOUR_S, let_pass, make_older
from support.environments import Grounds
from support.users import open_python, open_python_path


def switched(grounds: Grounds, count: int) -> list[Generation]:
    """Generations that were all made and used long ago."""
    made = [grounds.create(prompt=f"p{number}") for number in range(count)]
    for time_s, generation in enumerate(made):
        switch(grounds.venv, generation, now_s=time_s)
    let_pass(grounds.tier)
    return made


def test_the_newest_stay(grounds: Grounds) -> None:
    made = switched(grounds, 7)
    assert collect_generations(grounds.environments, grounds.venv) == [made[0].digest, made[1].digest]
    assert [generation.path.exists() for generation in made] == [False] * 2 + [True] * 5
    assert collect_generations(grounds.environments, grounds.venv) == []
    assert sorted(grounds.environments.iterdir()) == sorted(
        [grounds.environments / "history.json", *(generation.path for generation in made[2:])]
    )
    assert (grounds.tier / "trees" / grounds.forest.trees[0].id / "lib/alpha/__init__.py").exists()


def test_the_current_one_stays_however_old(grounds: Grounds) -> None:
    made = switched(grounds, 4)
    rollback(grounds.venv, 3)
    let_pass(grounds.tier)
    assert collect_generations(grounds.environments, grounds.venv, keep=1) == [made[1].digest, made[2].digest]
    assert current_generation(grounds.venv) == made[0]


def test_hard_linked_generations_go_too_and_the_store_stays(grounds: Grounds) -> None:
    grounds.create(LinkMode.HARDLINK)
    let_pass(grounds.tier)
    assert len(collect_generations(grounds.environments, grounds.venv, keep=0)) == 1
    assert (
        grounds.tier / "trees" / grounds.forest.trees[0].id / "lib/alpha/__init__.py"
    ).stat().st_nlink == 1


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="processes are found through /proc")
@pytest.mark.parametrize("how", ["activated", "script", "folder"])
def test_what_a_process_uses_stays(grounds: Grounds, how: str) -> None:
    old = grounds.create(prompt="old")
    command = [sys.executable, "-c", "print('up', flush=True); input()"]
    environment, folder = dict(os.environ), grounds.project
    if how == "activated":
        environment = activated_environment(old, grounds.venv, environment)
    elif how == "script":
        command[0] = str(old.python)
    else:
        folder = old.path
    switched(grounds, 2)
    process = subprocess.Popen(
        command, env=environment, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        assert old.digest not in collect_generations(grounds.environments, grounds.venv, keep=0)
        process.communicate(b"\n")
    assert old.digest in collect_generations(grounds.environments, grounds.venv, keep=0)


def test_nothing_to_collect(grounds: Grounds) -> None:
    switched(grounds, 1)
    assert collect_generations(grounds.environments, grounds.venv, keep=0) == []


def test_what_was_just_found_stays(grounds: Grounds) -> None:
    """A sync that has found a generation may be about to switch to it."""
    made = switched(grounds, 3)
    assert note_generation(made[0])
    assert collect_generations(grounds.environments, grounds.venv, keep=1) == [made[1].digest]
    let_pass(grounds.tier)
    assert collect_generations(grounds.environments, grounds.venv, keep=1) == [made[0].digest]


def test_one_that_is_current_again_is_not_retired(grounds: Grounds) -> None:
    """The project has been switched to it since it was looked at."""
    made = switched(grounds, 2)
    switch(grounds.venv, made[0], now_s=9)
    let_pass(grounds.tier)
    assert not retire_generation(made[0].path, time.time(), grounds.venv)
    assert current_generation(grounds.venv) == made[0]
    assert retire_generation(made[1].path, time.time(), grounds.venv)
    assert not made[1].path.exists()


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="processes are found through /proc")
@pytest.mark.parametrize("how", ["absolute", "relative"])
def test_a_process_started_through_the_link_uses_what_the_link_leads_to(grounds: Grounds, how: str) -> None:
    """Its Python looks for modules below ``.venv``, wherever that leads by now."""
    old, current = switched(grounds, 2)
    place = str(grounds.venv / "bin" / "python") if how == "absolute" else ".venv/bin/python"
    environment = {name: value for name, value in os.environ.items() if name not in ("PWD", "VIRTUAL_ENV")}
    process = subprocess.Popen(
        [place, "-I", "-c", "print('up', flush=True); input()"],
        env=environment,
        cwd=grounds.project,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        found = {
            each.digest: [user.pid for user in each.processes]
            for each in survey_project(grounds.environments, list(read_traces()), time.time())
        }
        process.communicate(b"\n")
    assert found == {old.digest: [], current.digest: [process.pid]}


def test_what_a_killed_collection_left_goes(grounds: Grounds) -> None:
    """It was killed after the generation had stopped to be complete."""
    made = switched(grounds, 2)
    (made[0].path / MARKER).rename(grounds.environments / ".tmp-host.1.2.abc")
    now_s = time.time()
    assert sweep_environments(grounds.environments, now_s) == 0, "it was withdrawn just now"
    make_older(made[0].path, 2 * HOUR_S)
    assert sweep_environments(grounds.environments, now_s) == 1
    assert not made[0].path.exists()
    assert current_generation(grounds.venv) == made[1]


@pytest.mark.skipif(os.name == "nt" or not shutil.which("setpriv"), reason="needs setpriv")
@pytest.mark.parametrize("what", ["folder", "marker"])
def test_what_another_user_hides_is_said_to_be_unknown(what: str) -> None:
    """What is not known to stand on something must not be taken for standing on nothing."""
    if os.geteuid() != 0:
        pytest.skip("only root may become another user")
    code = (
        "import sys, time; from pathlib import Path\n"
        "from envforge.environment.collect import survey_generations\n"
        "found = survey_generations(Path(sys.argv[1]), [], time.time())\n"
        "print([(each.is_known, each.stay is not None) for each in found])"
    )
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to others
        Path(name).chmod(0o755)
        grounds = Grounds(Path(name))
        grounds.forest.plant("alpha")
        [made] = switched(grounds, 1)
        (grounds.environments if what == "folder" else made.path / MARKER).chmod(0)
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", open_python(), "-c", code]
        environment = {**os.environ, "PYTHONPATH": open_python_path()}
        finished = subprocess.run(
            [*command, str(grounds.tier)], env=environment, cwd=name, capture_output=True, text=True
        )
        remove_sealed(grounds.tier)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout == "[(False, True)]\n"


@pytest.mark.parametrize("content", ["", "{", '{"spec": 1}', "[]"])
def test_a_marker_that_was_cut_off_stands_on_nothing(grounds: Grounds, content: str) -> None:
    [made] = switched(grounds, 1)
    (made.path / MARKER).write_text(content)
    [found] = survey_generations(grounds.tier, [], time.time())
    assert (found.is_known, found.trees) == (True, frozenset())
