"""``envforge init``: what it writes is a project that the other commands work with."""

from __future__ import annotations

import os
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from support.projects import MINOR, Project

pytestmark = pytest.mark.skipif(os.name == "nt", reason="modes and paths are POSIX here")

BEFORE, AFTER = (f"3.{sys.version_info.minor + step}" for step in (-1, 1))


def written(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text())


def has_project(project: Project, requires_python: str, more: str = "") -> None:
    project.manifest.write_text(f'[project]\nname = "x"\nrequires-python = "{requires_python}"\n{more}')


# An existing project


@pytest.mark.parametrize(
    ("requires_python", "python"),
    [
        (">=3.8", MINOR),
        (f">={BEFORE},<={MINOR}.99", MINOR),
        (f"~={BEFORE}.0", BEFORE),
        (f"=={BEFORE}.*", BEFORE),
        (f">=3.8,<{MINOR}", BEFORE),
        ("<3", None),
        (">=three", None),
    ],
)
def test_the_python_is_one_that_the_project_admits(
    project: Project, requires_python: str, python: str | None
) -> None:
    has_project(project, requires_python)
    project.done("init")
    assert written(project.root)["tool"]["envforge"].get("python") == python
    assert written(project.root)["project"]["requires-python"] == requires_python
    if python:
        project.use_index()
        project.done("lock")


def test_conda_has_a_say_in_the_python(project: Project) -> None:
    has_project(project, ">=3.8", f'[tool.envforge.conda-dependencies]\npython = "{BEFORE}.*"\n')
    project.done("init")
    assert written(project.root)["tool"]["envforge"]["python"] == BEFORE


def test_requires_python_goes_with_the_python_that_is_there(project: Project) -> None:
    project.manifest.write_text(f'[project]\nname = "x"\n[tool.envforge]\npython = "{BEFORE}.1"\n')
    project.done("init")
    assert written(project.root)["project"]["requires-python"] == f">={BEFORE}"


# Options, and what is there


SAYS = f'[tool.envforge]\nplatforms = ["linux-64", "win-64"]\npython = "{MINOR}"\n'


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            ["--python", AFTER],
            [
                "pyproject.toml:6: tool.envforge.python: "
                f'--python asks for "{AFTER}", but here it is "{MINOR}", and init overwrites nothing',
                f'hint: write python = "{AFTER}" there',
            ],
        ),
        (
            ["--platform", "osx-arm64"],
            [
                "pyproject.toml:5: tool.envforge.platforms: "
                '--platform asks for ["osx-arm64"], but here it is ["linux-64", "win-64"]',
                'hint: write platforms = ["osx-arm64"] there',
            ],
        ),
        (["--name", "y"], ['pyproject.toml:2: project.name: --name asks for "y", but here it is "x"']),
        (["--name", "y", "--python", AFTER], ["has 2 faults", "project.name", "tool.envforge.python"]),
    ],
)
def test_an_option_that_the_manifest_contradicts(
    project: Project, options: list[str], says: list[str]
) -> None:
    has_project(project, ">=3.8", SAYS)
    project.fails("init", *options, says=says)


def test_an_option_that_the_manifest_agrees_with(project: Project) -> None:
    has_project(project, ">=3.8", f"dependencies = []\n{SAYS}")
    words = ["--name", "X", "--python", MINOR, "--platform", "win-64", "--platform", "linux-64"]
    assert "nothing was changed" in project.done("init", *words).err


def test_options_are_heeded_where_the_manifest_says_nothing(project: Project) -> None:
    has_project(project, ">=3.8")
    project.done("init", "--python", BEFORE, "--platform", "win-64")
    assert written(project.root)["tool"]["envforge"] == {"platforms": ["win-64"], "python": BEFORE}


def test_a_python_that_the_project_does_not_admit(project: Project) -> None:
    has_project(project, f"<{MINOR}")
    says = [
        f"pyproject.toml does not admit --python {MINOR}",
        f"{MINOR} is not admitted by project.requires-python, which is '<{MINOR}'",
        "change one of the two",
    ]
    project.fails("init", "--python", MINOR, says=says)


@pytest.mark.parametrize("python", ["abc", "3", "3.x", ">=3.12", "4.0", ""])
def test_what_is_no_python(project: Project, python: str) -> None:
    says = [f"--python: {python!r} is no Python version", "such as 3.12 or 3.12.4"]
    for more in ([], ["--stack", "torch"], ["new"]):
        project.fails("init", "--python", python, *more, code=2, says=says)


def test_a_python_that_this_machine_does_not_have(project: Project) -> None:
    """``ENVFORGE_PYTHON`` is all that there is."""
    finished = project.done("init", "--python", "3.99", "--json")
    (warning,) = finished.json["warnings"]
    assert warning["message"].startswith("no Python 3.99 that >=3.99 admits for ")
    assert warning["hint"] == "unset ENVFORGE_PYTHON, or set it to the path of a Python 3.99"
    assert written(project.root)["tool"]["envforge"]["python"] == "3.99"
    assert not project.done("init", "--json").json["warnings"], "nothing was written, nothing is new"
    assert not project.done("init", "--python", MINOR, "other", "--json").json["warnings"]


