"""Many processes, nodes and users at once, some killed: the work is done once, and what is there is right."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from envforge.environment.generation import sweep_unfinished
from envforge.store.guard import sweep_guards
from envforge.store.sealing import remove_sealed
from envforge.store.store import Store

from .conftest import SCALE, scaled
from support.distributions import make_wheel
from support.projects import Project
from support.simple_index import SimpleIndex

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and namespaces are POSIX")
PARTS = [f"part-{number}" for number in range(10)]


@pytest.fixture
def index(index: SimpleIndex) -> SimpleIndex:
    index.add(*(make_wheel(name, padding=60_000) for name in PARTS))
    index.block_delay_s = 0.005
    return index


def wait_for(processes: Sequence[subprocess.Popen[str]]) -> None:
    for process in processes:
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        assert "Traceback" not in err
        assert "is back" not in err, "nothing was gone"


def check(project: Project, *names: str) -> None:
    assert set(project.installed()) == {*names}
    project.python(f"import {', '.join(name.replace('-', '_') for name in names)}")
    assert project.done("verify", "--json").json["findings"] == []


def test_many_syncs_of_one_project(project: Project, index: SimpleIndex) -> None:
    project.write(*PARTS)
    project.done("lock")
    index.forget()
    wait_for([project.start("sync", "--frozen") for _ in range(scaled(8, 64))])
    assert index.downloads == {f"{name.replace('-', '_')}-1.0-py3-none-any.whl": 1 for name in PARTS}
    check(project, *PARTS)
    assert project.leftovers() == []


def test_who_waits_sees_how_far_the_other_is(project: Project, index: SimpleIndex) -> None:
    index.add(make_wheel("big", padding=4_000_000))
    project.write("big")
    project.done("lock")
    index.forget()
    index.block_delay_s = 0.02
    with project.start("sync", "--frozen") as first:
        assert index.begun.wait(20)
        [guard] = wait_until(lambda: [*project.tier.glob("guards/*")])
        wait_until(lambda: "MB" in _text(guard))
        second = project.done("sync", "--frozen")
        _, err = first.communicate(timeout=60)
    assert first.returncode == 0, err
    pattern = rf"Waiting for process {first.pid} on [\w-]+: big-1\.0\S+ \([0-3]\.\d of 4.0 MB\)\n"
    assert re.search(pattern, second.err), second.err
    assert index.downloads == {"big-1.0-py3-none-any.whl": 1}


def wait_until(see: Callable[[], Any]) -> Any:
    """What is seen as soon as it is something."""
    end = time.monotonic() + 20
    while not (seen := see()) and time.monotonic() < end:
        time.sleep(0.02)
    return seen


def test_many_projects_share_a_cold_cache(tmp_path: Path, index: SimpleIndex) -> None:
    wanted: list[tuple[Project, list[str]]] = []
    for number in range(scaled(4, 16)):
        project = Project(tmp_path, index.url, name=f"project{number}")
        names = random.Random(number).sample(PARTS, 6)
        project.write(*names)
        wanted.append((project, names))
    index.forget()
    wait_for([project.start("sync") for project, _ in wanted])
    assert set(index.downloads.values()) == {1}
    for project, names in wanted:
        check(project, *names)
        assert project.leftovers() == []


OnNode = Callable[..., list[str]]
SKEWED = """
import os, time
_time, _time_ns, _skew_s = time.time, time.time_ns, int(os.environ["SKEW_S"])
time.time = lambda: _time() + _skew_s
time.time_ns = lambda: _time_ns() + _skew_s * 10**9
"""


@pytest.fixture
def on_node(tmp_path: Path) -> OnNode:
    """Makes the prefix of a command that runs on a node of its own: mounts, name, process ids, clock."""
    command = ["unshare", "-m", "-u", "-p", "-f", "--mount-proc", "--kill-child"]
    if not shutil.which("unshare") or subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("needs the right to make namespaces")
    local = tmp_path / "local"
    shim = tmp_path / "shim"
    for folder in (local, shim):
        folder.mkdir()
    (shim / "sitecustomize.py").write_text(SKEWED)

    def prefix(number: int, skew_s: int = 0) -> list[str]:
        clock = f"export SKEW_S={skew_s} PYTHONPATH={shim}:$PYTHONPATH;" if skew_s else ""
        script = f'hostname node{number}; mount -t tmpfs none {local}; {clock}exec "$@"'
        return [*command, "sh", "-c", script, "sh"]

    return prefix


def test_many_nodes_at_once_on_one_tier(project: Project, index: SimpleIndex, on_node: OnNode) -> None:
    """Another host's process ids say nothing: only heartbeats do."""
    project.write(*PARTS)
    project.done("lock")
    index.forget()
    wait_for([project.start("sync", "--frozen", prefix=on_node(number)) for number in range(scaled(3, 8))])
    assert set(index.downloads.values()) == {1}
    check(project, *PARTS)
    assert project.leftovers() == []


