"""The candidates of hosts, and what this host's places are."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from envforge.host.mounts import parse_mountinfo, read_mounts
from envforge.host.storage import _all_in_time, describe, describe_named, find_storage
from envforge.host.storage_candidates import Offer, find_offers
from envforge.model.storage import DeviceKind, Life, Origin, Reach

MOUNTS = Path(__file__).parent / "mounts"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="out of /proc")


def bases(offers: list[Offer]) -> dict[str, tuple[Origin, Life]]:
    return {offer.base: (offer.origin, offer.life) for offer in offers}


def test_the_cache_folder_comes_first(tmp_path: Path) -> None:
    offers = find_offers({"SCRATCH": "/s", "WORK": "/w", "SLURM_TMPDIR": "/j"}, tmp_path, ())
    assert offers[0].base == str(tmp_path)
    assert offers[0].own


def test_what_schedulers_and_sites_name(tmp_path: Path) -> None:
    environ = {
        "SLURM_JOB_ID": "4711",
        "SLURM_TMPDIR": "/localscratch/jo.4711.0/",
        "TMPDIR": "/tmp/slurm.4711",
        "WORK": "/work/jo",
        "SCRATCH": "/scratch/jo",
        "PBS_JOBFS": "relative",
        "JOBFS": "/",
    }
    found = bases(find_offers(environ, tmp_path, ()))
    assert found["/localscratch/jo.4711.0"] == (Origin.JOB, Life.JOB)
    assert found["/tmp/slurm.4711"] == (Origin.JOB, Life.JOB)
    assert found["/work/jo"] == (Origin.WORK, Life.KEPT)
    assert found["/scratch/jo"] == (Origin.SCRATCH, Life.PURGED)
    assert "relative" not in found
    assert "/" not in found


@pytest.mark.parametrize("folder", ["/tmp", "/tmp/", "/var/tmp", ""])
def test_everybodys_tmp_is_not_thought_of(tmp_path: Path, folder: str) -> None:
    for job in ({}, {"SLURM_JOB_ID": "1"}):
        found = bases(find_offers({"TMPDIR": folder, **job}, tmp_path, ()))
        assert folder.rstrip("/") not in found


def test_tmpdir_outside_of_a_job_may_be_cleaned(tmp_path: Path) -> None:
    found = bases(find_offers({"TMPDIR": "/fast/tmp"}, tmp_path, ()))
    assert found["/fast/tmp"] == (Origin.SCRATCH, Life.PURGED)


def test_memory_lives_as_long_as_the_job(tmp_path: Path) -> None:
    for environ, life in (({}, Life.REBOOT), ({"PBS_JOBID": "1"}, Life.JOB)):
        found = bases(find_offers(environ, tmp_path, ()))
        assert found["/dev/shm"] == (Origin.MEMORY, life)


def test_of_mnt_only_local_disks_are_taken(tmp_path: Path) -> None:
    """A share is somebody's data; and one whose server is gone would hang us."""
    mounts = parse_mountinfo((MOUNTS / "laptop.txt").read_text())
    found = [base for base in bases(find_offers({}, tmp_path, mounts)) if base.startswith("/mnt")]
    assert found == ["/mnt/stick", "/mnt/data\\ 1"]


def test_one_folder_is_one_candidate(tmp_path: Path) -> None:
    offers = find_offers({"SCRATCH": "/dev/shm", "WORK": str(tmp_path)}, tmp_path, ())
    assert [offer.base for offer in offers].count("/dev/shm") == 1
    assert [offer.base for offer in offers].count(str(tmp_path)) == 1


def test_the_homes_own_cache_folder_where_the_cache_is_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    environ = {"HOME": str(tmp_path / "home")}
    elsewhere = bases(find_offers(environ, tmp_path / "cache", ()))
    assert elsewhere[f"{tmp_path}/home/.cache/envforge"] == (Origin.HOME, Life.KEPT)
    inside = bases(find_offers(environ, tmp_path / "home" / "c", ()))
    assert f"{tmp_path}/home/.cache/envforge" not in inside


def test_above_a_project_the_highest_folder_that_is_ours(tmp_path: Path) -> None:
    project = tmp_path / "data" / "me" / "project"
    project.mkdir(parents=True)
    found = [
        offer for offer in find_offers({}, tmp_path / "cache", (), project) if offer.origin is Origin.PROJECT
    ]
    assert len(found) == 1
    assert project.is_relative_to(found[0].base)
    assert Path(found[0].base) != project
    assert not [
        offer
        for offer in find_offers({}, tmp_path / "cache", (), tmp_path / "gone")
        if offer.origin is Origin.PROJECT
    ]


def test_what_the_temporary_folder_is(tmp_path: Path) -> None:
    offer = Offer(
        base=str(tmp_path / "a" / "b"), origin=Origin.CACHE, offered_by="x", life=Life.KEPT, own=True
    )
    place = describe(offer, read_mounts(), {})
    room = os.statvfs(tmp_path)
    assert (place.folder, place.base, place.fault) == (str(tmp_path / "a" / "b"), str(tmp_path), "")
    assert place.total_bytes == room.f_blocks * room.f_frsize
    assert place.mount_point == str(next(each for each in (tmp_path, *tmp_path.parents) if each.is_mount()))
    assert not (tmp_path / "a").exists()


def test_memory_is_memory() -> None:
    if not os.path.ismount("/dev/shm"):
        pytest.skip("no /dev/shm")
    place = describe_named("/dev/shm/x", {}, Path("/c"))
    assert (place.reach, place.device_kind, place.life) == (Reach.MEMORY, DeviceKind.MEMORY, Life.REBOOT)


def test_a_named_folder_lives_as_long_as_the_place_it_is_in(tmp_path: Path) -> None:
    for environ, life in (
        ({}, Life.KEPT),
        ({"SCRATCH": str(tmp_path)}, Life.PURGED),
        ({"SCRATCH": str(tmp_path), "SLURM_TMPDIR": f"{tmp_path}/job"}, Life.JOB),
    ):
        assert describe_named(f"{tmp_path}/job/x", environ, Path("/c")).life is life


@pytest.mark.parametrize("base", ["/proc", "/sys", "/gone"])
def test_places_that_cannot_be_used(base: str) -> None:
    offer = Offer(base=base, origin=Origin.SCRATCH, offered_by="$SCRATCH", life=Life.PURGED)
    assert describe(offer, read_mounts(), {}).fault


def test_a_place_on_the_file_system_of_another_is_not_shown_twice(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    storage = find_storage({"SCRATCH": str(tmp_path / "scratch")}, tmp_path / "cache")
    assert str(tmp_path / "cache") in [place.folder for place in storage.places]
    assert not [place for place in storage.places if place.folder.startswith(str(tmp_path / "scratch"))]


def test_a_place_that_does_not_answer_is_left() -> None:
    forever = threading.Event()
    start_s = time.monotonic()
    answers = _all_in_time([lambda: 1, lambda: forever.wait(30), lambda: 3], 0.1)
    forever.set()
    assert answers == [1, None, 3]
    assert time.monotonic() - start_s < 5


def test_what_this_host_has_is_consistent() -> None:
    storage = find_storage(dict(os.environ), Path("/tmp/of-nobody/cache"), Path.cwd())
    folders = [place.folder for place in storage.places]
    assert len(folders) == len(set(folders))
    assert all(place.fault or place.total_bytes for place in storage.places)
