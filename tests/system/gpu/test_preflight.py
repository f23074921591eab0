"""Hosts that cannot use what is locked for them are told so before anything is downloaded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.distributions import make_wheel
from support.projects import Project
from support.simple_index import SimpleIndex

pytestmark = pytest.mark.skipif(os.name == "nt", reason="paths of the environment are POSIX here")
RUNTIME = "nvidia-cuda-runtime"


@pytest.fixture
def index() -> Iterator[SimpleIndex]:
    """torch as PyPI has it, with a runtime of CUDA 13 beside it, and two builds with local versions."""
    with SimpleIndex() as index:
        index.add(
            make_wheel("torch", "2.14.1", requires=[f"{RUNTIME}==13.2.86"]),
            make_wheel(RUNTIME, "13.2.86"),
            make_wheel("torch", "2.13.0+cu126"),
            make_wheel("torch", "2.13.0+cpu"),
        )
        yield index


@pytest.fixture
def project(tmp_path: Path, index: SimpleIndex) -> Project:
    project = Project(tmp_path, index.url)
    project.write("torch")
    project.done("lock")
    return project


def on(project: Project, cuda: str) -> Project:
    """As on a host whose driver runs this CUDA, "" for one without."""
    project.variables["CONDA_OVERRIDE_CUDA"] = cuda
    return project


def test_a_driver_that_is_too_old_is_refused_before_the_download(project: Project) -> None:
    says = ["torch", "CUDA 13.2", "580.65.06", "CONDA_OVERRIDE_CUDA says CUDA 12.4", "--ignore-host"]
    on(project, "12.4").fails("sync", says=says)
    on(project, "12.4").fails("sync", "--dry-run", says=says)
    assert not list(project.tier.glob("trees/*"))


def test_it_is_only_told_where_the_user_says_so(project: Project) -> None:
    told = on(project, "12.4").done("sync", "--ignore-host").err
    assert "CUDA 13.2" in told
    assert project.installed() == {"torch": "2.14.1", RUNTIME: "13.2.86"}
    # let in once, it is not refused again
    assert "CUDA" not in project.done("sync").err


@pytest.mark.parametrize("cuda", ["13.0", "13.5", ""])
def test_a_driver_of_the_same_major_version_and_none_at_all_will_do(project: Project, cuda: str) -> None:
    assert "CUDA" not in on(project, cuda).done("sync").err
    assert project.installed()["torch"] == "2.14.1"


@pytest.mark.parametrize(
    ("build", "cuda", "fits"), [("cu126", "12.0", True), ("cu126", "11.4", False), ("cpu", "11.4", True)]
)
def test_builds_with_local_versions(project: Project, build: str, cuda: str, fits: bool) -> None:
    project.write(f"torch==2.13.0+{build}")
    if fits:
        on(project, cuda).done("sync")
        assert project.installed() == {"torch": f"2.13.0+{build}"}
    else:
        on(project, cuda).fails("sync", says=["brings CUDA 12.6", "525.60.13"])


def test_an_environment_that_another_host_was_let_into_is_told(project: Project) -> None:
    """It was made where there is no driver; with one that is too old it is worth a word, not a refusal."""
    on(project, "").done("sync")
    files = (project.manifest, project.lock)
    cuda13 = [file.read_text() for file in files]
    project.write("torch==2.13.0+cpu")
    project.done("sync")
    for file, text in zip(files, cuda13, strict=True):
        file.write_text(text)
    told = on(project, "12.4").done("sync").err
    assert "brings CUDA 13.2" in told
    assert "hint: update the driver" in told
    assert "CUDA" not in project.done("sync").err


def test_a_variable_that_is_no_version(project: Project) -> None:
    on(project, "twelve").fails("sync", says=["CONDA_OVERRIDE_CUDA", "twelve"])
