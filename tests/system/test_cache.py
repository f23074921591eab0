"""``envforge cache`` and ``envs`` by real processes: who runs keeps its files, nobody loses what it found."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from envforge.store.layout import tree_id

from support.ages import DAY_S, let_pass, make_older
from support.distributions import make_wheel
from support.projects import CHECKOUT, Project
from support.simple_index import SimpleIndex

pytestmark = pytest.mark.skipif(not Path("/proc/self").exists(), reason="processes are found through /proc")
KILLS = int(os.environ.get("ENVFORGE_PRUNE_KILLS", "2"))
LOOPS = int(os.environ.get("ENVFORGE_PRUNE_LOOPS", "2"))


@contextmanager
def running(project: Project, *command: str) -> Iterator[subprocess.Popen[str]]:
    """A program that says when it is up and runs until the block ends."""
    process = subprocess.Popen(
        command,
        cwd=project.root,
        env=project.environ(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n", process.communicate()
        yield process
        process.communicate("\n", timeout=20)


WAITS = "import core; print('up', flush=True); input(); import late"
"""A job that imports one module at its start and another at its end."""


def generations(project: Project) -> list[str]:
    return sorted(place.parent.name for place in project.tier.glob("envs/*/*/envforge-generation.json"))


def trees(project: Project) -> set[str]:
    return {json.loads(place.read_bytes())["name"] for place in project.tier.glob("trees/*.json")}


def prune(project: Project, *options: str) -> Any:
    return project.done("cache", "prune", "--json", *options).json


def removed(document: Any, kind: str = "tree") -> set[str]:
    return {item["label"].split()[0] for item in document["removed"] if item["kind"] == kind}


@pytest.fixture
def moved_on(project: Project, index: SimpleIndex) -> Project:
    """``core`` and ``late``, then another version of ``core`` without ``late``: nothing of it is recent."""
    index.add(make_wheel("late"))
    project.write("core==1.0", "late")
    project.done("sync")
    return project


def go_on(project: Project, times: int = 1) -> None:
    """So many other environments, the last one with ``lint``; then a day passes."""
    for name in ("doc", "extra", "plugin", "app", "space-one", "lint")[-times:]:
        project.write("core==1.2.0", name)
        project.done("sync")
    let_pass(project.tier, DAY_S)


def test_what_nothing_needs_goes_and_the_rest_works(moved_on: Project) -> None:
    first = generations(moved_on)
    go_on(moved_on, 6)
    assert trees(moved_on) >= {"core", "late", "doc"}
    document = prune(moved_on, "--dry-run")
    assert document["dry_run"]
    assert "late" in removed(document)
    assert "late" in trees(moved_on)
    document = prune(moved_on)
    assert {
        item["name"].split("/")[1] for item in document["removed"] if item["kind"] == "environment"
    } > set(first)
    assert removed(document) == {"core", "late", "doc"}, "of core the old version"
    assert document["freed_bytes"] > 0
    assert len(generations(moved_on)) == 5
    assert moved_on.installed() == {"core": "1.2.0", "lint": "1.0"}
    assert prune(moved_on)["removed"] == []
    moved_on.done("rollback", "4")
    assert set(moved_on.installed()) == {"core", "extra"}
    assert moved_on.done("cache", "verify").code == 0
    assert moved_on.leftovers() == []


@pytest.mark.parametrize("how", ["run", "direct"])
def test_a_job_keeps_its_files_while_prune_runs(moved_on: Project, how: str) -> None:
    [first] = generations(moved_on)
    command = {
        "run": [sys.executable, "-m", "envforge", "run", "python", "-c", WAITS],
        "direct": [str((moved_on.venv / "bin/python").parent.resolve() / "python"), "-c", WAITS],
    }[how]
    with running(moved_on, *command) as job:
        go_on(moved_on)
        for options in (["--all"], ["--max-size", "1"]):
            moved_on.envforge("cache", "prune", *options)
            assert first in generations(moved_on)
            assert "late" in trees(moved_on)
        told = moved_on.done("envs", "--json").json["environments"]
        [used] = [row for row in told if row["path"].endswith(first)]
        assert used["stays"] == "in use"
        assert [process["pid"] for process in used["processes"]] == [job.pid]
        assert f"process {job.pid}" in moved_on.done("envs").out
    assert job.returncode == 0, "late could be imported at the end"
    assert "late" in removed(prune(moved_on, "--all"))
    assert first not in generations(moved_on)


def test_a_job_on_another_host_keeps_its_files(moved_on: Project) -> None:
    [first] = generations(moved_on)
    [environments] = moved_on.tier.glob("envs/*")
    (environments / "leases").mkdir()
    lease = environments / "leases" / f"{first}.node17-0123abcd.4711.99"
    lease.write_text(json.dumps({"lifetime_s": 7 * DAY_S, "command": "python train.py"}))
    go_on(moved_on)
    prune(moved_on, "--all")
    assert first in generations(moved_on)
    shown = moved_on.done("envs").out
    assert "process 4711 on node17: python train.py" in shown
    make_older(lease, 8 * DAY_S)
    prune(moved_on, "--all")
    assert first not in generations(moved_on)
    assert not lease.exists()


def test_run_leaves_a_lease_that_the_next_run_removes(project: Project) -> None:
    project.write("core")
    project.done("sync")
    folder = next(project.tier.glob("envs/*"))
    for _ in range(3):
        project.done("run", "python", "-c", "import core")
        assert len(list((folder / "leases").iterdir())) == 1
    project.variables["SLURM_JOB_END_TIME"] = str(int(time.time()) + 500)
    project.done("run", "python", "-c", "pass")
    [lease] = (folder / "leases").iterdir()
    assert 900 < json.loads(lease.read_bytes())["lifetime_s"] < 1200
    prune(project)
    assert not (folder / "leases").exists()


def test_a_deleted_project_loses_its_environments_in_time(tmp_path: Path, index: SimpleIndex) -> None:
    stays = Project(tmp_path, index.url, name="stays")
    goes = Project(tmp_path, index.url, name="goes", cache=stays.cache)
    for project, name in ((stays, "core"), (goes, "lint")):
        project.write(name)
        project.done("sync")
    shutil.rmtree(goes.root)
    let_pass(stays.tier, DAY_S)
    assert "deleted or moved" in stays.done("cache", "info").out
    assert "deleted or moved" in stays.done("envs", "--all").out
    assert prune(stays)["removed"] == [], "it was noticed a moment ago"
    let_pass(stays.tier, 15 * DAY_S)
    assert removed(prune(stays)) == {"lint"}
    assert trees(stays) == {"core"}
    assert stays.installed() == {"core": "1.2.0"}
    [project] = stays.done("cache", "info", "--json").json["projects"]
    assert (project["root"], project["state"]) == (str(stays.root), "here")


def test_a_symlink_to_a_project_may_go(tmp_path: Path, index: SimpleIndex) -> None:
    project = Project(tmp_path, index.url)
    project.write("core")
    alias = tmp_path / "alias"
    alias.symlink_to(project.root)
    project.done("--project", str(alias), "sync", cwd=tmp_path)
    alias.unlink()
    let_pass(project.tier, 15 * DAY_S)
    assert {item["kind"] for item in prune(project, "--all")["removed"]} == {"blueprint"}
    assert project.installed() == {"core": "1.2.0"}


def test_all_does_not_wait(tmp_path: Path, index: SimpleIndex) -> None:
    stays = Project(tmp_path, index.url, name="stays")
    goes = Project(tmp_path, index.url, name="goes", cache=stays.cache)
    for project, name in ((stays, "core"), (goes, "lint")):
        project.write(name)
        project.done("sync")
    goes.root.rename(tmp_path / "elsewhere")
    let_pass(stays.tier, DAY_S)
    assert removed(prune(stays, "--all")) == {"lint"}
    assert prune(stays, "--all")["removed"] == []


def test_a_home_that_is_not_mounted_loses_nothing(tmp_path: Path, index: SimpleIndex) -> None:
    (tmp_path / "net").mkdir()
    away = Project(tmp_path / "net", index.url, cache=tmp_path / "cache")
    away.write("lint")
    away.done("sync")
    here = Project(tmp_path, index.url, name="here", cache=away.cache)
    here.write("core")
    here.done("sync")
    (tmp_path / "net").rename(tmp_path / "unplugged")
    for _ in range(2):
        let_pass(here.tier, 400 * DAY_S)
        for options in ([], ["--all"], ["--max-size", "1"]):
            here.envforge("cache", "prune", *options)
    assert "cannot be looked at from here" in here.done("envs", "--all").out
    (tmp_path / "unplugged").rename(tmp_path / "net")
    assert away.installed() == {"lint": "1.0"}


def test_a_size_is_reached_or_it_is_said_why_not(moved_on: Project) -> None:
    go_on(moved_on, 3)
    for place in moved_on.cache.glob("*-v1/**/*"):
        make_older(place, DAY_S)
    size = moved_on.done("cache", "info", "--json").json["size_bytes"]
    document = prune(moved_on, "--max-size", str(size))
    assert document["removed"] == []
    document = prune(moved_on, "--max-size", str(size - 1))
    assert document["fits"]
    assert 0 < len(document["removed"]) < 4
    finished = moved_on.envforge("cache", "prune", "--max-size", "500")
    assert finished.code == 1
    assert "500 B cannot be reached: the rest is in use" in finished.err
    assert "needed by environments in use" in finished.err
    assert trees(moved_on) == {"core", "lint"}
    assert len(generations(moved_on)) == 1
    assert moved_on.installed() == {"core": "1.2.0", "lint": "1.0"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("prune", "--max-size", "many"), "write it like 40G, 500M or 1.5T"),
        (("prune", "--max-size", "-5G"), ""),
        (("info", "--repair"), "did you mean: envforge cache verify --repair?"),
        (("verify", "--all"), "did you mean: envforge cache prune --all?"),
        (("shrink",), "shrink"),
        ((), "ACTION"),
    ],
)
def test_wrong_usage(project: Project, words: tuple[str, ...], says: str) -> None:
    project.fails("cache", *words, code=2, says=[says, "hint:"])


def test_an_empty_cache(project: Project) -> None:
    assert project.done("cache", "dir").out == f"{project.cache}\n"
    assert project.done("cache", "info", "--json").json["size_bytes"] == 0
    assert prune(project)["removed"] == []
    assert project.done("cache", "verify", "--json").json["tree_count"] == 0
    assert project.done("envs", "--all").out == ""
    assert not project.cache.exists() or not list(project.cache.glob("tier/trees/*"))


def test_leftovers_of_killed_processes_go(project: Project) -> None:
    project.write("core")
    project.done("sync")
    entry = next(place for place in project.cache.glob("pages-v1/*/*") if place.is_file())
    left = entry.with_name(f"{'0' * 39}.{'a' * 16}")
    left.write_text("half")
    young = entry.with_name(f"{'1' * 39}.{'a' * 16}")
    young.write_text("being written")
    make_older(left)
    torn = project.tier / "envs" / "demo" / "abcdefghijklmnopqrst"
    torn.mkdir(parents=True)
    make_older(torn)
    assert prune(project)["swept_count"] == 2
    assert not left.exists()
    assert not torn.exists()
    assert young.exists()
    assert entry.exists()


def test_a_killed_prune_leaves_work_for_the_next(moved_on: Project) -> None:
    dice = random.Random(7)
    took_s = 0.6
    for _ in range(KILLS):
        moved_on.write("core==1.0", "late")
        moved_on.done("sync")
        go_on(moved_on)
        start_s = time.monotonic()
        with moved_on.start("cache", "prune", "--all") as process:
            try:
                process.wait(timeout=took_s * dice.uniform(0.5, 1.0))
                took_s = min(took_s, time.monotonic() - start_s)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        assert moved_on.installed() == {"core": "1.2.0", "lint": "1.0"}
        assert moved_on.done("verify").code == 0
    for place in moved_on.tier.glob("envs/*/*"):
        make_older(place)
    prune(moved_on, "--all")
    assert trees(moved_on) == {"core", "lint"}
    assert len(list(moved_on.tier.glob("trees/*"))) == 6
    assert len(generations(moved_on)) == 1
    assert moved_on.leftovers() == []


IMPATIENT = """
import envforge.store.uses as uses
uses.NOTED_S, uses.SNAPSHOT_S, uses.GRACE_S = 0.4, 0.2, 1.0
from envforge.cli import main
raise SystemExit(main())
"""
"""envforge, where an hour lasts a second."""


def test_prune_beside_syncs(tmp_path: Path, index: SimpleIndex) -> None:
    """Two prunes without end beside four projects that change their minds: nobody ever lacks a file."""
    index.add(*(make_wheel(f"part-{number}", padding=2_000) for number in range(6)))
    projects = [
        Project(tmp_path, index.url, name=f"p{number}", cache=tmp_path / "cache") for number in range(4)
    ]
    environ = {**projects[0].environ(), "PYTHONPATH": str(CHECKOUT)}

    def start(project: Project, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", IMPATIENT, *words],
            cwd=project.root,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def switch(number: int, turn: int) -> subprocess.Popen[str]:
        project = projects[number]
        project.write(*(f"part-{(number + turn * 2 + each) % 6}" for each in range(3)))
        return start(project, "sync", "-q")

    pruned = 0
    for loop in range(LOOPS):
        syncs = [switch(number, loop % 2) for number in range(4)]
        prunes = [start(projects[0], "cache", "prune", "--all", "--json") for _ in range(2)]
        for process in syncs:
            _, err = process.communicate(timeout=60)
            assert process.returncode == 0, err
        for process in prunes:
            out, err = process.communicate(timeout=60)
            assert process.returncode == 0, err + out
            pruned += len(json.loads(out)["removed"])
        for number, project in enumerate(projects):
            wanted = {f"part-{(number + loop % 2 * 2 + each) % 6}" for each in range(3)}
            assert set(project.installed()) == wanted
        time.sleep(0.7)
    assert pruned, "something was taken away meanwhile"
    for project in projects:
        assert project.done("verify").code == 0


def test_verify_finds_damage_and_mends_it_from_the_index(project: Project, index: SimpleIndex) -> None:
    project.write("app", "lint")
    project.done("sync")
    assert "all as it was stored" in project.done("cache", "verify").err
    place = next(project.tier.glob("trees/*/lib/core/__init__.py"))
    place.chmod(0o644)
    place.write_text("version = 'changed by hand'\n")
    finished = project.envforge("cache", "verify")
    assert finished.code == 1
    assert "core 1.2.0 is damaged\n  lib/core/__init__.py: changed\n" in finished.out
    assert "hint: envforge cache verify --repair" in finished.err
    index.forget()
    document = project.done("cache", "verify", "--repair", "--json").json
    [damaged] = document["damaged"]
    assert (damaged["name"], damaged["mended"], damaged["projects"]) == (
        "core 1.2.0",
        True,
        [str(project.root)],
    )
    assert sum(index.downloads.values()) == 1
    assert project.done("cache", "verify").code == 0
    assert project.done("verify").code == 0
    assert project.python("import core; print(core.version)") == "1.2.0"


def test_what_cannot_be_mended_is_said_with_what_will(project: Project, index: SimpleIndex) -> None:
    project.write("core")
    project.done("sync")
    next(project.tier.glob("trees/*.files")).unlink()
    finished = project.envforge("cache", "verify", "--repair", "--offline")
    assert finished.code == 1
    assert f"run `envforge sync` in {project.root}" in finished.err
    project.done("sync")
    assert project.done("cache", "verify").code == 0
    assert project.installed() == {"core": "1.2.0"}


INTERRUPTED = """
import subprocess, sys, time
from pathlib import Path
import envforge.workflows.assembly as assembly
from support.ages import let_pass
make = assembly.create_generation
times = []
def later(*arguments):
    "Another process prunes between what a sync has found and what it makes of it."
    if not times:
        times.append(0)
        if sys.argv.pop(1) == "long":
            let_pass(arguments[2])
        subprocess.run([sys.executable, "-m", "envforge", "cache", "prune", "--all", "-q"], check=True)
    return make(*arguments)