def test_many_nodes_with_their_own_disks(tmp_path: Path, index: SimpleIndex, on_node: OnNode) -> None:
    """Store and environment on each node's own disk, archives on one that all see: one download in all."""
    projects = [Project(tmp_path, index.url, name=f"project{number}") for number in range(scaled(3, 8))]
    for project in projects:
        project.write(*PARTS)
        project.variables["ENVFORGE_TIER"] = str(tmp_path / "local" / "tier")
    projects[0].done("lock")
    for project in projects[1:]:
        shutil.copy(projects[0].lock, project.lock)
    index.forget()
    code = f"import {', '.join(PARTS).replace('-', '_')}; print('fine')"
    program = ("run", "python", "-c", code)
    nodes = [project.start(*program, prefix=on_node(place)) for place, project in enumerate(projects)]
    for node in nodes:
        out, err = node.communicate(timeout=300)
        assert (node.returncode, out) == (0, "fine\n"), err
    assert index.downloads == {f"{name.replace('-', '_')}-1.0-py3-none-any.whl": 1 for name in PARTS}
    # its disk is empty at the next job, and it has no network there
    again = projects[0].envforge("--offline", *program, prefix=on_node(0))
    assert (again.code, again.out) == (0, "fine\n"), again.err
    assert set(index.downloads.values()) == {1}


def test_nodes_whose_clocks_differ_by_minutes(project: Project, index: SimpleIndex, on_node: OnNode) -> None:
    """A heartbeat is judged by the clock of the disk, or each node would think the others dead."""
    project.write(*PARTS)
    project.done("lock")
    index.forget()
    index.block_delay_s = 0.1
    nodes = [
        project.start("sync", "--frozen", prefix=on_node(number, skew_s))
        for number, skew_s in enumerate((-400, 400, -90, 90))
    ]
    wait_for(nodes)
    assert index.downloads == {f"{name.replace('-', '_')}-1.0-py3-none-any.whl": 1 for name in PARTS}
    check(project, *PARTS)
    assert project.leftovers() == []


@pytest.mark.skipif(SCALE == 1, reason="a minute long: with ENVFORGE_TEST_SCALE=10")
def test_a_node_that_is_switched_off(project: Project, index: SimpleIndex, on_node: OnNode) -> None:
    """Nobody can ask its processes; a minute without a heartbeat tells."""
    project.write(*PARTS)
    project.done("lock")
    index.forget()
    index.block_delay_s = 0.3
    with project.start("sync", "--frozen", prefix=on_node(1)) as node:
        assert index.begun.wait(20)
        time.sleep(0.5)
        os.killpg(node.pid, signal.SIGKILL)
        node.communicate()
    index.block_delay_s = 0.0
    start_s = time.monotonic()
    wait_for([project.start("sync", "--frozen", prefix=on_node(number)) for number in (2, 3)])
    assert 50 < time.monotonic() - start_s < 120
    check(project, *PARTS)


def test_owners_are_killed(tmp_path: Path, index: SimpleIndex) -> None:
    """Three sync one project, two of which are killed while they hold guards; with a fresh cache, again."""
    wanted, killed, again, number = scaled(4, 100), 0, 0, 0
    moments = random.Random(17)
    index.block_delay_s = 0.05
    pattern = Project(tmp_path, index.url)
    pattern.write(*PARTS)
    pattern.done("lock")
    while killed < wanted:
        number += 1
        assert number < 10 * wanted  # a sync may end before its moment comes
        project = Project(tmp_path / str(number), index.url)
        for file in (pattern.manifest, pattern.lock):
            shutil.copy(file, project.root)
        index.forget()
        processes = [project.start("sync", "--frozen") for _ in range(3)]
        deaths = sum(kill_owner(victim, project, moments.uniform(0.0, 0.25)) for victim in processes[:2])
        wait_for(processes[2:])
        check(project, *PARTS)
        Store(project.tier).sweep()
        for environments in project.tier.glob("envs/*"):
            sweep_unfinished(environments)
        if project.leftovers():
            time.sleep(5.5)  # a guard whose owner was killed before it could write counts as held until then
            sweep_guards(project.tier / "guards")
        assert project.leftovers() == []
        repeated = sum(index.downloads.values()) - len(PARTS)
        assert repeated <= deaths * len(PARTS)
        killed, again = killed + deaths, again + repeated
        remove_sealed(project.root.parent)
    # what had arrived of a wheel goes with the process, unless archives are kept
    print(f"{killed} owners killed in {number} rounds; {again} downloads begun again")


def kill_owner(victim: subprocess.Popen[str], project: Project, after_s: float) -> bool:
    """Kill a process some time after it holds a guard; False if it was done before."""
    end = time.monotonic() + 20
    while victim.poll() is None and time.monotonic() < end:
        if any(f".{victim.pid}." in _text(guard) for guard in project.tier.glob("guards/*")):
            break
        time.sleep(0.002)
    time.sleep(after_s)
    with suppress(ProcessLookupError):
        os.killpg(victim.pid, signal.SIGKILL)
    victim.communicate()
    return victim.returncode == -signal.SIGKILL


def _text(place: Path) -> str:
    with suppress(OSError):
        return place.read_text()
    return ""
