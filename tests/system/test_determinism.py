"""The same inputs give the same lock, byte for byte."""

from __future__ import annotations

import json
from pathlib import Path

from support.projects import Project
from support.simple_index import SimpleIndex

REQUIREMENTS = ("app", "extra[more]", "space-one>=1", "built", "core<2")
GROUPS = {"dev": ["lint"], "docs": ["doc", "core"]}


def without_inputs(lock: Path) -> dict[str, object]:
    document = json.loads(lock.read_text())
    del document["inputs"]
    return dict(document)


def test_two_caches_one_lock(project: Project, index: SimpleIndex, tmp_path: Path) -> None:
    other = Project(tmp_path, index.url, cache=tmp_path / "another", name="elsewhere")
    for each in (project, other):
        each.write(*REQUIREMENTS, groups=GROUPS)
        each.done("lock")
    assert project.lock.read_bytes() == other.lock.read_bytes()
    assert str(tmp_path) not in project.lock.read_text()
    project.lock.unlink()
    project.done("lock")
    assert project.lock.read_bytes() == other.lock.read_bytes()


def test_the_order_of_requirements_does_not_matter(
    project: Project, index: SimpleIndex, tmp_path: Path
) -> None:
    other = Project(tmp_path, index.url, cache=project.cache, name="elsewhere")
    project.write(*REQUIREMENTS, groups=GROUPS)
    other.write(*reversed(REQUIREMENTS), groups={"docs": ["core", "doc"], "dev": ["lint"]})
    for each in (project, other):
        each.done("lock")
    assert without_inputs(project.lock) == without_inputs(other.lock)


def test_the_order_of_files_on_the_index_does_not_matter(
    project: Project, index: SimpleIndex, tmp_path: Path
) -> None:
    project.write(*REQUIREMENTS)
    project.done("lock")
    index.reverse()
    other = Project(tmp_path, index.url, cache=tmp_path / "another", name="elsewhere")
    other.write(*REQUIREMENTS)
    other.done("lock")
    assert project.lock.read_bytes() == other.lock.read_bytes()
