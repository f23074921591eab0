"""Syncs that find their tier: a job with a scratch of its own, a home on a slow network."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.file_systems import mounted
from support.projects import Project

pytestmark = pytest.mark.skipif(
    any(Path("/").glob("local*")) or Path("/scratch").exists(),
    reason="this host has places of its own, which would be chosen",
)


@pytest.fixture
def job(project: Project, tmp_path: Path) -> Iterator[Path]:
    """The folder of a batch job on a local disk; the project and the home are far."""
    with (
        mounted("slow", tmp_path / "far") as home,
        mounted("ext4", tmp_path / "disk", size_mb=20_000) as disk,
    ):
        project.home = home
        project.root = home / "project"
        project.root.mkdir()
        project.variables = {
            "ENVFORGE_CACHE_DIR": "",
            "SLURM_JOB_ID": "4711",
            "SLURM_TMPDIR": str(disk / "4711"),
        }
        (disk / "4711").mkdir()
        yield disk / "4711"


def test_a_job_syncs_to_its_scratch_and_keeps_archives_at_home(project: Project, job: Path) -> None:
    project.write("app")
    project.done("sync")
    assert project.venv.resolve().is_relative_to(job / "envforge/tier/envs")
    assert project.python("import app; app.main()") == "app with core 1.2.0"
    cache = project.home / ".cache/envforge"
    assert not (cache / "tier").exists()
    assert len(list((cache / "archives").rglob("*.whl"))) == 2
    before = project.state()
    assert "up to date" in project.done("sync").err
    assert project.state() == before

    # the scratch was purged: what was downloaded is still there
    shutil.rmtree(job / "envforge")
    project.done("sync", "--offline")
    assert project.python("import app; app.main()") == "app with core 1.2.0"

    # the next job has another scratch
    following = job.with_name("4712")
    following.mkdir()
    project.variables.update(SLURM_JOB_ID="4712", SLURM_TMPDIR=str(following))
    project.done("sync", "--offline")
    assert project.venv.resolve().is_relative_to(following / "envforge/tier/envs")
    assert project.python("import app; app.main()") == "app with core 1.2.0"


def test_many_at_once_agree_on_the_tier(project: Project, job: Path) -> None:
    project.write("app")
    project.done("lock")
    started = [project.start("sync", "--frozen") for _ in range(6)]
    for process in started:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    assert project.venv.resolve().is_relative_to(job / "envforge/tier/envs")
    assert not list((project.home / ".cache/envforge/storage").glob("*.probing"))
    assert not list(job.glob(".envforge-probe-*"))


def test_tiers_tells_why(project: Project, job: Path) -> None:
    shown = project.done("tiers", "--json").json
    assert shown["tier"] == str(job / "envforge/tier")
    assert shown["keeps_archives"] is True
    assert shown["job"] == "SLURM job 4711"
    reasons = {place["folder"]: place["reason"] for place in shown["places"]}
    assert "goes with the job" in reasons[str(job / "envforge")]
    assert "archives" in reasons[str(project.home / ".cache/envforge")]
    slow = next(place for place in shown["places"] if place["uses"] == ["archives"])
    assert slow["reach"] == "shared"
    assert slow["rates"]["create_s"] > 0.002
