"""Constraints, overrides, supplied metadata and kinds of files, by real commands on a real index."""

from __future__ import annotations

import os

import pytest

from support.distributions import make_sdist, make_wheel
from support.projects import Project
from support.simple_index import SimpleIndex

pytestmark = pytest.mark.skipif(os.name == "nt", reason="paths of the environment are POSIX here")


def test_constraints_and_overrides_are_locked_and_checked(project: Project, index: SimpleIndex) -> None:
    index.add(make_wheel("strict", requires=["core==1.2.0"]))
    project.write("app", settings='constraints = ["core<1.1", "unused<3"]')
    project.done("sync")
    assert project.installed() == {"app": "3.1", "core": "1.0"}
    assert project.done("lock", "--check").code == 0

    project.write("app", "strict", settings='constraints = ["core<1.1"]')
    told = [
        "app and strict",
        "tool.envforge.constraints admits only core<1.1",
        "strict 1.0 needs core==1.2.0",
    ]
    project.fails("lock", says=told[1:])

    project.write("app", "strict", settings='overrides = ["core==1.0"]')
    assert project.envforge("lock", "--check").code == 1
    project.done("sync")
    assert project.installed()["core"] == "1.0"
    assert project.done("lock", "--check").code == 0, "the lock says what was required in fact"
    assert "core==1.0" in project.done("why", "core").out


def test_supplied_metadata_needs_no_build_to_lock(project: Project, index: SimpleIndex) -> None:
    broken = make_sdist("attention", files={"attention/__init__.py": ""})
    dynamic = broken.content  # its PKG-INFO is static, and says that nothing is required
    assert dynamic
    index.add(broken)
    project.write("attention", tables='[tool.envforge.metadata]\nattention = { requires = ["core"] }')
    project.done("lock")
    assert project.locked == {"attention": "1.0", "core": "1.2.0"}


def test_kinds_of_files(project: Project, index: SimpleIndex) -> None:
    index.add(make_wheel("built", "0.9"), make_sdist("core", "1.2.0"))
    project.write("built", settings="only-binary = true")
    project.done("lock")
    assert project.locked == {"built": "0.9"}
    project.write("built>=1", settings="only-binary = true")
    project.fails("lock", says=["built 1.0 has only an sdist", "take built out of tool.envforge.only-binary"])
    project.write("built>=1", settings='only-binary = true\nno-binary = ["built"]')
    project.done("lock")
    assert project.locked == {"built": "1.0", "core": "1.2.0"}
    project.write("core", settings='no-binary = ["core"]')
    project.done("sync")
    assert ".tar.gz" in project.lock.read_text()
    assert project.installed() == {"core": "1.2.0"}
