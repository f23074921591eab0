"""Leases: what other hosts and users are told of those who run in a generation."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from envforge.environment.collect import collect_generations
from envforge.environment.leases import (
    FOLDER,
    LIFETIME_S,
    lifetime_s,
    read_leases,
    release_lease,
    sweep_leases,
    take_lease,
)
from envforge.environment.switch import switch
from envforge.store.owner import Owner, this_process

from support.ages import DAY_S, let_pass, make_older
from support.environments import Grounds

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes are told apart through /proc")
DEAD = Owner(this_process().host, 2**22 + 1, "1")
"""A process of this host that never was: the kernel's ids end before."""


def generation(tmp_path: Path, name: str = "abcdefghijklmnopqrst") -> Path:
    place = tmp_path / "envs" / "p" / name
    place.mkdir(parents=True, exist_ok=True)
    return place


def plant(place: Path, owner: Owner, fields: str = '{"lifetime_s": 604800, "command": "train"}') -> Path:
    lease = place.parent / FOLDER / f"{place.name}.{owner}"
    lease.parent.mkdir(exist_ok=True)
    lease.write_text(fields)
    return lease


def test_a_lease_counts_until_it_is_released(tmp_path: Path) -> None:
    place = generation(tmp_path)
    lease = take_lease(place, ["python", "train.py"], {}, time.time())
    [found] = read_leases(place.parent)
    assert (found.digest, found.owner, found.command) == (place.name, this_process(), "python train.py")
    assert found.is_alive is True
    release_lease(lease)
    release_lease(lease)
    assert read_leases(place.parent) == []


def test_a_process_that_is_gone_has_none_on_its_own_host(tmp_path: Path) -> None:
    place = generation(tmp_path)
    lease = plant(place, DEAD)
    assert read_leases(place.parent) == []
    assert lease.exists(), "looking removes nothing"
    assert sweep_leases(place.parent) == 1
    assert not lease.exists()


def test_a_lease_of_another_host_is_believed_for_its_time(tmp_path: Path) -> None:
    place = generation(tmp_path)
    lease = plant(place, Owner("node17-0123abcd", 1, "1"))
    [found] = read_leases(place.parent)
    assert found.is_alive is None
    assert found.owner.label == "process 1 on node17"
    assert sweep_leases(place.parent) == 0
    make_older(lease, 8 * DAY_S)
    assert read_leases(place.parent) == []
    assert sweep_leases(place.parent) == 1


def test_a_lease_that_cannot_be_read_is_believed_as_long_as_any(tmp_path: Path) -> None:
    """It is being written, or its process was killed while it wrote."""
    place = generation(tmp_path)
    lease = plant(place, Owner("node17-0123abcd", 1, "1"), "")
    assert len(read_leases(place.parent)) == 1
    make_older(lease, LIFETIME_S + 100)
    assert read_leases(place.parent) == []


@pytest.mark.parametrize(
    ("end", "expected_s"),
    [("1000500", 1100.0), ("999", LIFETIME_S), ("", LIFETIME_S), ("tomorrow", LIFETIME_S)],
)
def test_the_end_of_the_job_ends_it(end: str, expected_s: float) -> None:
    assert lifetime_s({"SLURM_JOB_END_TIME": end} if end else {}, 1_000_000.0) == expected_s


def test_leases_never_become_many(tmp_path: Path) -> None:
    place = generation(tmp_path)
    for number in range(30):
        plant(place, Owner(DEAD.host, DEAD.pid + number, "1"))
    foreign = plant(place, Owner("node17-0123abcd", 1, "1"))
    take_lease(place, ["x"], {}, time.time())
    names = {lease.name for lease in (place.parent / FOLDER).iterdir()}
    assert names == {foreign.name, f"{place.name}.{this_process()}"}


def test_where_none_can_be_written_nothing_fails(tmp_path: Path) -> None:
    place = generation(tmp_path)
    (place.parent / FOLDER).write_text("a file")
    assert take_lease(place, ["x"], {}, time.time()) is None
    assert read_leases(place.parent) == []
    assert sweep_leases(place.parent) == 0
    assert take_lease(tmp_path / "nowhere" / "generation", ["x"], {}, time.time()) is None


def test_names_that_are_no_leases_are_passed_over(tmp_path: Path) -> None:
    place = generation(tmp_path)
    folder = place.parent / FOLDER
    folder.mkdir()
    for name in ("README", f"{place.name}.x", f"{place.name}.host.pid.1"):
        (folder / name).write_text("")
    assert read_leases(place.parent) == []


@pytest.mark.parametrize(("owner", "stays"), [(Owner("node17-0123abcd", 1, "1"), True), (DEAD, False)])
def test_a_leased_generation_is_not_collected(grounds: Grounds, owner: Owner, stays: bool) -> None:
    made = [grounds.create(prompt=f"p{number}") for number in range(3)]
    for time_s, each in enumerate(made):
        switch(grounds.venv, each, now_s=time_s)
    let_pass(grounds.tier)
    plant(made[0].path, owner)
    collect_generations(grounds.environments, grounds.venv, keep=1)
    assert made[0].path.exists() is stays
    assert not made[1].path.exists()
    assert os.path.exists(grounds.venv)
