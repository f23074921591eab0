"""What the end of a tier leaves: emptied scratch, files gone by age, a reboot. The next sync mends it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from support.distributions import make_wheel
from support.file_systems import mounted
from support.projects import Project
from support.simple_index import SimpleIndex

pytestmark = pytest.mark.skipif(os.name == "nt", reason="paths of the environment are POSIX here")

DAY_S = 24 * 3600
IMPORTS = "import used, used.often, unused, unused.rarely, alone; print('all there')"


@pytest.fixture
def synced(project: Project, index: SimpleIndex) -> Project:
    """``used`` and ``unused`` are folders; ``alone`` is one file."""
    index.add(
        make_wheel("used", files={"used/__init__.py": "", "used/often.py": "x = 1\n"}),
        make_wheel("unused", files={"unused/__init__.py": "", "unused/rarely.py": "x = 1\n"}),
        make_wheel("alone", files={"alone.py": "x = 1\n"}),
    )
    project.write("used", "unused", "alone")
    project.done("sync")
    assert "up to date" in project.done("sync").err
    return project


def generation(project: Project) -> Path:
    return project.venv.resolve()


def tree(project: Project, name: str) -> Path:
    """The folder of a package in the store."""
    found = [place for place in project.tier.glob(f"trees/*/lib/{name}*") if place.exists()]
    return found[0].parents[1]


def purge_by_age(project: Project, *, in_use: str) -> int:
    """Scratch after two months in which only this was done, and after a night in which a purge went by."""
    old_s = time.time() - 60 * DAY_S
    files = [place for place in project.tier.rglob("*") if place.is_file() and not place.is_symlink()]
    for place in files:
        os.utime(place, (old_s, old_s))
    project.python(in_use)
    gone = 0
    for place in files:
        if place.exists() and place.stat().st_atime < time.time() - 30 * DAY_S:
            place.unlink()
            gone += 1
    return gone


DAMAGES: dict[str, Callable[[Project], object]] = {
    "the tier": lambda project: shutil.rmtree(project.tier),
    "all trees": lambda project: shutil.rmtree(project.tier / "trees"),
    "all files": lambda project: [place.unlink() for place in project.tier.rglob("*") if place.is_file()],
    "all generations": lambda project: shutil.rmtree(project.tier / "envs"),
    "a generation's marker": lambda project: (generation(project) / "envforge-generation.json").unlink(),
    "its Python": lambda project: (generation(project) / "bin/python").unlink(),
    "what Python leads to": lambda project: dangle(generation(project) / "bin/python"),
    "what nobody reads": lambda project: (generation(project) / ".gitignore").unlink(),
    ".venv": lambda project: project.venv.unlink(),
}


def dangle(link: Path) -> None:
    link.unlink()
    link.symlink_to("/nowhere/python")


def whole(project: Project) -> None:
    assert project.python(IMPORTS) == "all there"
    assert project.done("verify", "--json").json["findings"] == []
    assert "up to date" in project.done("sync").err
    assert project.leftovers() == []


@pytest.mark.parametrize("what", DAMAGES)
def test_what_is_gone_is_put_back(synced: Project, what: str) -> None:
    DAMAGES[what](synced)
    synced.done(*(("run", "true") if what.startswith("a") else ("sync",)))
    whole(synced)


@pytest.mark.parametrize("mode", ["shared", "hardlink", "copy"])
def test_a_purge_by_age(synced: Project, mode: str) -> None:
    """Half of the files are gone, no folder is: nothing but the files themselves tells."""
    if mode == "shared":
        synced.write("used", "unused", "alone", "built")  # one from an sdist, too
    synced.done("sync", "--link-mode", mode)
    assert purge_by_age(synced, in_use="import used.often") > 10
    assert generation(synced).is_dir()
    assert tree(synced, "unused").is_dir()
    planned = synced.envforge("sync", "--check", "--json", "--link-mode", mode)
    assert (planned.code, planned.json["repaired"] or planned.json["changed"]) == (1, True)
    report = synced.done("sync", "--json", "--link-mode", mode).json
    assert report["changes"] == [] or report["changed"]
    assert synced.python(IMPORTS) == "all there"
    assert synced.done("verify", "--json").json["findings"] == []
    assert synced.leftovers() == []


def test_scratch_of_a_job_is_made_again_without_network(
    project: Project, index: SimpleIndex, tmp_path: Path
) -> None:
    """The tier goes with the job; the archives are kept elsewhere."""
    project.write("core", "app")
    project.done("lock")
    with mounted("tmpfs", tmp_path / "job") as scratch:
        project.variables |= {"SLURM_TMPDIR": str(scratch), "ENVFORGE_TIER": str(scratch / "tier")}
        project.done("sync")
        for place in scratch.iterdir():
            shutil.rmtree(place)
        index.forget()
        assert project.done("run", "--offline", "app").out == "app with core 1.2.0\n"
        assert "up to date" in project.done("sync", "--offline").err
    assert not index.requests


def test_an_unchanged_sync_notices_a_purge(synced: Project) -> None:
    """What it looks at goes first: it does not vouch for what is no longer there."""
    purged = tree(synced, "unused")
    for listing in synced.tier.glob("trees/*.files"):
        old_s = time.time() - (60 if listing.stem == purged.name else 10) * DAY_S
        os.utime(listing, (old_s, old_s))
    (generation(synced).parent / f"{generation(synced).name}.stamp").unlink()
    synced.done("sync")
    assert "up to date" in synced.done("sync").err
    for place in purged.rglob("*"):
        if place.is_file():
            place.unlink()
    purged.with_suffix(".files").unlink()
    said = synced.done("sync").err
    assert "what was gone is back" in said
    whole(synced)


def test_an_environment_that_is_gone_as_a_whole_is_told(synced: Project) -> None:
    shutil.rmtree(synced.tier)
    assert "what was gone is back" in synced.done("sync").err
    whole(synced)


def test_at_once(synced: Project, index: SimpleIndex) -> None:
    """Several notice it together: each package is fetched again once."""
    purge_by_age(synced, in_use="import used.often")
    index.forget()
    processes = [
        synced.start("run", "python", "-c", "import unused.rarely, used.often, alone") for _ in range(6)
    ]
    for process in processes:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    assert set(index.downloads.values()) <= {1}
    whole(synced)


def test_a_python_that_is_gone(project: Project, tmp_path: Path) -> None:
    """A generation on a Python that was removed is of no use: another Python is looked for."""
    project.write("core")
    project.variables["ENVFORGE_PYTHON"] = ""
    del project.variables["ENVFORGE_PYTHON"]
    project.done("sync")
    before = generation(project)
    dangle(before / "bin/python")
    dangle(before / "bin/python3")
    assert project.done("run", "python", "-c", "import core")
    project.python("import core")


def test_the_last_ones_processes_keep_running(synced: Project) -> None:
    """Repair puts new folders beside a running job's: it is not made worse."""
    code = "import used, sys; print('up', flush=True); input(); import used.often; print('done')"
    with subprocess.Popen(
        [synced.venv / "bin/python", "-I", "-c", code],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as job:  # fmt: skip
        assert job.stdout is not None
        assert job.stdout.readline() == "up\n"
        purge_by_age(synced, in_use="import used.often")
        synced.done("sync")
        out, _ = job.communicate("\n", timeout=20)
    assert out == "done\n"
