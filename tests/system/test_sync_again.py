"""An environment of a manifest and lock that were synced before is made without understanding them again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from envforge.store.sealing import remove_sealed

from support.ages import DAY_S, make_older
from support.distributions import BUILD_SYSTEM, backend, make_wheel, project_tables
from support.projects import Project
from support.simple_index import SimpleIndex

pytestmark = pytest.mark.skipif(os.name == "nt", reason="paths of the environment are POSIX here")

WHOLE_WAY = "envforge.workflows.sync\n"


@pytest.fixture
def first(project: Project, index: SimpleIndex) -> Project:
    """Synced: scripts, data, headers, a folder that two bring, a file that two bring, one that is copied."""
    index.add(
        make_wheel("bar", files={"bar.py": "", "both.py": "who = 'bar'\n"}),
        make_wheel(
            "foo",
            files={
                "foo.py": "",
                "both.py": "who = 'foo'\n",
                "foo-1.0.data/scripts/foo.sh": "#!/bin/sh\necho foo\n",
                "foo-1.0.data/headers/foo.h": "",
            },
        ),
    )
    names = ("app", "bar", "foo", "space-one", "space-two")
    project.write(*names, groups={"more": ["plugin"]}, settings='unshare = ["space-two"]')
    project.done("sync")
    return project


@pytest.fixture
def second(first: Project, tmp_path: Path) -> Project:
    """Another working tree of the same project."""
    project = Project(tmp_path, first.index_url, name="second")
    for name in ("pyproject.toml", "envforge.lock"):
        shutil.copy(first.root / name, project.root / name)
    return project


def sync(project: Project, *options: str) -> tuple[Any, bool]:
    """What a sync reports, and whether it went the whole way."""
    project.variables["PYTHONPROFILEIMPORTTIME"] = "1"
    finished = project.done("sync", "--json", *options)
    del project.variables["PYTHONPROFILEIMPORTTIME"]
    return finished.json, WHOLE_WAY in finished.err


def content(project: Project) -> dict[str, str]:
    """Path in the environment → where a link leads to, or what a file holds."""
    root = project.venv.resolve()
    found = {}
    for place in sorted(root.rglob("*")):
        if place.is_symlink():
            found[str(place.relative_to(root))] = os.readlink(place)
        elif place.is_file():
            found[str(place.relative_to(root))] = place.read_bytes().decode("utf-8", "replace")
    return found


def forget(project: Project) -> None:
    """Remove the environment, as ``rm -r .venv`` and a purge would."""
    environments = project.venv.resolve().parent
    project.venv.unlink()
    remove_sealed(environments)


def whole(project: Project) -> None:
    assert project.done("verify", "--json").json["findings"] == []
    assert "up to date" in project.done("sync").err
    assert project.leftovers() == []


def plans(project: Project) -> list[Path]:
    return sorted(project.tier.glob("plans/*"))


def test_it_is_what_the_whole_way_makes(second: Project, index: SimpleIndex) -> None:
    index.forget()
    again, went_whole_way = sync(second, "--offline")
    assert not went_whole_way
    assert not index.requests
    made = content(second)
    whole(second)
    assert second.python("import app, both, space.one, space.two; app.main()") == "app with core 1.2.0"
    assert second.done("run", "foo.sh").out == "foo\n"
    forget(second)
    for place in plans(second):
        place.unlink()
    anew, went_whole_way = sync(second, "--offline")
    assert went_whole_way
    assert again == anew
    assert made == content(second)


def test_on_a_terminal_it_reads_the_same(first: Project, second: Project) -> None:
    def said(project: Project) -> list[str]:
        return [line for line in project.done("sync").err.splitlines() if not line.startswith("Synced")]

    again = said(second)
    assert any("bar and foo both bring" in line for line in again)
    assert "+ app 3.1" in again
    forget(first)
    for place in plans(first):
        place.unlink()
    assert again == said(first)


def test_run_goes_the_short_way(second: Project) -> None:
    second.variables["PYTHONPROFILEIMPORTTIME"] = "1"
    finished = second.done("run", "app")
    assert finished.out == "app with core 1.2.0\n"
    assert WHOLE_WAY not in finished.err


@pytest.mark.parametrize("option", ["-q", "--offline", "--frozen", "--ignore-host"])
def test_options_that_change_nothing(second: Project, option: str) -> None:
    assert not sync(second, option)[1]


def edit_lock(project: Project) -> None:
    project.lock.write_text(project.lock.read_text() + "\n")


def edit_manifest(project: Project) -> None:
    project.manifest.write_text(project.manifest.read_text() + "\n# a remark\n")


def purge_tree(project: Project) -> None:
    tree = next(place.parents[1] for place in project.tier.glob("trees/*/lib/app"))
    remove_sealed(tree)
    tree.with_suffix(".files").unlink()


def lose_tree(project: Project) -> None:
    tree = next(place.parents[1] for place in project.tier.glob("trees/*/lib/app"))
    tree.with_suffix(".json").unlink()
    remove_sealed(tree)


def lose_files(project: Project) -> None:
    """The folder alone: links would lead nowhere, and nothing but the trees' own marks would tell."""
    shutil.rmtree(project.tier / "trees")


