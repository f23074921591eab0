"""The conda prefix is made while wheels are fetched; whatever goes wrong with one of them ends the other."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from support.conda_channel import ChannelServer
from support.distributions import make_wheel
from support.projects import Project
from support.simple_index import SimpleIndex

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
SLOW_S = 30.0


@pytest.fixture
def locked(tmp_path: Path, index: SimpleIndex, server: ChannelServer) -> Project:
    index.add(make_wheel("big", padding=100_000))
    project = Project(tmp_path, index.url)
    project.variables = {"ENVFORGE_PYTHON": "/nowhere/python"}
    project.write(
        "big",
        settings=f'platforms = ["linux-64"]\nchannels = ["{server.url}"]',
        tables='[tool.envforge.conda-dependencies]\nconda-hello = "*"',
    )
    project.done("lock")
    index.forget()
    server.asked.clear()
    return project


def nothing_is_left(project: Project) -> None:
    assert not os.path.lexists(project.venv)
    assert list(project.tier.glob("prefixes/*")) == []
    assert project.leftovers() == []


def test_both_at_the_same_time(locked: Project, index: SimpleIndex, server: ChannelServer) -> None:
    server.delay_s, index.delay_s = 1.0, 1.0
    with locked.start("sync") as process:
        assert index.begun.wait(20)
        assert not list(locked.tier.glob("prefixes/*/envforge-prefix.json"))
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert set(locked.installed()) == {"big", "conda-hello"}
    assert locked.leftovers() == []


def test_a_wheel_that_cannot_be_had_ends_the_prefix(
    locked: Project, index: SimpleIndex, server: ChannelServer
) -> None:
    server.delay_s = SLOW_S
    index.statuses["/files/big-1.0-py3-none-any.whl"] = 404
    start_s = time.monotonic()
    failed = locked.envforge("sync")
    assert failed.code == 1
    assert "big-1.0-py3-none-any.whl" in failed.err
    assert time.monotonic() - start_s < SLOW_S / 2
    nothing_is_left(locked)
    server.delay_s = 0
    index.statuses.clear()
    locked.done("sync")


def test_a_conda_package_that_is_damaged_ends_the_fetch(
    locked: Project, index: SimpleIndex, server: ChannelServer
) -> None:
    index.block_delay_s = SLOW_S
    server.corrupt("*/conda-hello*")
    start_s = time.monotonic()
    failed = locked.envforge("sync")
    assert failed.code == 1
    assert "conda-hello" in failed.err
    assert time.monotonic() - start_s < SLOW_S / 2
    assert not os.path.lexists(locked.venv)
    assert list(locked.tier.glob("prefixes/*")) == []
    index.block_delay_s = 0
    server.heal()
    locked.done("sync")
    assert locked.leftovers() == []


def test_ctrl_c_ends_both(locked: Project, index: SimpleIndex, server: ChannelServer) -> None:
    server.delay_s = index.block_delay_s = SLOW_S
    with locked.start("sync") as process:
        assert index.begun.wait(20)
        end_s = time.monotonic() + 20
        while not server.asked:
            assert time.monotonic() < end_s
            time.sleep(0.05)
        start_s = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=20)
        assert time.monotonic() - start_s < 5
    assert (process.returncode, out) == (130, ""), err
    assert "Traceback" not in err
    assert list(locked.tier.glob("prefixes/*")) == []
    server.delay_s = index.block_delay_s = 0
    locked.done("sync")
    assert set(locked.installed()) == {"big", "conda-hello"}
