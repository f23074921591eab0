"""Syncs with a conda part that are killed, or that run at the same time: complete or absent."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from support.conda_channel import ChannelServer
from support.projects import Project
from support.simple_index import SimpleIndex

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
KILLS = 12


def project_of(root: Path, index: SimpleIndex, server: ChannelServer, name: str, cache: Path) -> Project:
    project = Project(root, index.url, cache=cache, name=name)
    project.variables = {"ENVFORGE_PYTHON": "/nowhere/python"}
    project.write(
        "app",
        settings=f'platforms = ["linux-64"]\nchannels = ["{server.url}"]',
        tables='[tool.envforge.conda-dependencies]\nconda-hello = "*"\ngreet = "*"',
    )
    return project


def check(project: Project) -> None:
    assert set(project.installed()) == {"app", "core", "conda-hello"}
    assert project.done("run", "greet").out
    assert project.done("run", "conda-hello").out
    assert project.done("verify", "--json").json["findings"] == []


def test_killed_at_any_moment(tmp_path: Path, index: SimpleIndex, server: ChannelServer) -> None:
    index.delay_s = server.delay_s = 0.01
    moments = random.Random("conda")
    longest_s = 0.0
    project = locked_project(tmp_path, index, server, "first")
    killed = attempts = 0
    while killed < KILLS:
        attempts += 1
        assert attempts < 5 * KILLS, "hardly any was killed while it worked: the test proves nothing"
        start_s = time.monotonic()
        with project.start("sync") as process:
            try:
                # the first one is not killed: it is measured
                _, err = process.communicate(timeout=moments.random() * longest_s if longest_s else 60)
            except subprocess.TimeoutExpired:
                killed += 1
                os.killpg(process.pid, signal.SIGKILL)
                _, err = process.communicate()
        assert process.returncode in (0, -signal.SIGKILL), err
        if os.path.lexists(project.venv):
            assert set(project.installed()) == {"app", "core", "conda-hello"}
        if process.returncode == 0:
            longest_s = time.monotonic() - start_s
            project = locked_project(tmp_path, index, server, f"after{attempts}")
    project.done("sync")
    check(project)


def locked_project(root: Path, index: SimpleIndex, server: ChannelServer, name: str) -> Project:
    """A project with nothing in its cache but what the lock took."""
    project = project_of(root, index, server, name, root / f"cache-{name}")
    project.done("lock")
    return project


def test_many_at_once_make_one_prefix(tmp_path: Path, index: SimpleIndex, server: ChannelServer) -> None:
    projects = [project_of(tmp_path, index, server, f"p{number}", tmp_path / "cache") for number in range(4)]
    for project in projects:
        project.done("lock")
    server.asked.clear()
    started = [project.start("sync") for project in projects for _ in range(2)]
    for process in started:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    for project in projects:
        check(project)
    assert len(set(server.downloads())) == len(server.downloads())
    made = [place for place in (projects[0].tier / "prefixes").iterdir() if (place / "conda-meta").is_dir()]
    assert len(made) == 1
