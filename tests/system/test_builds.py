"""Builds as people have them: with settings, with what is locked, once for all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.distributions import (
    BACKEND,
    BUILD_SYSTEM,
    Distribution,
    backend,
    make_sdist,
    make_wheel,
    project_tables,
)
from support.projects import Project
from support.simple_index import SimpleIndex
from support.telling import TELLING, count, seen, telling

pytestmark = pytest.mark.skipif(os.name == "nt", reason="paths of the environment are POSIX here")


def test_settings_reach_the_build_and_decide_when_it_is_done_again(
    project: Project, index: SimpleIndex, noted: Path
) -> None:
    index.add(telling())
    project.write("telling")
    project.done("sync")
    assert seen(project)["config"] is None
    jobs = seen(project)["env"]
    assert isinstance(jobs, dict)
    assert 1 <= int(jobs["MAX_JOBS"]) <= (os.cpu_count() or 1)
    assert jobs["CMAKE_BUILD_PARALLEL_LEVEL"] == jobs["MAX_JOBS"]
    lock = project.lock.read_bytes()

    settings = (
        'config-settings = { "--opt" = "x", many = ["a", "b"] }\nenv = { FLAVOUR = "sweet", MAX_JOBS = "3" }'
    )
    project.write("telling", tables=f"[tool.envforge.build.Telling]\n{settings}")
    project.done("sync")
    assert seen(project) == {
        "config": {"--opt": "x", "many": ["a", "b"]},
        "core": None,
        "env": {
            "FLAVOUR": "sweet",
            "MAX_JOBS": "3",
            "CMAKE_BUILD_PARALLEL_LEVEL": "3",
            "TORCH_CUDA_ARCH_LIST": None,
        },
    }
    assert count(noted) == 2
    assert project.lock.read_bytes() == lock, "how something is built is no matter of the lock"

    more_jobs = settings.replace('"3"', '"7"')
    project.write("telling", tables=f"[tool.envforge.build.Telling]\n{more_jobs}")
    project.done("sync")
    assert count(noted) == 2, "the number of jobs says how fast, not what"
    project.variables["TORCH_CUDA_ARCH_LIST"] = "9.0"
    project.done("sync")
    assert count(noted) == 3
    del project.variables["TORCH_CUDA_ARCH_LIST"]
    project.write("telling")
    project.done("sync")
    assert count(noted) == 3, "the first one is found again"
    project.done("sync")
    assert project.leftovers() == []


@pytest.mark.parametrize("filename", ["nee_dy-1.0.tar.gz", "v1.0.tar.gz"])
def test_settings_hold_while_an_archive_is_asked_what_it_requires(
    project: Project, index: SimpleIndex, filename: str
) -> None:
    needy = "\nif os.environ.get('FLAVOUR') != 'sweet':\n    raise SystemExit('no FLAVOUR')\n"
    files = {
        "PKG-INFO": "Metadata-Version: 2.1\nName: nee-dy\nVersion: 1.0\n",
        "pyproject.toml": BUILD_SYSTEM,
        "_backend/backend.py": backend("nee-dy", "1.0") + "\nimport os" + needy,
        "nee_dy/__init__.py": "",
    }
    archive = make_sdist("nee-dy", files=files)
    place = project.root / filename
    place.write_bytes(archive.content)
    project.write()
    project.fails("add", f"nee-dy @ {place.as_uri()}", says=["no FLAVOUR"])
    project.write(tables='[tool.envforge.build."nee-dy"]\nenv = { FLAVOUR = "sweet" }')
    project.done("add", f"nee-dy @ {place.as_uri()}")
    assert project.python("import nee_dy") == ""


def test_a_build_with_what_is_locked_is_done_again_exactly_when_that_moves(
    project: Project, index: SimpleIndex, noted: Path
) -> None:
    index.add(telling(), make_wheel("lint", "2.0"))
    with_core = '[tool.envforge.build.telling]\nwith = ["core"]'
    project.write("telling", "core==1.0", "lint<2", tables=with_core)
    project.done("sync")
    assert seen(project)["core"] == "1.0"
    project.write("telling", "core==1.0", "lint", tables=with_core)
    project.done("lock", "--upgrade")
    project.done("sync")
    assert project.installed()["lint"] == "2.0"
    assert count(noted) == 1, "lint has nothing to do with it"
    project.write("telling", "core==1.2.0", "lint", tables=with_core)
    project.done("sync")
    assert seen(project)["core"] == "1.2.0"
    assert count(noted) == 2
    project.write("telling", "core==1.0", "lint", tables=with_core)
    project.done("sync")
    assert seen(project)["core"] == "1.0"
    assert count(noted) == 2, "found again"


def test_a_build_may_need_what_is_not_locked(project: Project, index: SimpleIndex, noted: Path) -> None:
    index.add(telling())
    project.write("telling", tables='[tool.envforge.build.telling]\nwith = ["core"]')
    project.done("sync")
    assert seen(project)["core"] == "1.2.0"
    assert "core" not in project.installed()


def test_a_build_requirement_that_the_lock_contradicts(
    project: Project, index: SimpleIndex, noted: Path
) -> None:
    index.add(telling_with("core>=1.2"))
    project.write("telling", "core==1.0", tables='[tool.envforge.build.telling]\nwith = ["core"]')
    project.done("lock")
    project.fails("sync", says=["a build requires core>=1.2, but core 1.0 is locked"])
    assert count(noted) == 0


def telling_with(*requires: str) -> Distribution:
    """The sdist of :mod:`support.telling`, with build requirements."""
    asking = BUILD_SYSTEM.replace("requires = []", f"requires = {json.dumps(requires)}")
    backend = BACKEND.format(name="telling", version="1.0", requires=[], scripts={}) + TELLING
    return make_sdist(
        "telling",
        files={"pyproject.toml": project_tables("telling", "1.0") + asking, "_backend/backend.py": backend},
    )


def test_build_constraints_bound_what_builds_require_and_nothing_else(
    project: Project, index: SimpleIndex, noted: Path
) -> None:
    index.add(telling_with("core"))
    project.write("telling", "core")
    project.done("sync")
    assert seen(project)["core"] == "1.2.0"
    lock = project.lock.read_bytes()

    project.write("telling", "core", settings='build-constraints = ["core<1.1", "unused<3"]')
    project.done("sync")
    assert seen(project)["core"] == "1.0"
    assert count(noted) == 2, "what was built with another core is not what was asked for"
    assert project.installed()["core"] == "1.2.0"
    assert project.lock.read_bytes() == lock, "how something is built is no matter of the lock"

    for settings, core in (
        ("", "1.2.0"),
        ("""build-constraints = ["core<1; sys_platform == 'win32'"]""", "1.2.0"),
        ('build-constraints = ["core<1.1", "unused<3"]', "1.0"),
        ('build-constraints = ["core>1.1"]', "1.2.0"),
    ):
        project.write("telling", "core", settings=settings)
        project.done("sync")
        assert seen(project)["core"] == core
        assert count(noted) == 2, "each of the two is found again"


def test_build_constraints_that_a_build_cannot_have(
    project: Project, index: SimpleIndex, noted: Path
) -> None:
    index.add(telling_with("core>=1.2"))
    project.write("telling", settings='build-constraints = ["core<1.1"]')
    project.done("lock")
    project.fails(
        "sync",
        says=[
            "tool.envforge.build-constraints admits only core<1.1",
            "the build of telling needs core>=1.2",
            'change "core<1.1" to "core==1.2.0"',
        ],
    )

    with_core = '[tool.envforge.build.telling]\nwith = ["core"]'
    project.write("telling", "core", settings='build-constraints = ["core<1.1"]', tables=with_core)
    project.fails(
        "sync",
        says=[
            "tool.envforge.build-constraints admits only core<1.1, but core 1.2.0 is locked",
            'constraints = ["core<1.1"]',
        ],
    )
    assert count(noted) == 0


def test_many_processes_build_once(project: Project, index: SimpleIndex, noted: Path, tmp_path: Path) -> None:
    """As many as ``ENVFORGE_TEST_BUILDERS`` says, in as many projects with one store."""
    index.add(telling(TELLING.replace("import json, os\n", "import json, os, time; time.sleep(0.5)\n", 1)))
    projects = [
        Project(tmp_path, index.url, cache=project.cache, name=f"p{number}")
        for number in range(int(os.environ.get("ENVFORGE_TEST_BUILDERS", "4")))
    ]
    for each in projects:
        each.variables = project.variables
        each.write("telling")
    processes = [each.start("sync") for each in projects]
    for process in processes:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    assert count(noted) == 1
    assert all(each.installed() == {"telling": "1.0"} for each in projects)


@pytest.fixture
def tiers_in_memory() -> Iterator[list[str]]:
    if not os.access("/dev/shm", os.W_OK):
        pytest.skip("there is no /dev/shm")
    folders = [tempfile.mkdtemp(prefix="envforge-test-", dir="/dev/shm") for _ in range(2)]
    yield folders
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def test_a_node_with_an_empty_tier_finds_what_another_has_built(
    project: Project, index: SimpleIndex, noted: Path, tiers_in_memory: list[str]
) -> None:
    first, second = tiers_in_memory
    index.add(telling())
    project.write("telling")
    project.variables["ENVFORGE_TIER"] = first
    project.done("sync")
    project.variables["ENVFORGE_TIER"] = second
    project.done("sync", "--offline")
    assert seen(project)["config"] is None
    assert count(noted) == 1

    [kept] = list((project.cache / "archives").glob("*.whl"))
    kept.write_bytes(b"damaged")
    shutil.rmtree(first)
    project.variables["ENVFORGE_TIER"] = first
    project.done("sync")
    assert count(noted) == 2, "what is damaged is built again"
    assert kept.read_bytes() != b"damaged"


def test_a_build_constraint_on_something_else_is_no_reason_to_build_again(
    project: Project, index: SimpleIndex, noted: Path
) -> None:
    index.add(telling_with("core"))
    for constraints in (["core<1.1"], ["core<1.1", "numpy<2"], [], ["numpy<2"]):
        project.write("telling", settings=f"build-constraints = {constraints}")
        project.done("sync")
        assert seen(project)["core"] == "1.0"
    assert count(noted) == 1


def test_build_constraints_hold_for_what_another_node_has_built(
    project: Project, index: SimpleIndex, noted: Path, tiers_in_memory: list[str]
) -> None:
    index.add(telling_with("core"))
    for tier, settings, core in zip(
        tiers_in_memory, ("", 'build-constraints = ["core<1.1"]'), ("1.2.0", "1.0"), strict=True
    ):
        project.write("telling", settings=settings)
        project.variables["ENVFORGE_TIER"] = tier
        project.done("sync")
        assert seen(project)["core"] == core
    assert count(noted) == 2


def test_a_backend_may_add_a_label_to_the_version(project: Project, index: SimpleIndex, noted: Path) -> None:
    index.add(telling(built_as="1.0+cu128"))
    project.write("telling")
    project.done("sync")
    assert project.installed() == {"telling": "1.0+cu128"}
    assert "telling" not in project.done("sync", "--dry-run").err
    assert count(noted) == 1


def test_a_project_table_tells_what_an_sdist_requires(project: Project, index: SimpleIndex) -> None:
    """Its PKG-INFO is too old to be relied upon; nothing is built to lock it."""
    files = {
        "PKG-INFO": "Metadata-Version: 2.1\nName: telling\nVersion: 1.0\n",
        "pyproject.toml": project_tables("telling", "1.0", ["core", 'lint; sys_platform == "win32"'])
        + BUILD_SYSTEM,
        "_backend/backend.py": "raise SystemExit('built')",
    }
    index.add(make_sdist("telling", files=files))
    project.write("telling")
    assert "taken for" not in project.done("lock").err
    assert project.locked == {"telling": "1.0", "core": "1.2.0", "lint": "1.0"}


HEADED = """
#include <Python.h>
#include <number.h>
static struct PyModuleDef def = {PyModuleDef_HEAD_INIT, "headed", 0, -1, 0};
PyMODINIT_FUNC PyInit_headed(void) {
    PyObject *module = PyModule_Create(&def);
    PyModule_AddIntConstant(module, "number", NUMBER);
    return module;
}
"""
COMPILING = """

