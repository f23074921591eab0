"""``envforge doctor`` in real environments: what it sees, what it says, how it ends."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.distributions import make_wheel
from support.projects import Project
from support.simple_index import SimpleIndex

pytestmark = pytest.mark.skipif(os.name == "nt", reason="paths of the environment are POSIX here")

TORCH = """
import os, types, warnings
__version__ = {version!r}
version = types.SimpleNamespace(cuda={cuda!r}, hip=None)
def _init():
    raise RuntimeError("CUDA driver version is insufficient")
cuda = types.SimpleNamespace(
    is_available=lambda: os.environ.get("FAKE_GPUS", "") != "",
    device_count=lambda: 1, get_device_name=lambda each: "H100", get_arch_list=lambda: ["sm_90"], init=_init,
)
"""


def torch_wheel(version: str, cuda: str | None) -> Any:
    return make_wheel("torch", version, files={"torch/__init__.py": TORCH.format(version=version, cuda=cuda)})


@pytest.fixture
def index() -> Iterator[SimpleIndex]:
    with SimpleIndex() as index:
        index.add(torch_wheel("2.14.1+cu126", "12.6"), torch_wheel("2.14.1+cpu", None), make_wheel("core"))
        index.add(make_wheel("torch", "2.0.0", files={"torch/__init__.py": "raise ImportError('libx.so')"}))
        yield index


@pytest.fixture
def project(tmp_path: Path, index: SimpleIndex) -> Project:
    project = Project(tmp_path, index.url)
    project.variables["CONDA_OVERRIDE_CUDA"] = ""
    return project


def doctor(project: Project, code: int = 0, **variables: str) -> dict[str, dict[str, Any]]:
    """Findings by their code."""
    project.variables.update(variables)
    finished = project.envforge("doctor", "--json")
    assert finished.code == code, f"{finished.code}\n{finished.out}{finished.err}"
    findings = finished.json["findings"]
    assert finished.json["broken"] == any(finding["severity"] == "broken" for finding in findings)
    return {finding["code"]: finding for finding in findings}


def synced(project: Project, *requirements: str, **more: str) -> Project:
    project.write(*requirements, **more)
    project.done("sync")
    return project


def test_outside_a_project(project: Project) -> None:
    finished = project.done("doctor")
    assert finished.out.startswith("Host\n  system ")
    assert "Project" not in finished.out
    assert project.done("doctor", "--json").json["project"] is None
    assert not list(project.tier.glob("*"))


def test_a_project_step_by_step(project: Project) -> None:
    project.write("core")
    assert doctor(project).keys() >= {"lock", "environment"}
    project.done("sync")
    assert not {"lock", "environment"} & doctor(project).keys()
    project.write("core", "torch==2.14.1+cpu")
    assert doctor(project)["lock"]["severity"] == "warning"
    shown = project.done("doctor").out
    assert "envforge.lock does not fit" in shown
    assert "Found 1 warning." in shown
    project.manifest.write_text("[project\n")
    assert doctor(project, 1)["manifest"]["severity"] == "broken"


def test_torch_and_the_driver_agree_or_not(project: Project) -> None:
    synced(project, "torch==2.14.1+cu126")
    assert doctor(project)["torch-cuda"]["severity"] == "note"
    broken = doctor(project, 1, CONDA_OVERRIDE_CUDA="12.8")["torch-cuda"]
    assert "CUDA driver version is insufficient" in broken["message"]
    assert "torch-cuda" not in doctor(project, FAKE_GPUS="1")
    told = project.done("doctor").out
    assert "2.14.1+cu126, built for CUDA 12.6, sees 1 GPU" in told
    old = doctor(project, 1, CONDA_OVERRIDE_CUDA="11.4")["wheels"]
    assert "525.60.13" in old["message"]


def test_a_build_for_processors_on_a_machine_with_a_gpu(project: Project) -> None:
    synced(project, "torch==2.14.1+cpu")
    assert doctor(project, CONDA_OVERRIDE_CUDA="12.8")["torch-cpu"]["severity"] == "warning"


def test_a_torch_that_cannot_be_imported(project: Project) -> None:
    synced(project, "torch==2.0.0")
    assert "libx.so" in doctor(project, 1)["torch"]["message"]


def test_what_reaches_in_from_outside(project: Project, tmp_path: Path) -> None:
    synced(project, "core", "torch==2.14.1+cu126")
    source, cuda = tmp_path / "source", tmp_path / "cuda"
    (source / "core").mkdir(parents=True)
    cuda.mkdir()
    (cuda / "libcudart.so.11.0").write_bytes(b"")
    by_hand = next(project.venv.glob("lib/python*/site-packages")) / "left_pad-1.0.dist-info"
    by_hand.mkdir()
    path = f"{project.environ()['PYTHONPATH']}:{source}"
    found = doctor(project, PYTHONPATH=path, LD_LIBRARY_PATH=str(cuda), VIRTUAL_ENV="/other")
    assert str(source) in found["python-path"]["message"]
    assert "libcudart.so.11.0" in found["library-path"]["message"]
    assert "left-pad 1.0" in found["by-hand"]["message"]
    assert "/other" in found["virtual-env"]["message"]


def test_conda_that_is_active(project: Project, tmp_path: Path) -> None:
    synced(project, "core")
    base = tmp_path / "conda"
    (base / "bin").mkdir(parents=True)
    (base / "bin/python").write_text("#!/bin/sh\n")
    (base / "bin/python").chmod(0o755)
    path = f"{base}/bin:{project.environ().get('PATH', '')}"
    found = doctor(project, CONDA_PREFIX=str(base), CONDA_DEFAULT_ENV="base", PATH=path)
    assert "'base'" in found["conda-active"]["message"]


def test_an_environment_that_is_gone(project: Project) -> None:
    synced(project, "core")
    (project.venv / "bin/python").unlink()
    assert "gone" in doctor(project, 1)["environment"]["message"]


def test_an_environment_of_somebody_else(project: Project) -> None:
    project.write("core")
    (project.root / ".venv").mkdir()
    assert "not made by envforge" in doctor(project, 1)["environment"]["message"]


VARIANTS = """
[tool.envforge.variants.cuda]
when = { cuda = ">=12.0" }
[tool.envforge.variants.cpu]
"""


def test_the_variant_and_why(project: Project) -> None:
    project.write("core", tables=VARIANTS)
    project.done("sync", "--variant", "cuda")
    found = doctor(project)
    assert "would be cpu" in found["variant"]["message"]
    shown = project.done("doctor").out
    assert "  variant     cuda\n" in shown
    assert "  by the host cpu: " in shown
    assert "no NVIDIA driver" in shown
    assert "variant" not in doctor(project, CONDA_OVERRIDE_CUDA="12.4")


def test_it_changes_nothing_and_its_reading_is_a_recording(project: Project) -> None:
    synced(project, "core")
    with project.unchanged():
        document = project.done("doctor", "--json").json
    from envforge.host.machine import MachineReading

    recorded = json.loads(json.dumps(document["reading"]))
    assert MachineReading(**recorded).platform == document["host"]["platform"]
