"""Projects that were deleted or moved are told from those that only cannot be seen at the moment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from envforge.environment.collect import survey_generations
from envforge.environment.switch import switch
from envforge.environment.tenants import FILE, ProjectState, find_tenant, record_tenant, tenant_folders
from envforge.environment.venv_link import new_host_link, write_host_link
from envforge.plan.prune import Stay

from support.ages import DAY_S, let_pass
from support.environments import Grounds

NOW_S = time.time()


@pytest.fixture
def settled(grounds: Grounds) -> Grounds:
    """A project with an environment, as ``sync`` leaves it."""
    switch(grounds.venv, grounds.create(), now_s=1)
    record_tenant(grounds.environments, grounds.project)
    (grounds.project / "pyproject.toml").write_text("")
    (grounds.root / "other").mkdir()
    return grounds


def state(grounds: Grounds) -> ProjectState:
    return find_tenant(grounds.environments, NOW_S).state


def note(grounds: Grounds, **changes: str) -> None:
    fields = json.loads((grounds.environments / FILE).read_text())
    (grounds.environments / FILE).write_text(json.dumps({**fields, **changes}))


def test_a_project_that_is_here(settled: Grounds) -> None:
    tenant = find_tenant(settled.environments, NOW_S)
    assert (tenant.root, tenant.state, tenant.lost_s) == (str(settled.project), ProjectState.HERE, None)
    assert tenant_folders(settled.tier) == [settled.environments]


def test_a_relative_link_leads_here_too(settled: Grounds) -> None:
    target = os.path.relpath(settled.venv.readlink(), settled.project)
    settled.venv.unlink()
    settled.venv.symlink_to(target)
    assert state(settled) is ProjectState.HERE


def test_a_deleted_project_is_gone_since_it_was_noticed(settled: Grounds) -> None:
    shutil.rmtree(settled.project)
    first = find_tenant(settled.environments, NOW_S)
    assert first.state is ProjectState.GONE
    assert first.lost_s is not None
    later = find_tenant(settled.environments, NOW_S + 1e6)
    assert later.lost_s == pytest.approx(first.lost_s, abs=60)


def test_a_project_that_comes_back_was_never_lost(settled: Grounds) -> None:
    settled.project.rename(settled.root / "moved")
    assert state(settled) is ProjectState.GONE
    (settled.root / "moved").rename(settled.project)
    assert find_tenant(settled.environments, NOW_S).lost_s is None
    settled.project.rename(settled.root / "moved")
    os.utime(settled.project.parent)
    assert find_tenant(settled.environments, NOW_S).lost_s is not None


@pytest.mark.parametrize("instead", ["nothing", "folder", "link"])
def test_a_venv_that_leads_elsewhere(settled: Grounds, instead: str) -> None:
    settled.venv.unlink()
    if instead == "folder":
        settled.venv.mkdir()
    elif instead == "link":
        settled.venv.symlink_to(settled.root / "other")
    tenant = find_tenant(settled.environments, NOW_S)
    assert tenant.state is ProjectState.ELSEWHERE
    assert tenant.lost_s is not None


def test_a_parent_that_is_not_there_is_not_mounted(settled: Grounds) -> None:
    home = settled.root / "home"
    home.mkdir()
    project = settled.project.rename(home / "project")
    record_tenant(settled.environments, project)
    home.rename(settled.root / "away")
    tenant = find_tenant(settled.environments, NOW_S)
    assert (tenant.state, tenant.lost_s) == (ProjectState.UNREACHABLE, None)


def test_an_empty_parent_is_a_place_where_nothing_is_mounted(settled: Grounds) -> None:
    home = settled.root / "home"
    home.mkdir()
    project = settled.project.rename(home / "project")
    record_tenant(settled.environments, project)
    shutil.rmtree(project)
    assert state(settled) is ProjectState.UNREACHABLE


def test_another_file_system_than_it_was_on_tells_nothing(settled: Grounds) -> None:
    """Something else is mounted there at the moment, or nothing, and others work in the folder below."""
    note(settled, mount=str(settled.root))
    shutil.rmtree(settled.project)
    assert state(settled) is ProjectState.UNREACHABLE


def test_another_host_cannot_tell_of_a_local_disk(settled: Grounds) -> None:
    shutil.rmtree(settled.project)
    note(settled, host="node17")
    assert state(settled) is ProjectState.UNREACHABLE
    note(settled, host=os.uname().nodename)
    assert state(settled) is ProjectState.GONE


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may look everywhere")
def test_what_may_not_be_looked_at_is_not_gone(settled: Grounds) -> None:
    settled.project.chmod(0)
    try:
        assert state(settled) is ProjectState.UNREACHABLE
    finally:
        settled.project.chmod(0o755)


@pytest.mark.parametrize("content", [None, "", "[1]", '{"root": ""}'])
def test_without_a_record_the_generations_tell(settled: Grounds, content: str | None) -> None:
    (settled.environments / FILE).unlink()
    if content is not None:
        (settled.environments / FILE).write_text(content)
    tenant = find_tenant(settled.environments, NOW_S)
    assert (tenant.root, tenant.state) == (str(settled.project), ProjectState.HERE)


def test_nothing_tells(tmp_path: Path) -> None:
    folder = tmp_path / "envs" / "x"
    folder.mkdir(parents=True)
    tenant = find_tenant(folder, NOW_S)
    assert (tenant.root, tenant.state, tenant.venv) == ("", ProjectState.UNREACHABLE, None)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="mounts need root")
def test_a_home_that_is_not_mounted_is_not_gone(settled: Grounds) -> None:
    home = settled.root / "home"
    home.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "none", str(home)], capture_output=True).returncode:
        pytest.skip("cannot mount here")
    try:
        (home / "project").mkdir()
        (home / "project" / ".venv").symlink_to(settled.venv.readlink())
        record_tenant(settled.environments, home / "project")
        assert state(settled) is ProjectState.HERE
        (home / "project" / ".venv").unlink()
        (home / "project").rmdir()
        (home / "neighbour").mkdir()
        assert state(settled) is ProjectState.GONE
    finally:
        subprocess.run(["umount", str(home)], check=True)
    (home / "left below the mount").mkdir()
    assert state(settled) is ProjectState.UNREACHABLE


@pytest.mark.skipif(os.name == "nt", reason="links of each host are POSIX")
def test_a_link_of_each_host_may_mean_another_generation_elsewhere(settled: Grounds) -> None:
    """``.venv`` leads through ``/tmp``: where nothing is there, other hosts still use what is on the tier."""
    link = new_host_link("project", "/tmp")
    generation = settled.venv.readlink()
    settled.venv.unlink()
    settled.venv.symlink_to(link)
    tenant = find_tenant(settled.environments, NOW_S)
    assert (tenant.state, tenant.is_for_others, tenant.lost_s) == (ProjectState.HERE, True, None)
    let_pass(settled.tier, DAY_S)
    [found] = survey_generations(settled.tier, [], NOW_S)
    assert found.stay is Stay.OTHERS
    try:
        write_host_link(link, str(generation))
        tenant = find_tenant(settled.environments, NOW_S)
        assert (tenant.state, tenant.is_for_others) == (ProjectState.HERE, False)
        [found] = survey_generations(settled.tier, [], NOW_S)
        assert found.stay is Stay.CURRENT
        write_host_link(link, str(settled.root / "other"))
        assert state(settled) is ProjectState.ELSEWHERE
    finally:
        shutil.rmtree(Path(link).parent)