def test_a_python_of_conda_need_not_be_here(project: Project) -> None:
    has_project(project, ">=3.8", '[tool.envforge.conda-dependencies]\nffmpeg = "*"\n')
    assert not project.done("init", "--python", "3.99", "--json").json["warnings"]


@pytest.mark.parametrize("options", [["--python", MINOR], ["--platform", "linux-64"]])
def test_a_stack_has_its_own_python_and_platforms(project: Project, options: list[str]) -> None:
    says = [f"{options[0]} is of no use with --stack", "hint: leave it out"]
    project.fails("init", "--stack", "torch", *options, code=2, says=says)


# A workspace


ROOT = """
{project}
[tool.envforge]
platforms = ["linux-64"]
{python}
{index}
[tool.envforge.workspace]
members = ["packages/*"]
"""


@pytest.mark.parametrize(
    ("tables", "python", "expected"),
    [
        ("", MINOR, f">={MINOR}"),
        ("", f"{MINOR}.1", f">={MINOR}"),
        ("", "", f">={MINOR}"),
        (f'[project]\nname = "root"\nrequires-python = ">={BEFORE}"', MINOR, f">={BEFORE}"),
        ('[project]\nname = "root"', MINOR, f">={MINOR}"),
    ],
)
def test_a_new_member_goes_with_its_workspace(
    project: Project, tables: str, python: str, expected: str
) -> None:
    line = f'python = "{python}"' if python else ""
    project.manifest.write_text(ROOT.format(project=tables, python=line, index=project.index_table()))
    root_text = project.manifest.read_text()
    for name in ("first", "second"):
        folder = project.root / "packages" / name
        folder.mkdir(parents=True)
        told = project.done("init", cwd=folder).err
        assert f"It is a member of the workspace in {project.root}" in told
        assert written(folder) == {
            "project": {"name": name, "version": "0.1.0", "requires-python": expected, "dependencies": []}
        }
        assert "nothing was changed" in project.done("init", cwd=folder).err
        project.fails(
            "init", "--name", "y", cwd=folder, says=[f'--name asks for "y", but here it is "{name}"']
        )
        project.done("lock", cwd=folder)
    assert project.manifest.read_text() == root_text
    document = project.done("init", "packages/third", "--json").json
    assert (document["workspace"], document["platforms"]) == (str(project.root), ["linux-64"])
    assert document["python"] == (python or None)


@pytest.mark.parametrize("options", [["--python", MINOR], ["--platform", "linux-64"]])
def test_python_and_platforms_are_the_workspaces(project: Project, options: list[str]) -> None:
    project.manifest.write_text(ROOT.format(project="", python="", index=project.index_table()))
    says = [
        f"packages/a is a member of the workspace in {project.root}",
        f"hint: leave {options[0]} out, or edit {project.manifest}",
    ]
    project.fails("init", "packages/a", *options, says=says)


def test_a_stack_is_no_member(project: Project) -> None:
    project.manifest.write_text(ROOT.format(project="", python="", index=project.index_table()))
    says = [f"packages/a is a member of the workspace in {project.root}, which has the lock", "outside"]
    project.fails("init", "packages/a", "--stack", "torch", says=says)
    project.done("init", "elsewhere", "--stack", "torch")


def test_a_new_member_admits_a_python_that_the_others_do(project: Project) -> None:
    project.manifest.write_text(ROOT.format(project="", python="", index=project.index_table()))
    old = project.root / "packages" / "old"
    old.mkdir(parents=True)
    (old / "pyproject.toml").write_text(f'[project]\nname = "old"\nrequires-python = "<{MINOR}"\n')
    project.done("init", "packages/new")
    assert written(project.root / "packages" / "new")["project"]["requires-python"] == f">={BEFORE}"
    project.done("lock")


# Folders that cannot be a project's


STACK = ["--stack", "torch"]


@pytest.mark.parametrize("options", [[], STACK])
@pytest.mark.parametrize("place", ["file", "file/below", "file/far/below", "nowhere"])
def test_a_file_in_the_way(project: Project, place: str, options: list[str]) -> None:
    (project.root / "file").write_text("mine")
    (project.root / "nowhere").symlink_to("gone")
    in_the_way = project.root / place.partition("/")[0]
    says = [f"cannot make the folder {project.root / place}", f"{in_the_way} is there already, and no folder"]
    project.fails("init", place, *options, says=says)
    assert (project.root / "file").read_text() == "mine"


@pytest.mark.parametrize("options", [[], STACK])
def test_a_folder_that_cannot_be_written(
    project: Project, without_privileges: list[str], options: list[str]
) -> None:
    closed = project.root / "closed"
    closed.mkdir()
    for mode in (0o555, 0o444, 0o000):
        closed.chmod(mode)
        told = project.fails("init", "closed", *options, says=["cannot write"], prefix=without_privileges).err
        assert "Permission denied" in told and "check the folder's permissions" in told
        says = [f"cannot make the folder {closed / 'x'}", "Permission denied", "name another folder"]
        project.fails("init", "closed/x", *options, says=says, prefix=without_privileges)
    closed.chmod(0o755)
    assert not list(closed.iterdir())
