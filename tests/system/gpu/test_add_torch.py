"""``add torch --torch …`` against indexes as PyTorch's: what is written, and which build each host gets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from envforge.host.facts import host_platform

from support.accelerator_index import AcceleratorIndex
from support.distributions import make_wheel
from support.projects import MINOR, Project

pytestmark = pytest.mark.skipif(os.name == "nt", reason="paths of the environment are POSIX here")
LINUX = ("manylinux_2_28_x86_64", "manylinux_2_28_aarch64")
BUILDS = {
    "cu132": "2.14.1+cu132",
    "cu128": "2.11.0+cu128",
    "cu126": "2.14.1+cu126",
    "rocm7.2": "2.13.0+rocm7.2",
    "cpu": "2.14.1+cpu",
}
VARIANTS = ("cuda13", "cuda12-newer-gpus", "cuda12", "rocm7", "macos", "cpu")


@pytest.fixture
def index() -> Iterator[AcceleratorIndex]:
    with AcceleratorIndex() as index:
        index.add(make_wheel("core"), make_wheel("torch", "2.14.1"), make_wheel("torch", "2.13.0"))
        index.add(make_wheel("lint"))
        for build, version in BUILDS.items():
            for platform in LINUX:
                index.add_build(
                    build, make_wheel("torch", version, requires=["core"], tag=f"py3-none-{platform}")
                )
        yield index


@pytest.fixture
def project(tmp_path: Path, index: AcceleratorIndex) -> Project:
    project = Project(tmp_path, index.url)
    project.variables["ENVFORGE_ACCELERATOR_MIRROR"] = index.build_url("")
    project.variables["CONDA_OVERRIDE_CUDA"] = ""
    project.write(settings=f'platforms = ["{host_platform()}", "osx-arm64"]\n# mine, and it stays')
    return project


def on(project: Project, cuda: str) -> Project:
    project.variables["CONDA_OVERRIDE_CUDA"] = cuda
    return project


def torch(project: Project) -> str:
    return project.installed()["torch"]


def test_each_host_gets_its_build(project: Project) -> None:
    before = project.manifest.read_text()
    project.done("add", "torch", "--torch", "auto")
    assert torch(project) == "2.14.1+cpu"
    written = project.manifest.read_text()
    assert all(line in written for line in before.splitlines() if "dependencies" not in line)
    assert '"torch>=2.11"' in written  # what every build has
    assert [line for line in written.splitlines() if line.startswith("[tool.envforge.variants")] == [
        f"[tool.envforge.variants.{name}]" for name in VARIANTS
    ]
    for cuda, build in (("12.4", "cu126"), ("", "cpu")):
        on(project, cuda).done("sync", "--variant", "auto")
        assert torch(project) == BUILDS[build]
    # the architecture of GPUs that nobody has seen is not known: the build that runs on most is right
    on(project, "13.0").done("sync", "--variant", "auto")
    assert torch(project) == BUILDS["cu126"]
    on(project, "13.0").done("sync", "--variant", "cuda13")
    assert torch(project) == BUILDS["cu132"]


def test_torch_that_is_there_already(project: Project) -> None:
    """Its recorded lower bound is of the build that there was, and newer than some builds are."""
    project.done("add", "torch", "--no-sync")
    assert '"torch>=2.14.1"' in project.manifest.read_text()
    project.done("add", "torch", "--torch", "auto")
    assert torch(project) == BUILDS["cpu"]
    assert f"[tool.envforge.variants.{VARIANTS[1]}]" in project.manifest.read_text()


def test_once_is_enough(project: Project) -> None:
    project.done("add", "torch", "--torch", "auto", "--no-sync")
    written = project.manifest.read_text()
    project.done("add", "lint", "--no-sync")
    project.done("remove", "lint", "--no-sync")
    project.done("add", "torch", "--torch", "auto", "--no-sync")
    assert project.manifest.read_text() == written


def test_one_build_for_all(project: Project) -> None:
    project.done("add", "torch", "--torch", "cpu")
    assert torch(project) == BUILDS["cpu"]
    assert "cu126" not in project.manifest.read_text()


def test_a_mirror_of_the_manifest(project: Project, index: AcceleratorIndex) -> None:
    del project.variables["ENVFORGE_ACCELERATOR_MIRROR"]
    mirror = f'accelerator-mirror = "{index.build_url("").rstrip("/")}"'
    project.write(settings=f'platforms = ["{host_platform()}"]\n{mirror}')
    project.done("add", "torch", "--torch", "cpu")
    assert f'url = "{index.build_url("cpu")}"' in project.manifest.read_text()
    assert torch(project) == BUILDS["cpu"]


def test_a_variant_that_does_not_fit_names_the_one_that_does(project: Project) -> None:
    project.done("add", "torch", "--torch", "auto", "--no-sync")
    on(project, "12.4").fails("sync", "--variant", "cuda13", says=["brings CUDA 13.2", "--variant cuda12"])


def test_nothing_of_the_user_is_overwritten(project: Project, index: AcceleratorIndex) -> None:
    own = '[tool.envforge.variants.mine]\ndependencies = ["lint"]'
    project.write("core", tables=own)
    project.fails("add", "torch", "--torch", "auto", says=["has variants already", "mine"])
    source = '[tool.envforge.sources]\ntorch = { index = "other" }'
    other = f'[[tool.envforge.index]]\nname = "other"\nurl = "{index.url}"'
    project.write("core", tables=f"{source}\n{other}")
    project.fails("add", "torch", "--torch", "auto", says=["torch has a source already", "other"])
    elsewhere = (
        '[[tool.envforge.index]]\nname = "pytorch-cpu"\nurl = "https://else.test/cpu"\nexplicit = true'
    )
    project.write("core", tables=elsewhere)
    project.fails("add", "torch", "--torch", "cpu", says=["another index named 'pytorch-cpu'"])


def test_an_index_that_does_not_exist(project: Project) -> None:
    project.fails("add", "torch", "--torch", "cu999", code=2, says=["cu999", "cu126"])


def test_a_manifest_that_cannot_be_extended(project: Project, index: AcceleratorIndex) -> None:
    project.manifest.write_text(
        f'[project]\nname = "demo"\nversion = "1"\nrequires-python = ">={MINOR}"\ndependencies = []\n'
        f'[tool]\nenvforge = {{ python = "{MINOR}", index = [{{ name = "l", url = "{index.url}" }}] }}\n'
    )
    project.fails(
        "add", "torch", "--torch", "cpu", says=["cannot be written at the end", "[[tool.envforge.index]]"]
    )


def test_without_requirements_of_its_own_torch_may_come_with_another_package(
    project: Project, index: AcceleratorIndex
) -> None:
    index.add(make_wheel("lightning", requires=["torch"]))
    project.done("add", "lightning", "--torch", "auto")
    assert torch(project) == BUILDS["cpu"]
