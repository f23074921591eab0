"""Many processes at once on one project and one store: the work is done once, and everybody is content."""

from __future__ import annotations

import os

import pytest

from support.distributions import make_wheel
from support.projects import Project
from support.simple_index import SimpleIndex

pytestmark = pytest.mark.skipif(os.name == "nt", reason="paths of the environment are POSIX here")


def all_at_once(project: Project, *words: str, count: int) -> None:
    processes = [project.start(*words) for _ in range(count)]
    for process in processes:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err


@pytest.mark.parametrize("locked, count", [(True, 12), (False, 6)])
def test_syncs_at_once(project: Project, index: SimpleIndex, locked: bool, count: int) -> None:
    names = [f"part-{number}" for number in range(8)]
    index.add(*(make_wheel(name, padding=20_000) for name in names))
    index.block_delay_s = 0.01
    project.write("app", *names)
    if locked:
        project.done("lock")
    index.forget()
    all_at_once(project, "sync", count=count)
    assert set(project.installed()) == {"app", "core", *names}
    assert set(index.downloads.values()) == {1}
    assert len(index.downloads) == len(names) + 2
    assert project.done("verify").code == 0
    assert project.leftovers() == []


def test_changes_at_once_all_count(project: Project) -> None:
    project.write("core")
    project.done("sync")
    changes = [("add", "lint"), ("add", "doc"), ("add", "--dev", "plugin"), ("remove", "core")]
    processes = [project.start(*words) for words in changes]
    for process in processes:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    assert "up to date" in project.done("sync").err
    assert project.done("lock", "--check").code == 0
    assert set(project.locked) == set(project.installed()) == {"lint", "doc", "plugin"}
    assert project.leftovers() == []


def test_an_edit_during_a_sync_is_noticed(project: Project, index: SimpleIndex) -> None:
    project.write("core")
    project.done("lock")
    index.forget()
    index.block_delay_s = 0.3
    with project.start("sync") as process:
        assert index.begun.wait(20)
        project.write("core", "lint")
        _, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert set(project.installed()) == {"core"}
    project.done("sync")
    assert set(project.installed()) == {"core", "lint"}
