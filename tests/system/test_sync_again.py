"""An environment of a manifest and lock that were synced before is made without understanding them again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from envforge.store.sealing import remove_sealed

from support.ages import DAY_S, let_pass, make_older
from support.distributions import BUILD_SYSTEM, backend, make_wheel, project_tables
from support.elf import shared_object
from support.projects import Project
from support.simple_index import SimpleIndex

pytestmark = pytest.mark.skipif(os.name == "nt", reason="paths of the environment are POSIX here")

LIBRARY = shared_object("$ORIGIN/../../nvidia/cublas/lib")
IMPORTS = "import app, both, space.one, space.two, torch, nvidia.cublas; app.main()"
WHOLE_WAY = "envforge.workflows.sync\n"


@pytest.fixture
def first(project: Project, index: SimpleIndex) -> Project:
    """Synced: scripts, data, headers, a folder that two bring, a file that two bring, a bundle."""
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
        make_wheel("torch", files={"torch/__init__.py": "", "torch/lib/libtorch.so": LIBRARY}),
        make_wheel(
            "nvidia-cublas", files={"nvidia/cublas/__init__.py": "", "nvidia/cublas/lib/libc.so": "x"}
        ),
    )
    names = ("app", "bar", "foo", "space-one", "space-two", "torch", "nvidia-cublas")
    project.write(*names, groups={"more": ["plugin"]})
    project.done("sync")
    return project


@pytest.fixture
def second(first: Project, tmp_path: Path) -> Project:
    """Another working tree of the same project."""
    return working_tree(first, tmp_path, "second")


def working_tree(first: Project, folder: Path, name: str) -> Project:
    project = Project(folder, first.index_url, name=name)
    for each in ("pyproject.toml", "envforge.lock"):
        shutil.copy(first.root / each, project.root / each)
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


def blueprints(project: Project) -> list[Path]:
    return sorted(project.tier.glob("blueprints/*"))


def test_it_is_what_the_whole_way_makes(second: Project, index: SimpleIndex) -> None:
    index.forget()
    again, went_whole_way = sync(second, "--offline")
    assert not went_whole_way
    assert not index.requests
    made = content(second)
    whole(second)
    assert second.python(IMPORTS) == "app with core 1.2.0"
    assert second.done("run", "foo.sh").out == "foo\n"
    forget(second)
    for place in blueprints(second):
        place.unlink()
    anew, went_whole_way = sync(second, "--offline")
    assert went_whole_way
    assert again == anew
    assert made == content(second)


def test_it_tells_the_same(first: Project, second: Project) -> None:
    def said(project: Project) -> tuple[list[str], bool]:
        project.variables["PYTHONPROFILEIMPORTTIME"] = "1"
        told = project.done("sync").err
        lines = [line for line in told.splitlines() if not line.startswith(("Synced", "import time:"))]
        return lines, WHOLE_WAY in told

    again, went_whole_way = said(second)
    assert not went_whole_way
    assert any("bar and foo both bring" in line for line in again)
    assert "+ app 3.1" in again
    forget(first)
    for place in blueprints(first):
        place.unlink()
    assert (again, True) == said(first)


def test_run_goes_the_short_way(second: Project) -> None:
    second.variables["PYTHONPROFILEIMPORTTIME"] = "1"
    finished = second.done("run", "app")
    assert finished.out == "app with core 1.2.0\n"
    assert WHOLE_WAY not in finished.err


@pytest.mark.parametrize("option", ["-q", "--offline", "--frozen", "--ignore-host"])
def test_options_that_change_nothing(second: Project, option: str) -> None:
    assert not sync(second, option)[1]


@pytest.fixture
def third(first: Project, tmp_path: Path) -> Project:
    """Likewise, for the whole way."""
    return working_tree(first, tmp_path, "third")


def edit_lock(project: Project) -> None:
    project.lock.write_text(project.lock.read_text() + "\n")


def edit_manifest(project: Project) -> None:
    project.manifest.write_text(project.manifest.read_text() + "\n# a remark\n")


def tree(project: Project, name: str) -> Path:
    return next(place.parents[1] for place in project.tier.glob(f"trees/*/lib/{name}"))


def purge_tree(project: Project) -> None:
    place = tree(project, "app")
    remove_sealed(place)
    place.with_suffix(".files").unlink()


def lose_tree(project: Project) -> None:
    """As a prune takes it."""
    place = tree(project, "app")
    for suffix in (".json", ".files"):
        place.with_suffix(suffix).unlink()
    remove_sealed(place)


def begin_to_remove_bundle(project: Project) -> None:
    """As a prune that another node has killed: without its marker it is as good as gone."""
    (marker,) = project.tier.glob("bundles/*.json")
    marker.unlink()


def lose_bundle(project: Project) -> None:
    (marker,) = project.tier.glob("bundles/*.json")
    marker.unlink()
    remove_sealed(marker.with_suffix(""))


def upgrade_python(project: Project) -> None:
    """As if it had been another one when the blueprint was kept."""
    (place,) = blueprints(project)
    fields = json.loads(place.read_bytes())
    fields["spec"]["interpreter"]["version"] += ".1"
    place.write_text(json.dumps(fields))


def senseless(project: Project) -> None:
    (place,) = blueprints(project)
    fields = json.loads(place.read_bytes())
    fields["plan"]["folders"].append("bin/python/x")
    place.write_text(json.dumps(fields))


def cut_off(project: Project) -> None:
    (place,) = blueprints(project)
    place.write_bytes(place.read_bytes()[:1000])


def zeros(project: Project) -> None:
    (place,) = blueprints(project)
    place.write_bytes(bytes(place.stat().st_size))


def other_fields(project: Project) -> None:
    (place,) = blueprints(project)
    fields = json.loads(place.read_bytes())
    del fields["plan"]
    place.write_text(json.dumps(fields))


def folder_in_its_place(project: Project) -> None:
    (place,) = blueprints(project)
    place.unlink()
    place.mkdir()


DIFFERENT: dict[str, Callable[[Project], object]] = {
    "lock": edit_lock,
    "manifest": edit_manifest,
    "a tree is purged": purge_tree,
    "a tree is lost": lose_tree,
    "all trees are lost": lambda project: shutil.rmtree(project.tier / "trees"),
    "a bundle is lost": lose_bundle,
    "a bundle is being removed": begin_to_remove_bundle,
    "Python": upgrade_python,
    "driver": lambda project: project.variables.update(CONDA_OVERRIDE_CUDA="12.8"),
    "C library": lambda project: project.variables.update(CONDA_OVERRIDE_GLIBC="2.99"),
    "cut off": cut_off,
    "zeros": zeros,
    "senseless": senseless,
    "other fields": other_fields,
    "a folder": folder_in_its_place,
    ".venv": lambda project: project.venv.mkdir(),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_in_doubt_the_whole_way_is_gone(second: Project, what: str) -> None:
    DIFFERENT[what](second)
    report, went_whole_way = sync(second)
    assert went_whole_way
    assert not report["repaired"]
    assert second.python(IMPORTS) == "app with core 1.2.0"
    assert not [place for place in second.venv.resolve().rglob("*") if not place.exists()]
    whole(second)


@pytest.mark.parametrize("what", ["a tree is lost", "all trees are lost", "a bundle is lost"])
def test_what_is_lost_leaves_nothing_half_done(second: Project, index: SimpleIndex, what: str) -> None:
    """What cannot be put back without a network fails as it would have without a blueprint."""
    DIFFERENT[what](second)
    finished = second.envforge("sync", "--offline")
    assert (finished.code == 0) == (what == "a bundle is lost"), finished.err
    if finished.code:
        assert not os.path.lexists(second.venv)
        assert not list(second.tier.glob("envs/second-*/*/envforge-generation.json"))
    else:
        assert second.python(IMPORTS) == "app with core 1.2.0"


def test_a_bundle_that_a_prune_has_taken(first: Project, second: Project, tmp_path: Path) -> None:
    """Its trees stay, because other projects stand on each of them."""
    for name in ("torch", "nvidia-cublas"):
        other = Project(tmp_path, first.index_url, name=name)
        other.write("app", "bar", "foo", "space-one", "space-two", name)
        other.done("sync")
    shutil.rmtree(first.root)
    second.done("cache", "prune")
    let_pass(second.tier, 15 * DAY_S)
    assert {item["kind"] for item in second.done("cache", "prune", "--json").json["removed"]} == {
        "environment",
        "bundle",
    }
    _, went_whole_way = sync(second)
    assert went_whole_way
    assert second.python(IMPORTS) == "app with core 1.2.0"


def test_a_site_store(second: Project, tmp_path: Path) -> None:
    """Its trees and bundles are linked to; when it is not named, or gone, they are fetched."""
    user = working_tree(second, tmp_path, "user")
    user.cache = tmp_path / "own"
    user.variables["ENVFORGE_SITE_STORE"] = str(second.tier)
    sync(user)
    forget(user)
    assert not sync(user)[1]
    assert user.python(IMPORTS) == "app with core 1.2.0"
    whole(user)
    forget(user)
    del user.variables["ENVFORGE_SITE_STORE"]
    shutil.rmtree(second.tier)
    _, went_whole_way = sync(user)
    assert went_whole_way
    assert user.python(IMPORTS) == "app with core 1.2.0"


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


@pytest.fixture
def built(project: Project, tmp_path: Path) -> Project:
    """Another working tree of a project with an sdist, which was built."""
    project.write("built")
    assert "Building built" in project.done("sync").err
    return working_tree(project, tmp_path, "built")


def test_what_was_built_is_not_built_again(built: Project) -> None:
    (record,) = built.tier.glob("builds/*.json")
    make_older(record, 40 * DAY_S)
    again, went_whole_way = sync(built, "--offline")
    assert not went_whole_way
    assert time.time() - record.stat().st_mtime < 60, "its use is noted"
    made = content(built)
    whole(built)
    forget(built)
    for place in blueprints(built):
        place.unlink()
    assert (again, True) == sync(built, "--offline")
    assert made == content(built)


def forget_build(project: Project) -> None:
    (record,) = project.tier.glob("builds/*.json")
    record.unlink()


def build_otherwise(project: Project) -> None:
    (record,) = project.tier.glob("builds/*.json")
    fields = json.loads(record.read_bytes())
    record.write_text(json.dumps({**fields, "sha256": "0" * 64}))


@pytest.mark.parametrize(
    "change",
    [
        forget_build,
        build_otherwise,
        lambda project: project.variables.update(TORCH_CUDA_ARCH_LIST="9.0"),
    ],
    ids=["record is gone", "record of another wheel", "other GPUs"],
)
def test_what_has_to_be_built_is(built: Project, change: Callable[[Project], object]) -> None:
    change(built)
    assert sync(built)[1]
    assert built.installed() == {"built": "1.0", "core": "1.2.0"}
    whole(built)


def test_a_folder_has_a_say(project: Project) -> None:
    member = project.root / "member"
    (member / "_backend").mkdir(parents=True)
    (member / "pyproject.toml").write_text(project_tables("member", "1.0") + BUILD_SYSTEM)
    (member / "_backend/backend.py").write_text(backend("member", "1.0"))
    project.write("member", tables='[tool.envforge.sources]\nmember = { path = "member" }')
    project.done("sync")
    assert blueprints(project) == []


def test_what_is_copied_needs_room(project: Project) -> None:
    project.write("core", "app", settings='unshare = ["core"]')
    project.done("sync")
    assert blueprints(project) == []


def test_a_host_that_is_let_in_all_the_same(second: Project) -> None:
    """What is passed over for one sync is not for the next."""
    for place in blueprints(second):
        place.unlink()
    sync(second, "--ignore-host")
    assert blueprints(second) == []


def test_a_projects_own_build_has_a_say(project: Project) -> None:
    (project.root / "backend.py").write_text(backend("demo", "1.0"))
    (project.root / "demo.py").write_text("")
    tables = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]'
    project.write("core", tables=tables)
    project.done("sync")
    assert "demo" in project.installed()
    assert blueprints(project) == []


def test_variants_are_chosen_each_time(project: Project) -> None:
    project.write("core", tables="[tool.envforge.variants.any]")
    project.done("sync")
    assert blueprints(project) == []


def test_cache_shows_and_prunes_them(first: Project, second: Project) -> None:
    holdings = first.done("cache", "info", "--json").json["holdings"]
    assert holdings["blueprints"]["count"] == 1
    assert holdings["blueprints"]["size_bytes"] > 1000
    first.done("cache", "prune")
    assert len(blueprints(first)) == 1
    (place,) = blueprints(first)
    make_older(place, 91 * DAY_S)
    removed = first.done("cache", "prune", "--json").json["removed"]
    assert [item["kind"] for item in removed] == ["blueprint"]
    assert blueprints(first) == []
    assert sync(second)[1]
    assert len(blueprints(first)) == 1


def test_using_one_keeps_it(first: Project, second: Project) -> None:
    (place,) = blueprints(first)
    make_older(place, 91 * DAY_S)
    assert not sync(second)[1]
    assert first.done("cache", "prune", "--json").json["removed"] == []


def test_many_at_once(first: Project, tmp_path: Path) -> None:
    projects = [working_tree(first, tmp_path, f"tree{number}") for number in range(5)]
    processes: list[subprocess.Popen[str]] = []
    for project in projects:
        project.variables["PYTHONPROFILEIMPORTTIME"] = "1"
        processes.append(project.start("sync"))
    for process in processes:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert WHOLE_WAY not in err
    for project in projects:
        whole(project)
