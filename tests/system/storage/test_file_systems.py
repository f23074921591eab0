"""The main road on real file systems, and disks that are full, out of inodes, read-only, or without links."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.distributions import make_wheel
from support.file_systems import LINUX_KINDS, mounted, remount
from support.projects import Project
from support.simple_index import SimpleIndex

WANTED = {"app": "3.1", "core": "1.2.0", "space-one": "1.0", "space-two": "1.0", "coupled": "1.0"}


def write(project: Project) -> None:
    project.write("app", "space-one", "space-two", "coupled")


@pytest.fixture
def index(index: SimpleIndex) -> SimpleIndex:
    index.add(make_wheel("coupled", files={f"coupled/part{number}.py": "" for number in range(8)}))
    return index


def walk_main_road(project: Project, index: SimpleIndex) -> None:
    """Sync, use, verify, break, mend, sync again."""
    begin_main_road(project, index)
    [broken] = project.tier.glob("trees/*/lib/coupled/part7.py")
    broken.chmod(0o644)
    broken.write_text("broken = True")
    assert project.envforge("verify").code == 1
    project.done("verify", "--repair")
    assert project.done("verify", "--json").json["findings"] == []
    project.write("core")
    project.done("sync")
    assert project.installed() == {"core": "1.2.0"}
    assert project.leftovers() == []


def begin_main_road(project: Project, index: SimpleIndex) -> None:
    write(project)
    project.done("sync")
    assert project.installed() == WANTED
    assert project.done("run", "app").out == "app with core 1.2.0\n"
    project.python("import space.one, space.two, coupled.part7")
    assert project.done("verify", "--json").json["findings"] == []
    index.forget()
    assert "up to date" in project.done("sync").err
    project.venv.unlink()
    project.done("sync")
    assert index.downloads == {}


@pytest.mark.parametrize("kind", LINUX_KINDS)
def test_the_main_road(kind: str, tmp_path: Path, index: SimpleIndex) -> None:
    with mounted(kind, tmp_path / "disk") as place:
        walk_main_road(Project(place, index.url), index)


def test_a_slow_network_disk(tmp_path: Path, index: SimpleIndex) -> None:
    with mounted("slow", tmp_path / "disk") as place:
        project = Project(place, index.url)
        begin_main_road(project, index)
        assert project.leftovers() == []


def test_a_disk_without_links(tmp_path: Path, index: SimpleIndex) -> None:
    """A memory card's file system: refused before anything is fetched, and of use for archives and caches."""
    with mounted("linkless", tmp_path / "disk") as place:
        project = Project(tmp_path, index.url)
        project.variables["ENVFORGE_TIER"] = str(place / "tier")
        write(project)
        project.done("lock")
        project.fails("sync", says=["there cannot be a store here", "has no symbolic links", "--tier"])
        assert index.downloads == {}
        assert list(place.glob("tier/*/*")) == []
        del project.variables["ENVFORGE_TIER"]
        project.cache = place / "cache"
        project.variables["ENVFORGE_TIER"] = str(tmp_path / "tier")
        project.done("sync")
        assert project.installed() == WANTED


def test_the_main_road_with_store_and_project_apart(tmp_path: Path, index: SimpleIndex) -> None:
    with mounted("ext4", tmp_path / "disk") as place:
        project = Project(tmp_path, index.url, cache=place / "cache")
        walk_main_road(project, index)


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted("tmpfs", tmp_path / "disk", size_mb=64) as place:
        yield place


def fill(file: Path, leave_mb: int) -> None:
    """Write until so much is left of a disk."""
    with open(file, "wb") as ballast:
        while os.statvfs(file.parent).f_bavail * os.statvfs(file.parent).f_frsize > leave_mb << 20:
            ballast.write(bytes(1 << 20))
            ballast.flush()


