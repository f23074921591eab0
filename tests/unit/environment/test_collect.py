"""Old generations go, except the current one and those of running processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from envforge.environment.activation import activated_environment
from envforge.environment.collect import collect_generations
from envforge.environment.generation import Generation
from envforge.environment.switch import current_generation, rollback, switch
from envforge.plan.link_plan import LinkMode

from support.environments import Grounds


def switched(grounds: Grounds, count: int) -> list[Generation]:
    made = [grounds.create(prompt=f"p{number}") for number in range(count)]
    for time_s, generation in enumerate(made):
        switch(grounds.venv, generation, now_s=time_s)
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
    assert collect_generations(grounds.environments, grounds.venv, keep=1) == [made[1].digest, made[2].digest]
    assert current_generation(grounds.venv) == made[0]


def test_hard_linked_generations_go_too_and_the_store_stays(grounds: Grounds) -> None:
    grounds.create(LinkMode.HARDLINK)
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
