"""A cache that a group shares, and a site's store that others only read; with real users."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.distributions import make_wheel
from support.file_systems import mounted, remount
from support.projects import Project
from support.simple_index import SimpleIndex
from support.users import ANNE, BEN, MakeProject

PARTS = [f"part-{number}" for number in range(6)]


@pytest.fixture
def index(index: SimpleIndex) -> SimpleIndex:
    index.add(*(make_wheel(name, padding=20_000) for name in PARTS))
    return index


def test_a_group_shares_its_cache(shared_cache: Path, of_user: MakeProject, index: SimpleIndex) -> None:
    anne, ben = of_user(ANNE, shared_cache), of_user(BEN, shared_cache)
    anne.write(*PARTS[:5])
    anne.done("sync")
    index.forget()
    ben.write(*PARTS[1:], "app")
    ben.done("sync")
    assert set(index.downloads) == {"part_5-1.0-py3-none-any.whl", "app-3.1-py3-none-any.whl"} | {
        name for name in index.downloads if name.startswith("core-")
    }
    assert set(ben.installed()) == {*PARTS[1:], "app", "core"}
    for project in (anne, ben):
        assert project.done("verify", "--json").json["findings"] == []
        project.write("core")
        project.done("sync")
    # each swept for themselves, and nothing is left that one of them could not read or go on with
    assert anne.leftovers() == []


def test_a_group_at_once(shared_cache: Path, of_user: MakeProject, index: SimpleIndex) -> None:
    index.block_delay_s = 0.01
    projects = [of_user(ANNE, shared_cache), of_user(BEN, shared_cache, umask="022")]
    for project in projects:
        project.write(*PARTS)
    processes = [project.start("sync") for project in projects for _ in range(2)]
    for process in processes:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    assert set(index.downloads.values()) == {1}
    for project in projects:
        assert set(project.installed()) == {*PARTS}
        assert project.done("verify", "--json").json["findings"] == []


def test_the_store_of_another_user(open_folder: Path, of_user: MakeProject, index: SimpleIndex) -> None:
    anne = of_user(ANNE, umask="022")
    anne.write(*PARTS)
    anne.done("sync")
    ben = of_user(BEN)
    ben.write("core")
    ben.variables["ENVFORGE_TIER"] = str(anne.tier)
    ben.done("lock")
    told = ben.fails("sync", says=["permission denied", "ENVFORGE_SITE_STORE", "chmod g+rwxs"])
    assert f"belongs to user {ANNE}" in told.err


@pytest.fixture
def site(open_folder: Path, index: SimpleIndex, tmp_path: Path) -> Iterator[Project]:
    """A store on a disk that is read-only by now; an administrator has synced some packages into it."""
    with mounted("tmpfs", open_folder / "disk") as place:
        admin = Project(tmp_path, index.url, cache=place / "cache", name="admin")
        admin.variables["ENVFORGE_TIER"] = str(place / "software")
        admin.write(*PARTS, "app")
        admin.done("sync")
        remount(place, "ro")
        index.forget()
        yield admin


def software(site: Project) -> Path:
    return Path(site.variables["ENVFORGE_TIER"])


def test_what_the_site_has_is_not_fetched(site: Project, of_user: MakeProject, index: SimpleIndex) -> None:
    ben = of_user(BEN)
    ben.variables["ENVFORGE_SITE_STORE"] = str(software(site))
    ben.write(*PARTS, "app", "lint")
    ben.done("sync")
    assert index.downloads == {"lint-1.0-py3-none-any.whl": 1}
    assert set(ben.installed()) == {*PARTS, "app", "core", "lint"}
    assert ben.done("run", "app").out == "app with core 1.2.0\n"
    assert ben.done("verify", "--json").json["findings"] == []
    assert len([tree for tree in ben.tier.glob("trees/*") if tree.is_symlink()]) == len(PARTS) + 2
    assert "up to date" in ben.done("sync").err
    assert ben.leftovers() == []
    ben.variables["ENVFORGE_CACHE_DIR"] = str(ben.cache)
    ben.done("sync", "--offline", "--link-mode", "copy")
    assert set(ben.installed()) == {*PARTS, "app", "core", "lint"}


def test_a_site_that_vanishes(site: Project, of_user: MakeProject, index: SimpleIndex) -> None:
    ben = of_user(BEN)
    ben.variables["ENVFORGE_SITE_STORE"] = str(software(site))
    ben.write(*PARTS)
    ben.done("sync")
    remount(software(site).parent, "rw")
    software(site).rename(software(site).with_name("away"))
    told = ben.done("sync")
    assert "is not used: there is no store" in told.err
    assert set(index.downloads.values()) == {1} and len(index.downloads) == len(PARTS)
    assert set(ben.installed()) == {*PARTS}
    assert ben.done("verify", "--json").json["findings"] == []
    assert not any(tree.is_symlink() for tree in ben.tier.glob("trees/*"))


def test_a_site_that_is_damaged_or_newer(site: Project, of_user: MakeProject, index: SimpleIndex) -> None:
    ben = of_user(BEN)
    ben.variables["ENVFORGE_SITE_STORE"] = str(software(site))
    ben.write(*PARTS)
    ben.done("sync")
    remount(software(site).parent, "rw")
    [module] = software(site).glob("trees/*/lib/part_3/__init__.py")
    module.chmod(0o644)
    module.write_text("damaged = True")
    assert ben.envforge("verify").code == 1
    ben.done("verify", "--repair")
    assert index.downloads == {"part_3-1.0-py3-none-any.whl": 1}
    assert ben.done("verify", "--json").json["findings"] == []
    assert module.read_text() == "damaged = True"
    (software(site) / "store").write_text('{"format": 2}')
    ben.write(*PARTS, "core")
    told = ben.done("sync")
    assert "is not used: the store has layout 2, this envforge knows 1" in told.err
    assert set(ben.installed()) == {*PARTS, "core"}
