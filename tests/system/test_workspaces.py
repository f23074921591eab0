"""Workspaces: several projects in one repository, with one lock and one environment."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from support.distributions import BUILD_SYSTEM, backend, make_wheel, project_tables
from support.projects import MINOR, Project
from support.simple_index import SimpleIndex

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

    report = project.done("--project", "packages/b", "add", "--dev", "doc", "--json").json
    assert (report["where"], report["manifest"]) == ("dependency-groups.dev", "packages/b/pyproject.toml")
    assert "doc" in project.installed(), "the members' groups are part of the workspace's"

    project.done("add", "--no-sync", "b", cwd=a)
    written = (a / "pyproject.toml").read_text()
    assert 'dependencies = ["core>=1.2", "b"]' in written
    assert "b = { workspace = true }" in written
    lock = project.lock.read_bytes()
    assert json.loads(lock)["packages"]["a"]["requires"] == ["b", "core>=1.2"]
    project.lock.unlink()
    project.done("lock")
    assert project.lock.read_bytes() == lock, "it is the lock of these manifests"

    project.done("remove", "B", "core", cwd=a)
    assert "workspace" not in (a / "pyproject.toml").read_text()
    assert "core" not in project.installed()
    added = '# the end\n\n[dependency-groups]\ndev = ["doc>=1.0"]\n'
    assert (b / "pyproject.toml").read_text().endswith(added)
    assert project.done("lock", "--check").code == 0
    assert project.manifest.read_bytes() == root_manifest


def test_what_the_root_says_bounds_what_is_added_to_a_member(project: Project) -> None:
    a = write_member(project, "a")
    project.write("core<1.1", tables=WORKSPACE)
    project.done("add", "core", cwd=a)
    assert 'dependencies = ["core>=1.0"]' in (a / "pyproject.toml").read_text()
    project.fails("add", "core>=1.2", cwd=a, says=["core<1.1 and core>=1.2 cannot be met together"])
    project.fails("add", "corre", cwd=a, says=["has no project named 'corre'"])


@pytest.mark.parametrize("words", [["add"], ["add", "--dev"]])
def test_a_path_that_is_added_to_a_member_is_from_its_folder(
    project: Project, tmp_path: Path, index: SimpleIndex, words: list[str]
) -> None:
    index.add(make_wheel("other", "2.0"))
    a = write_member(project, "a")
    b = write_member(project, "b")
    other = tmp_path / "other"
    write_member(project, "other").rename(other)
    project.write(tables=WORKSPACE)
    project.done(*words, "--editable", "../../../other", cwd=a)
    assert 'other = { path = "../../../other", editable = true }' in (a / "pyproject.toml").read_text()
    assert project.locked["other"] == "1.0"
    assert project.python("import other; print(other.name)").strip() == "other"

    project.done(*words, "../a", cwd=b)
    assert "a = { workspace = true }" in (b / "pyproject.toml").read_text()
    assert json.loads(project.lock.read_text())["packages"]["a"]["source"] == {"editable": "./packages/a"}


def test_a_member_is_known_by_any_path_to_it(project: Project, tmp_path: Path) -> None:
    a = write_member(project, "a")
    b = write_member(project, "b")
    project.write(tables=WORKSPACE)
    link = tmp_path / "link"
    link.symlink_to(project.root)
    for words in (["add", str(b)], ["--project", f"{link}/packages/a", "add", "../b"]):
        project.done(*words, cwd=a)
        assert "b = { workspace = true }" in (a / "pyproject.toml").read_text()
        project.done("remove", "b", cwd=a)


def test_what_a_member_says_the_place_of_is_on_no_index(project: Project, index: SimpleIndex) -> None:
    index.add(make_wheel("other", "2.0"))
    write_member(project, "other").rename(project.root / "other")
    a = write_member(project, "a", more='[tool.envforge.sources]\nother = { path = "../../other" }\n')
    project.write(tables=WORKSPACE)
    project.done("add", "other", cwd=a)
    assert 'dependencies = ["other"]' in (a / "pyproject.toml").read_text()
    assert project.locked["other"] == "1.0"


def test_two_members_cannot_take_a_project_from_two_places(project: Project) -> None:
    for name in ("a", "b"):
        source = f'[tool.envforge.sources]\nother = {{ path = "../../{name}-other" }}\n'
        write_member(project, name, more=f'[dependency-groups]\ndev = ["other"]\n{source}')
        write_member(project, f"{name}-other").rename(project.root / f"{name}-other")
    project.write(tables=WORKSPACE)
    project.fails(
        "lock", says=["packages/b/pyproject.toml", "other comes from another place in this workspace"]
    )


def test_a_member_may_have_what_a_root_may_not(project: Project) -> None:
    of_index = '[tool.envforge.sources]\nlint = { index = "mine" }\n'
    a = write_member(project, "a", requires=("lint",), more=of_index)
    dynamic = write_member(project, "dynamic", requires=("lint",))
    place = dynamic / "pyproject.toml"
    place.write_text(place.read_text().replace('dependencies = ["lint"]', 'dynamic = ["dependencies"]'))
    project.write(tables=WORKSPACE)
    project.done("add", "core", cwd=a)
    project.done("add", "--dev", "doc", cwd=dynamic)
    assert {"core", "doc", "lint"} <= project.installed().keys()
    project.fails("add", "core", cwd=dynamic, says=["packages/dynamic", "its build backend computes"])


def test_a_member_whose_version_is_computed_gets_what_is_added(project: Project) -> None:
    a = write_member(project, "a", requires=("core",))
    place = a / "pyproject.toml"
    text = place.read_text().replace('version = "1.0"', 'dynamic = ["version"]').replace('["core"]', "[]")
    place.write_text(text)
    project.write(tables=WORKSPACE)
    project.done("add", "core", cwd=a)  # its backend says so in any case
    assert project.locked["core"] == "1.2.0"
    project.fails("add", "corre", cwd=a, says=["has no project named 'corre'"])
    assert 'dependencies = ["core>=1.2"]' in place.read_text()


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["add", "core>9"], 1, ["no version of core meets >9"]),
        (["add", "corre"], 1, ["has no project named 'corre'"]),
        (["add", "--conda", "ffmpeg"], 2, ["packages/a is a member", "envforge --project"]),
        (["add", "conda:ffmpeg"], 2, ["packages/a is a member", "envforge --project"]),
        (["add", "core", "--variant", "cuda"], 2, ["packages/a is a member"]),
        (["add", "core", "--torch", "auto"], 2, ["packages/a is a member"]),
        (["add", "core", "--extra", "more"], 2, ["extras of packages/a", "packages/a/pyproject.toml"]),
        (["add", "A"], 2, ["a project cannot require itself", "packages/a"]),
        (["add", "."], 2, ["a project cannot require itself"]),
        (["add", "demo"], 2, ["demo is the root of the workspace"]),
        (["add", "b @ https://host/b-1.0.tar.gz"], 2, ["b is a member of the workspace"]),
        (["add", "b>2"], 1, ["b>2"]),
        (["remove", "core"], 1, ["packages/a/pyproject.toml: project.dependencies does not require core"]),
        (["remove", "core", "--group", "docs"], 1, ["packages/a/pyproject.toml"]),
        (["remove", "conda:ffmpeg"], 2, ["packages/a is a member"]),
        (["remove", "core", "--variant", "cuda"], 2, ["packages/a is a member"]),
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


@pytest.mark.parametrize("place", ["pyproject.toml", "packages/a/pyproject.toml"])
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, None])
def test_what_is_written_meanwhile_is_left_alone(
    project: Project, index: SimpleIndex, place: str, how: signal.Signals | None
) -> None:
    write_member(project, "a")
    project.write(tables=WORKSPACE)
    project.done("sync")
    manifest = project.root / place
    index.delay_s = 1.0
    with project.start("add", "nothing-here", cwd=manifest.parent) as process:
        time.sleep(0.7)
        edited = manifest.read_text() + "# meanwhile\n"
        manifest.write_text(edited)
        if how is not None:
            process.send_signal(how)
        assert process.wait(20) != 0
    assert manifest.read_text() == edited


def test_a_member_of_a_broken_workspace_is_none_of_its_own(project: Project) -> None:
    a = write_member(project, "a")
    project.manifest.write_text('[tool.envforge]\nplatfroms = []\nworkspace = { members = ["packages/*"] }\n')
    project.fails("add", "core", cwd=a, says=["platfroms: unknown key"])
    project.manifest.write_text("[tool.envforge]\nworkspace = { members = [\n")
    project.fails("sync", cwd=a, says=["not valid TOML"])
    assert not (a / "envforge.lock").exists()


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