assembly.create_generation = later
from envforge.cli import main
raise SystemExit(main([*sys.argv[2:]]))
"""


@pytest.mark.parametrize("way", ["short", "long"])
@pytest.mark.parametrize("mode", ["shared", "hardlink"])
def test_a_prune_between_finding_and_linking(
    project: Project, index: SimpleIndex, way: str, mode: str
) -> None:
    """What a sync has found stays; where it took hours to go on, it sees what is gone and fetches again."""
    project.write("core", "lint")
    project.done("sync")
    shutil.rmtree(next(project.tier.glob("envs/*")))
    let_pass(project.tier, DAY_S)
    index.forget()
    environ = {**project.environ(), "PYTHONPATH": f"{CHECKOUT}{os.pathsep}{CHECKOUT / 'tests'}"}
    command = [sys.executable, "-c", INTERRUPTED, way, "--", "sync", "--link-mode", mode, "-q"]
    finished = subprocess.run(command, cwd=project.root, env=environ, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    assert sum(index.downloads.values()) == (0 if way == "short" else 2)
    assert project.installed() == {"core": "1.2.0", "lint": "1.0"}
    assert project.python("import core, lint; print(core.version)") == "1.2.0"
    assert project.done("cache", "verify").code == 0


def test_verify_mends_from_a_kept_archive_without_network(project: Project, index: SimpleIndex) -> None:
    wheel = make_wheel("kept")
    index.add(wheel)
    project.write("kept")
    project.done("sync")
    identity = tree_id(sha256(wheel.content).hexdigest())
    archives = project.cache / "archives"
    (archives / f"{identity}.whl").write_bytes(wheel.content)
    (archives / f"{'a' * 20}.whl").write_bytes(b"not what its name says")
    next(project.tier.glob("trees/*/lib/kept/__init__.py")).unlink()
    index.forget()
    document = project.done("cache", "verify", "--repair", "--offline", "--json").json
    assert document["archive_count"] == 2
    assert {(each["name"], each["mended"]) for each in document["damaged"]} == {
        ("kept 1.0", True),
        ("an archive", True),
    }
    assert not index.requests
    assert [place.name for place in archives.glob("*.whl")] == [f"{identity}.whl"]
    assert project.done("cache", "verify").code == 0
    assert project.python("import kept; print('whole')") == "whole"


def test_archives_that_nobody_has_used_in_long_go(project: Project) -> None:
    project.write("core")
    project.done("sync")
    archives = project.cache / "archives"
    archives.mkdir(exist_ok=True)
    for name, days in (("a", 100), ("b", 10)):
        place = archives / f"{name * 20}.whl"
        place.write_bytes(b"x" * 1000)
        make_older(place, days * DAY_S)
    info = project.done("cache", "info", "--json").json["holdings"]["archives"]
    assert (info["count"], info["unneeded_bytes"]) == (2, 1000)
    assert [item["name"] for item in prune(project)["removed"]] == ["a" * 20]
    assert [item["name"] for item in prune(project, "--all")["removed"]] == ["b" * 20]
    assert not list(archives.glob("*.whl*"))