def test_a_disk_that_fills_up_in_the_middle(full_disk: Path, tmp_path: Path, index: SimpleIndex) -> None:
    index.add(*(make_wheel(f"big-{number}", padding=3_000_000) for number in range(5)))
    project = Project(tmp_path, index.url, cache=full_disk / "cache")
    project.write("core")
    project.done("sync")
    project.write("core", *(f"big-{number}" for number in range(5)))
    project.done("lock")
    before = project.state()
    index.forget()
    index.block_delay_s = 0.005
    with project.start("sync") as process:
        assert index.begun.wait(20)
        fill(full_disk / "ballast", leave_mb=4)  # somebody else's, after it was looked whether there is room
        _, told = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "no space left" in told and "free: 0." in told and "--tier" in told
    assert "Traceback" not in told
    assert project.state() == before
    assert project.leftovers() == []
    assert project.installed() == {"core": "1.2.0"}
    assert project.done("verify", "--json").json["findings"] == []
    (full_disk / "ballast").unlink()
    project.done("sync")
    assert len(project.installed()) == 6
    assert project.done("verify", "--json").json["findings"] == []
    assert project.leftovers() == []


@pytest.mark.parametrize("kind", ["tmpfs", "ext4"])
def test_a_disk_without_inodes(kind: str, tmp_path: Path, index: SimpleIndex) -> None:
    many = {f"many/part{number}.py": "" for number in range(400)}
    index.add(make_wheel("many", files={"many/__init__.py": "", **many}))
    with mounted(kind, tmp_path / "disk", size_mb=64, inode_count=300) as place:
        project = Project(tmp_path, index.url, cache=place / "cache")
        project.write("core")
        project.done("sync")
        project.write("core", "many")
        project.done("lock")
        told = project.fails("sync", says=["no space left", "free inodes: "])
        assert "Traceback" not in told.err
        assert project.installed() == {"core": "1.2.0"}
        if kind == "tmpfs":
            remount(place, "nr_inodes=5000")
            project.done("sync")
            assert project.installed() == {"core": "1.2.0", "many": "1.0"}
        project.write("core")
        project.done("sync")
        assert project.leftovers() == []


@pytest.mark.parametrize("kind", ["tmpfs", "ext4"])
def test_a_disk_that_is_read_only(kind: str, tmp_path: Path, index: SimpleIndex) -> None:
    with mounted(kind, tmp_path / "disk") as place:
        project = Project(tmp_path, index.url, cache=place / "cache")
        write(project)
        project.done("sync")
        remount(place, "ro")
        assert "up to date" in project.done("sync").err
        assert project.done("run", "app").out == "app with core 1.2.0\n"
        assert project.done("verify", "--json").json["findings"] == []
        project.venv.unlink()
        project.done("sync")  # needs a link in the project only
        assert project.installed() == WANTED
        project.write("core", "lint")
        project.fails("sync", says=["the file system is read-only", "--tier"])
        remount(place, "rw")
        project.done("sync")
        assert project.installed() == {"core": "1.2.0", "lint": "1.0"}


def test_a_tier_that_vanishes_and_comes_back(tmp_path: Path, index: SimpleIndex) -> None:
    """Scratch that is emptied between two jobs."""
    project = Project(tmp_path, index.url)
    project.variables["ENVFORGE_TIER"] = str(tmp_path / "disk" / "mnt" / "tier")
    write(project)
    for _ in range(2):
        with mounted("tmpfs", tmp_path / "disk"):
            project.done("sync")
            assert project.installed() == WANTED
            assert project.done("verify", "--json").json["findings"] == []
        shutil.rmtree(tmp_path / "disk")
    assert not os.path.exists(project.venv)


def test_environments_and_store_on_disks_without_hard_links_between(
    tmp_path: Path, index: SimpleIndex
) -> None:
    """``--link-mode hardlink`` where the tree is the site's, on another file system: copies, told once."""
    with mounted("tmpfs", tmp_path / "disk") as place:
        admin = Project(tmp_path, index.url, cache=place / "cache", name="admin")
        write(admin)
        admin.done("sync")
        index.forget()
        project = Project(tmp_path, index.url)
        project.variables["ENVFORGE_SITE_STORE"] = str(admin.tier)
        write(project)
        told = project.done("sync", "--link-mode", "hardlink")
        assert told.err.count("could not be hard-linked: Invalid cross-device link") == 1
        assert index.downloads == {}
        assert project.installed() == WANTED
        assert project.done("verify", "--json").json["findings"] == []
