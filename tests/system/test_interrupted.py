"""Ctrl-C and kill -9 at many moments: what was there stays whole, and the next run needs no repair."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
import tomllib
from pathlib import Path

import pytest

from envforge.lock.parse import parse_lock
from envforge.store.guard import sweep_guards
from envforge.store.sealing import remove_sealed

from support.distributions import make_wheel
from support.projects import Project
from support.simple_index import SimpleIndex

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
ROUNDS, KILLS = 3, 9


def interrupt(project: Project, index: SimpleIndex, *words: str) -> str:
    """Ctrl-C while a command waits for the server; what it says."""
    index.forget()
    before = project.state()
    with project.start(*words) as process:
        assert index.begun.wait(20)
        time.sleep(0.2)
        start_s = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=20)
        assert time.monotonic() - start_s < 3
    assert process.returncode == 130, err
    assert out == ""
    assert "Traceback" not in err
    assert project.state() == before
    return err


def test_ctrl_c_while_resolving(project: Project, index: SimpleIndex) -> None:
    project.write("app")
    project.done("lock")
    project.write("app", "lint")
    index.delay_s = 30.0
    assert interrupt(project, index, "lock", "--refresh") == "interrupted\n"


@pytest.mark.parametrize("stalled", [False, True], ids=["slow", "stalled"])
def test_ctrl_c_while_downloading(project: Project, index: SimpleIndex, stalled: bool) -> None:
    index.add(make_wheel("big", padding=3_000_000))
    project.write("core")
    project.done("sync")
    project.write("core", "big")
    project.done("lock")
    index.block_delay_s = 30.0 if stalled else 0.03
    told = interrupt(project, index, "sync", "--frozen")
    assert told.splitlines()[-1] == "interrupted"
    assert "error" not in told
    assert project.installed() == {"core": "1.2.0"}
    # A thread that waits for a server that says nothing cannot let go of its guard; its process is dead.
    assert stalled or project.leftovers() == []
    index.block_delay_s = 0.0
    project.done("sync", "--frozen")
    assert set(project.installed()) == {"core", "big"}
    assert project.leftovers() == []


class Killer:
    """Kills a command at random moments and looks at what is left."""

    def __init__(self, project: Project, seed: str, longest_s: float) -> None:
        self.project = project
        self.longest_s = longest_s
        self.moments = random.Random(seed)
        self.seen: set[tuple[bytes | None, bytes | None]] = set()
        self.good_environments: set[str] = set()

    def kill(self, words: tuple[str, ...]) -> bool:
        """Start the command and kill it; False if it was done before."""
        start_s = time.monotonic()
        with self.project.start(*words) as process:
            try:
                process.communicate(timeout=self.moments.uniform(0.15, 1.0) * self.longest_s)
                self.longest_s = time.monotonic() - start_s
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        self.look()
        return process.returncode == -signal.SIGKILL

    def look(self) -> None:
        """Everything that has its final name is whole."""
        state = self.project.state()
        self.seen.add((state.manifest, state.lock))
        assert state.manifest is not None
        tomllib.loads(state.manifest.decode())
        if state.lock is not None:
            parse_lock(state.lock.decode())
        if os.path.lexists(self.project.venv) and state.venv not in self.good_environments:
            names = ", ".join(self.project.installed())
            self.project.python(f"import {names}")
            assert state.venv is not None
            self.good_environments.add(state.venv)


@pytest.mark.parametrize("words", [("lock",), ("sync",), ("add", "app", "big")], ids=lambda words: words[0])
def test_killed_at_any_moment(words: tuple[str, ...], tmp_path: Path, index: SimpleIndex) -> None:
    index.add(make_wheel("big", padding=100_000))
    index.delay_s, index.block_delay_s = 0.004, 0.004
    longest_s = measured(tmp_path, index, words)
    for number in range(ROUNDS):
        project = before(tmp_path, index, words, f"round{number}")
        old = project.state()
        killer = Killer(project, f"{words[0]}{number}", longest_s)
        killed = 0
        while killed < KILLS:
            killed += killer.kill(words)
        project.done(*words)
        project.done("sync")
        new = project.state()
        assert {manifest for manifest, _ in killer.seen} <= {old.manifest, new.manifest}
        assert {lock for _, lock in killer.seen} <= {old.lock, new.lock}
        wanted = {"core": "1.2.0", "app": "3.1", "big": "1.0"}
        assert project.installed() == wanted | ({"built": "1.0"} if words[0] == "sync" else {})
        assert project.done("verify", "--json").json["findings"] == []
        # Guards of the dead hold up nobody; they go with the next sweep, which not every command needs.
        sweep_guards(project.tier / "guards")
        assert project.leftovers() == []


def test_killed_while_an_environment_is_made_again(tmp_path: Path, index: SimpleIndex) -> None:
    """The short way of a sync: a second working tree, and a tier where all is known."""
    cache = tmp_path / "cache"
    first = Project(tmp_path, index.url, cache=cache, name="first")
    first.write("app", "lint", "doc")
    first.done("sync")
    project = Project(tmp_path, index.url, cache=cache, name="again")
    project.manifest.write_bytes(first.manifest.read_bytes())
    project.lock.write_bytes(first.lock.read_bytes())
    old = project.state()
    project.variables["PYTHONPROFILEIMPORTTIME"] = "1"
    assert "envforge.workflows.sync\n" not in project.done("sync").err
    del project.variables["PYTHONPROFILEIMPORTTIME"]
    remove_sealed(project.venv.resolve().parent)
    project.venv.unlink()
    start_s = time.monotonic()
    project.done("sync")
    killer, killed = Killer(project, "again", time.monotonic() - start_s), 0
    while killed < ROUNDS * KILLS:
        if os.path.lexists(project.venv):
            remove_sealed(project.venv.resolve().parent)
            project.venv.unlink()
            killer.good_environments.clear()
        killed += killer.kill(("sync",))
    project.done("sync")
    assert killer.seen == {(old.manifest, old.lock)}
    assert set(project.installed()) == {"app", "core", "lint", "doc"}
    assert project.done("verify", "--json").json["findings"] == []
    assert project.leftovers() == []


def before(tmp_path: Path, index: SimpleIndex, words: tuple[str, ...], name: str) -> Project:
    """A project with an environment that is about to change, and a cache of its own."""
    project = Project(tmp_path, index.url, cache=tmp_path / f"cache-{name}", name=name)
    project.write("core")
    project.done("sync")
    if words[0] != "add":
        project.write("core", "app>=3.1", "big>=1.0", *(["built"] if words[0] == "sync" else []))
    return project


def measured(tmp_path: Path, index: SimpleIndex, words: tuple[str, ...]) -> float:
    """How long the command takes when nobody kills it."""
    project = before(tmp_path, index, words, "measured")
    start = time.monotonic()
    project.done(*words)
    return time.monotonic() - start
