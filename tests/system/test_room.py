"""Room is looked for before anything is downloaded; places that cannot be used are told."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from support.distributions import make_wheel
from support.file_systems import mounted, remount
from support.nodes import require_nodes, shared_folder
from support.projects import Project
from support.simple_index import SimpleIndex

pytestmark = pytest.mark.skipif(os.name == "nt", reason="file systems are made on POSIX")


@pytest.fixture
def large(project: Project, index: SimpleIndex) -> Project:
    """A project that needs three megabytes and some files."""
    index.add(make_wheel("big", padding=3_000_000), *(make_wheel(f"part-{number}") for number in range(12)))
    project.write("big", *(f"part-{number}" for number in range(12)))
    project.done("lock")
    index.forget()
    return project


def test_too_small(large: Project, index: SimpleIndex, tmp_path: Path) -> None:
    with mounted("tmpfs", tmp_path / "small", size_mb=2) as small:
        failed = large.fails(
            "sync", "--tier", str(small / "tier"), says=["not enough room", "needed: at least 3.0 MB"]
        )
        assert "free: 2." in failed.err or "free: 1." in failed.err
        assert "--tier DIR" in failed.err
        assert "envforge cache prune" in failed.err
        assert not index.downloads
        remount(small, "size=5m")
        said = large.done("sync", "--dry-run", "--tier", str(small / "tier")).err
        assert f"Needs about 9.9 MB in 1,118 files in {small}/tier (free: " in said
    large.done("sync")


def test_too_few_inodes(large: Project, index: SimpleIndex, tmp_path: Path) -> None:
    with mounted("tmpfs", tmp_path / "starved", size_mb=200, inode_count=90) as starved:
        tier = str(starved / "tier")
        large.fails("sync", "--tier", tier, says=["not enough room", "and 127 files", "free: "])
        assert not index.downloads
        subprocess.run(["mount", "-o", "remount,nr_inodes=300", str(starved)], check=True)
        said = large.envforge("sync", "--tier", tier).err
        assert "warning: there may not be enough room" in said
        report = large.envforge("sync", "--dry-run", "--json", "--tier", tier).json
        assert report["room"] == [] or report["room"][0]["free_files"] < 300


def test_kept_archives_count_where_they_are_kept(large: Project, index: SimpleIndex, tmp_path: Path) -> None:
    """The tier goes with the job, the archives stay elsewhere: both are looked at."""
    with (
        mounted("tmpfs", tmp_path / "job", size_mb=200) as job,
        mounted("tmpfs", tmp_path / "home", size_mb=2) as home,
    ):
        large.variables |= {"SLURM_TMPDIR": str(job), "ENVFORGE_CACHE_DIR": str(home / "cache")}
        report = large.done("sync", "--dry-run", "--json", "--tier", str(job / "tier")).json
        assert [place["folders"] for place in report["room"]] == [[f"{job}/tier"], [f"{home}/cache/archives"]]
        large.fails("sync", "--tier", str(job / "tier"), says=[f"not enough room in {home}/cache/archives"])
        assert not index.downloads


def test_places_that_cannot_be_used(large: Project, index: SimpleIndex, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for tier, says in {
        "/proc/1/tier": "no folder can be made there",
        str(tmp_path / "file"): "no folder",
        "/dev/null/tier": "what is above it is no folder",
    }.items():
        failed = large.fails("sync", "--tier", tier, says=[says])
        assert "--tier DIR" in failed.err
    with mounted("tmpfs", tmp_path / "fixed", size_mb=20) as fixed:
        remount(fixed, "ro")
        large.fails("sync", "--tier", str(fixed / "tier"), says=["read-only", "--tier DIR"])
    assert not index.downloads


def test_a_mount_that_is_gone(large: Project, tmp_path: Path) -> None:
    """A server that went away: what was there is out of reach, and comes back with it."""
    require_nodes()
    with shared_folder(tmp_path / "real", tmp_path / "mount") as mount:
        tier = f"{mount}/tier"
        large.done("sync", "--tier", tier)
        daemon = subprocess.run(
            ["pgrep", "-f", f"bindfs {tmp_path}/real {mount}"], capture_output=True, text=True
        )
        subprocess.run(["kill", "-9", *daemon.stdout.split()], check=True)
        for words in (("sync", "--tier", tier), ("sync", "--tier", f"{mount}/other")):
            large.fails(*words, says=["not connected any more", "mount it again"])
        assert "the environment is gone" in large.envforge("verify").err
        large.done("sync")  # to another place
        large.python("import big")
    with shared_folder(tmp_path / "real", tmp_path / "mount"):
        large.done("sync", "--tier", tier, "--offline")
        large.python("import big")