def upgrade_python(project: Project) -> None:
    """As if it had been another one when the blueprint was kept."""
    (place,) = plans(project)
    fields = json.loads(place.read_bytes())
    fields["spec"]["interpreter"]["version"] += ".1"
    place.write_text(json.dumps(fields))


def cut_off(project: Project) -> None:
    (place,) = plans(project)
    place.write_bytes(place.read_bytes()[:1000])


def zeros(project: Project) -> None:
    (place,) = plans(project)
    place.write_bytes(bytes(place.stat().st_size))


def other_fields(project: Project) -> None:
    (place,) = plans(project)
    fields = json.loads(place.read_bytes())
    del fields["plan"]
    place.write_text(json.dumps(fields))


def folder_in_its_place(project: Project) -> None:
    (place,) = plans(project)
    place.unlink()
    place.mkdir()


DIFFERENT: dict[str, Callable[[Project], object]] = {
    "lock": edit_lock,
    "manifest": edit_manifest,
    "a tree is purged": purge_tree,
    "a tree is lost": lose_tree,
    "all trees are lost": lose_files,
    "Python": upgrade_python,
    "driver": lambda project: project.variables.update(CONDA_OVERRIDE_CUDA="12.8"),
    "C library": lambda project: project.variables.update(CONDA_OVERRIDE_GLIBC="2.99"),
    "cut off": cut_off,
    "zeros": zeros,
    "other fields": other_fields,
    "a folder": folder_in_its_place,
    ".venv": lambda project: project.venv.mkdir(),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_in_doubt_the_whole_way_is_gone(second: Project, what: str) -> None:
    DIFFERENT[what](second)
    _, went_whole_way = sync(second)
    assert went_whole_way
    assert second.python("import app, both, space.one, space.two; app.main()") == "app with core 1.2.0"
    whole(second)


@pytest.mark.parametrize("options", [("--group", "more"), ("--link-mode", "copy"), ("--refresh",)])
def test_other_options(second: Project, options: tuple[str, ...]) -> None:
    assert sync(second, *options)[1]
    assert ("plugin" in second.installed()) == ("more" in options)


def test_an_environment_that_is_there_is_looked_at(second: Project) -> None:
    """What is left of it is the whole way's business: it mends what was purged."""
    sync(second)
    python = second.venv.resolve() / "bin/python"
    second.venv.unlink()
    python.unlink()
    _, went_whole_way = sync(second)
    assert went_whole_way
    whole(second)


def test_what_was_mended_is_kept_anew(second: Project, tmp_path: Path) -> None:
    cut_off(second)
    sync(second)
    forget(second)
    assert not sync(second)[1]


def test_a_place_that_cannot_be_made_is_told_as_always(second: Project) -> None:
    environments = second.tier / "envs"
    environments.rename(environments.with_name("moved"))
    environments.write_text("no folder")
    second.fails("sync", says=["cannot", str(environments)])
    assert not os.path.lexists(second.venv)


def test_an_sdist_is_built_as_asked_for_each_time(project: Project) -> None:
    """What comes of it depends on more than manifest and lock: compilers, variables."""
    project.write("built")
    project.done("sync")
    assert plans(project) == []


def test_a_folder_has_a_say(project: Project) -> None:
    member = project.root / "member"
    (member / "_backend").mkdir(parents=True)
    (member / "pyproject.toml").write_text(project_tables("member", "1.0") + BUILD_SYSTEM)
    (member / "_backend/backend.py").write_text(backend("member", "1.0"))
    project.write("member", tables='[tool.envforge.sources]\nmember = { path = "member" }')
    project.done("sync")
    assert plans(project) == []


def test_a_projects_own_build_has_a_say(project: Project) -> None:
    (project.root / "backend.py").write_text(backend("demo", "1.0"))
    (project.root / "demo.py").write_text("")
    tables = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]'
    project.write("core", tables=tables)
    project.done("sync")
    assert "demo" in project.installed()
    assert plans(project) == []


def test_variants_are_chosen_each_time(project: Project) -> None:
    project.write("core", tables="[tool.envforge.variants.any]")
    project.done("sync")
    assert plans(project) == []


def test_cache_shows_and_prunes_them(first: Project, second: Project) -> None:
    holdings = first.done("cache", "info", "--json").json["holdings"]
    assert holdings["plans"]["count"] == 1
    assert holdings["plans"]["size_bytes"] > 1000
    first.done("cache", "prune")
    assert len(plans(first)) == 1
    (place,) = plans(first)
    make_older(place, 91 * DAY_S)
    removed = first.done("cache", "prune", "--json").json["removed"]
    assert [item["kind"] for item in removed] == ["plan"]
    assert plans(first) == []
    assert sync(second)[1]
    assert len(plans(first)) == 1


def test_using_one_keeps_it(first: Project, second: Project) -> None:
    (place,) = plans(first)
    make_older(place, 91 * DAY_S)
    assert not sync(second)[1]
    assert first.done("cache", "prune", "--json").json["removed"] == []


def test_many_at_once(first: Project, tmp_path: Path) -> None:
    projects = [Project(tmp_path, first.index_url, name=f"tree{number}") for number in range(5)]
    for project in projects:
        for name in ("pyproject.toml", "envforge.lock"):
            shutil.copy(first.root / name, project.root / name)
    processes: list[subprocess.Popen[str]] = [project.start("sync") for project in projects]
    for process in processes:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    for project in projects:
        whole(project)