def build_wheel(folder, config_settings=None, metadata_directory=None):
    import headers, os, subprocess, sysconfig
    with open(os.environ["BUILDS_NOTED"], "a") as noted:
        noted.write("built\\n")
    includes = ["-I" + headers.folder, "-I" + sysconfig.get_path("include")]
    subprocess.run(["cc", "-shared", "-fPIC", *includes, "module.c", "-o", "headed.so"], check=True)
    with open("headed.so", "rb") as built:
        return _pack(folder, {"headed" + sysconfig.get_config_var("EXT_SUFFIX"): built.read()})
"""


@pytest.mark.skipif(not shutil.which("cc"), reason="there is no C compiler")
def test_an_extension_against_headers_of_what_is_locked(
    project: Project, index: SimpleIndex, noted: Path
) -> None:
    """The header moves with the locked version, and so does what is compiled."""
    where = "import os\nfolder = os.path.dirname(__file__)\n"
    for version, number in (("1.0", 1), ("2.0", 2)):
        header = f"#define NUMBER {number}\n"
        index.add(
            make_wheel("headers", version, files={"headers/__init__.py": where, "headers/number.h": header})
        )
    source = {"module.c": HEADED, "_backend/backend.py": backend("headed", "1.0") + COMPILING}
    index.add(make_sdist("headed", requires=["headers"], files=source))
    for version, built in (("1.0", 1), ("2.0", 2), ("1.0", 2)):
        tables = '[tool.envforge.build.headed]\nwith = ["headers"]'
        project.write("headed", f"headers=={version}", tables=tables)
        project.done("sync")
        assert project.python("import headed; print(headed.number)") == version[0]
        assert count(noted) == built
