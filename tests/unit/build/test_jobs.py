"""How many compilers at once: by processors, memory, quotas, and what the user says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from envforge.build.jobs import count_jobs, with_jobs

GIB = 1 << 30
needs_linux = pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="/proc is Linux's")


def make_root(folder: Path, *, available: int, quota: str = "") -> Path:
    """A ``/proc`` and ``/sys`` that say how much there is."""
    group = folder / "sys/fs/cgroup/job"
    group.mkdir(parents=True)
    (folder / "proc/self").mkdir(parents=True)
    (folder / "proc/meminfo").write_text(f"MemAvailable: {available // 1024} kB\n")
    (folder / "proc/self/cgroup").write_text("0::/job\n")
    if quota:
        (group / "cpu.max").write_text(f"{quota}\n")
    return folder


@needs_linux
def test_memory_bounds_it_and_one_is_the_least(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    assert count_jobs({}, make_root(tmp_path / "a", available=30 * GIB)) == 10
    assert count_jobs({}, make_root(tmp_path / "b", available=GIB)) == 1
    assert count_jobs({}, make_root(tmp_path / "c", available=1000 * GIB)) == 64
    assert count_jobs({"SLURM_MEM_PER_NODE": "6144"}, tmp_path / "c") == 2


@needs_linux
def test_a_quota_of_processors_bounds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    assert count_jobs({}, make_root(tmp_path / "a", available=900 * GIB, quota="400000 100000")) == 4
    assert count_jobs({}, make_root(tmp_path / "b", available=900 * GIB, quota="50000 100000")) == 1
    assert count_jobs({}, make_root(tmp_path / "c", available=900 * GIB, quota="max 100000")) == 64


def test_the_user_decides(tmp_path: Path):
    assert with_jobs({"MAX_JOBS": "5"})["CMAKE_BUILD_PARALLEL_LEVEL"] == "5"
    told = with_jobs({"MAX_JOBS": "5", "CMAKE_BUILD_PARALLEL_LEVEL": "2", "A": "b"})
    assert told == {"MAX_JOBS": "5", "CMAKE_BUILD_PARALLEL_LEVEL": "2", "A": "b"}
    found = with_jobs({})
    assert int(found["MAX_JOBS"]) >= 1
