"""Workspaces: several projects in one repository, with one lock and one environment."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from support.distributions import BUILD_SYSTEM, backend, project_tables
from support.projects import MINOR, Project

pytestmark = pytest.mark.skipif(os.name == "nt", reason="paths of the environment are POSIX here")


def write_member(
    project: Project, name: str, *, requires: tuple[str, ...] = (), more: str = "", virtual: bool = False
) -> Path:
    folder = project.root / "packages" / name
    module = folder / name.replace("-", "_")
    module.mkdir(parents=True, exist_ok=True)
    (module / "__init__.py").write_text(f"name = {name!r}\n")
    (folder / "_backend").mkdir(exist_ok=True)
    (folder / "_backend" / "backend.py").write_text(backend(name, "1.0", requires))
    tables = project_tables(name, "1.0", requires) + ("" if virtual else BUILD_SYSTEM)
    (folder / "pyproject.toml").write_text(tables + more)
    return folder


WORKSPACE = '[tool.envforge.workspace]\nmembers = ["packages/*"]\n'
OF_WORKSPACE = "[tool.envforge.sources]\n{} = {{ workspace = true }}\n"


def test_members_share_a_lock_and_an_environment_and_are_editable(project: Project) -> None:
    a = write_member(project, "a", requires=("b", "core<2"), more=OF_WORKSPACE.format("b"))
    b = write_member(project, "b", more='[dependency-groups]\ndev = ["lint"]\n')
    project.write(tables=WORKSPACE)
    project.done("sync", cwd=a)
    assert not (a / "envforge.lock").exists()
    packages = json.loads(project.lock.read_text())["packages"]
    assert packages["a"]["source"] == {"editable": "./packages/a"}
    assert packages["a"]["requires"] == ["b", "core<2"]
    assert set(packages) == {"a", "b", "core", "lint"}, "groups of members are those of the workspace"
    assert project.python("import a, b; print(a.name, b.name)").split() == ["a", "b"]
    (b / "b" / "__init__.py").write_text("name = 'changed'\n")
    assert project.python("import b; print(b.name)").strip() == "changed"
    assert "up to date" in project.done("sync", cwd=b / "b").err
    assert project.done("run", "python", "-c", "import a", cwd=a).code == 0

    write_member(project, "b", requires=("lint",))
    project.fails("lock", "--check", cwd=a, says=["does not fit"])
    write_member(project, "c")
    project.fails("lock", "--check", says=["does not fit"])
    project.done("sync")
    assert set(project.locked) == {"a", "b", "c", "core", "lint"}
    assert "c 1.0" in project.done("tree").out


def test_add_and_remove_edit_the_manifest_of_the_member_they_are_called_in(project: Project) -> None:
    a = write_member(project, "a")
    b = write_member(project, "b", more="# the end\n")
    project.write("lint", tables=WORKSPACE)
    project.done("sync")
    root_manifest = project.manifest.read_bytes()

    told = project.done("add", "core", cwd=a / "a").err
    assert "Added core>=1.2 to project.dependencies in packages/a/pyproject.toml" in told
    assert 'dependencies = ["core>=1.2"]' in (a / "pyproject.toml").read_text()
    assert project.locked["core"] == "1.2.0"
    assert project.installed()["core"] == "1.2.0"

    report = project.done("add", "--dev", "doc", "--json", cwd=b).json
    assert (report["where"], report["manifest"]) == ("dependency-groups.dev", "packages/b/pyproject.toml")
    assert "doc" in project.installed(), "the members' groups are part of the workspace's"

    project.done("add", "b", cwd=a)
    written = (a / "pyproject.toml").read_text()
    assert 'dependencies = ["core>=1.2", "b"]' in written
    assert "b = { workspace = true }" in written
    assert json.loads(project.lock.read_text())["packages"]["a"]["requires"] == ["b", "core>=1.2"]

    project.done("remove", "b", "core", cwd=a)
    assert "workspace" not in (a / "pyproject.toml").read_text()
    assert "core" not in project.installed()
    assert (
        (b / "pyproject.toml").read_text().endswith('# the end\n\n[dependency-groups]\ndev = ["doc>=1.0"]\n')
    )
    assert project.done("lock", "--check").code == 0
    assert project.manifest.read_bytes() == root_manifest


def test_a_path_that_is_added_to_a_member_is_from_its_folder(project: Project, tmp_path: Path) -> None:
    a = write_member(project, "a")
    other = tmp_path / "other"
    write_member(project, "other").rename(other)
    project.write(tables=WORKSPACE)
    project.done("add", "--editable", "../../../other", cwd=a)
    assert 'other = { path = "../../../other", editable = true }' in (a / "pyproject.toml").read_text()
    assert project.python("import other; print(other.name)").strip() == "other"


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["add", "core>9"], 1, ["core>9"]),
        (["add", "corre"], 1, ["corre"]),
        (["add", "--conda", "ffmpeg"], 2, ["packages/a is a member", "envforge --project"]),
        (["add", "core", "--variant", "cuda"], 2, ["packages/a is a member"]),
        (["add", "A"], 2, ["a project cannot require itself", "packages/a"]),
        (["add", "."], 2, ["a project cannot require itself"]),
        (["remove", "core"], 1, ["packages/a/pyproject.toml: project.dependencies does not require core"]),
        (["add", "b>2"], 1, ["b>2"]),
    ],
)
def test_what_cannot_be_added_to_a_member_leaves_all_as_it_was(
    project: Project, words: list[str], code: int, says: list[str]
) -> None:
    a = write_member(project, "a")
    write_member(project, "b")
    project.write(tables=WORKSPACE)
    project.done("sync")
    before = [(a / "pyproject.toml").read_bytes(), project.lock.read_bytes(), project.installed()]
    project.fails(*words, cwd=a, code=code, says=says)
    assert before == [(a / "pyproject.toml").read_bytes(), project.lock.read_bytes(), project.installed()]
    assert "up to date" in project.done("sync").err


def test_an_extra_that_does_not_exist_is_told_with_the_member_that_asks_for_it(project: Project) -> None:
    write_member(project, "a", requires=("extra[moer]",))
    project.write("a", tables=WORKSPACE)
    assert "extra 1.0 has no extra moer, which a asks for" in project.done("lock").err


def test_a_root_need_not_be_a_project(project: Project) -> None:
    write_member(project, "a", requires=("core",))
    project.manifest.write_text(f"{WORKSPACE}\n[tool.envforge]\n{project.index_table()}\n")
    member = project.root / "packages" / "a" / "pyproject.toml"
    member.write_text(
        member.read_text().replace("[project]", f'[project]\nrequires-python = "=={MINOR}.*"', 1)
    )
    project.done("sync")
    assert set(project.locked) == {"a", "core"}
    assert project.python("import a; print(a.name)").strip() == "a"


def test_a_member_without_build_system_brings_what_it_requires(project: Project) -> None:
    write_member(project, "scripts", requires=("core<2", "lint"), virtual=True)
    project.write(tables=WORKSPACE)
    project.done("sync")
    packages = json.loads(project.lock.read_text())["packages"]
    assert packages["scripts"]["source"] == {"virtual": "./packages/scripts"}
    assert {"core", "lint"} <= project.installed().keys()
    assert "scripts" not in project.installed()
    assert "up to date" in project.done("sync").err
    assert project.done("sync", "--check").err == "Environment is up to date\n"
    report = project.done("sync", "--dry-run", "--json").json
    assert (report["package_count"], report["changes"]) == (len(project.installed()), [])


def test_excluded_folders_are_projects_of_their_own(project: Project) -> None:
    write_member(project, "a")
    other = write_member(project, "other", requires=("core",))
    project.write(tables=WORKSPACE + 'exclude = ["packages/other"]\n')
    project.done("lock")
    assert set(project.locked) == {"a"}
    with (other / "pyproject.toml").open("a") as file:
        file.write(f"[tool.envforge]\n{project.index_table()}\n")
    project.done("lock", cwd=other)
    assert (other / "envforge.lock").exists()


@pytest.mark.parametrize(
    ("tables", "says"),
    [
        ("[tool.envforge.workspace]\n", ["names no members", 'members = ["packages/*"]']),
        ('[tool.envforge.workspace]\nmembers = ["libs/*"]\n', ["'libs/*' matches no folder", "members[0]"]),
        ('[tool.envforge.workspace]\nmembers = ["../x"]\n', ["'../x' is no path below"]),
        ('[tool.envforge.workspace]\nmember = ["packages/*"]\n', ["unknown key", "did you mean members?"]),
        (WORKSPACE + OF_WORKSPACE.format("aa"), ["no member of the workspace is named 'aa'", "mean a?"]),
        (OF_WORKSPACE.format("a"), ["there is no workspace here", "tool.envforge.sources.a"]),
    ],
)
def test_what_is_wrong_with_a_workspace_is_told(project: Project, tables: str, says: list[str]) -> None:
    write_member(project, "a")
    project.write(tables=tables)
    project.fails("sync", says=["pyproject.toml:", *says])


def test_members_that_cannot_be_told_apart(project: Project) -> None:
    write_member(project, "a")
    write_member(project, "b")
    twin = project.root / "packages" / "b" / "pyproject.toml"
    twin.write_text(twin.read_text().replace('"b"', '"A"'))
    project.write(tables=WORKSPACE)
    project.fails("lock", says=["./packages/b/pyproject.toml:2", "'a' is the name of ./packages/a"])
    twin.write_text("[project]\nversion = '1'\n")
    project.fails("lock", says=["./packages/b/pyproject.toml", "needs a name"])
