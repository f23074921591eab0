"""Findings: from facts to what is wrong, how bad it is, and what to do."""

from __future__ import annotations

from typing import Any

import pytest

from envforge.model.accelerators import Gpu, HostFacts, NvidiaDriver, Rocm
from envforge.plan.accelerator_check import CudaNeed, WheelProblem
from envforge.plan.diagnosis import EnvironmentFacts, Finding, Severity, ShellFacts, diagnose
from envforge.struct import replace

HOST = HostFacts(platform="linux-64", glibc=(2, 36))
DRIVER = NvidiaDriver(version="570.1", cuda=(12, 8), gpus=(Gpu(name="H100", capability=(9, 0)),))
GPU_HOST = replace(HOST, nvidia=DRIVER)
SHELL = ShellFacts()
CUDA = (CudaNeed(cuda=(12, 6), packages=("torch 2.14.1+cu126",)),)


def environment(**more: Any) -> EnvironmentFacts:
    return EnvironmentFacts(**{"path": "/p/.venv", "python": "3.12.1", "platform": "linux-64", **more})


def torch(**said: Any) -> EnvironmentFacts:
    return environment(answer={"torch": {"version": "2.14.1", "cuda": None, **said}})


def one(
    facts: HostFacts, shell: ShellFacts, env: EnvironmentFacts | None, *problems: WheelProblem
) -> Finding:
    (finding,) = diagnose(facts, shell, env, problems)
    return finding


def test_nothing_is_wrong() -> None:
    assert diagnose(HOST, SHELL, None) == ()
    assert diagnose(GPU_HOST, SHELL, torch(cuda="12.6", available=True)) == ()
    assert diagnose(HOST, SHELL, torch(available=False)) == ()


@pytest.mark.parametrize(
    ("driver", "severity", "word"),
    [
        (NvidiaDriver(fault="it hangs", remedy="reboot", is_broken=True), Severity.BROKEN, "it hangs"),
        (NvidiaDriver(fault="no GPU here", remedy="ask for one"), Severity.WARNING, "no GPU here"),
        (replace(DRIVER, compat=True), Severity.NOTE, "compatibility"),
        (replace(DRIVER, gpus=(Gpu(name="A100", is_mig=True),)), Severity.BROKEN, "no slices"),
    ],
)
def test_drivers(driver: NvidiaDriver, severity: Severity, word: str) -> None:
    finding = one(replace(HOST, nvidia=driver), SHELL, None)
    assert finding.severity is severity
    assert word in finding.message


def test_amd_without_a_version() -> None:
    finding = one(replace(HOST, rocm=Rocm(architectures=("gfx1100",))), SHELL, None)
    assert "gfx1100" in finding.message
    assert "--variant" in finding.hint


def test_a_processor_that_is_played() -> None:
    assert "Rosetta" in one(replace(HOST, emulated="Rosetta"), SHELL, None).message


@pytest.mark.parametrize(
    ("shell", "severity", "words"),
    [
        (ShellFacts(python_home="/opt/py"), Severity.BROKEN, ["PYTHONHOME", "/opt/py"]),
        (
            ShellFacts(python_path=("/src",), shadowing={"/src": ("numpy", "torch")}),
            Severity.WARNING,
            ["/src", "numpy, torch"],
        ),
        (ShellFacts(python_path=("/src",)), Severity.NOTE, ["PYTHONPATH adds /src"]),
        (ShellFacts(conda_name="base", conda_python_first=True), Severity.WARNING, ["'base'"]),
        (ShellFacts(virtual_env="/other"), Severity.WARNING, ["/other"]),
    ],
)
def test_shells(shell: ShellFacts, severity: Severity, words: list[str]) -> None:
    finding = one(HOST, shell, environment())
    assert finding.severity is severity
    assert all(word in finding.message for word in words)


def test_what_is_active_and_harmless() -> None:
    assert diagnose(HOST, ShellFacts(conda_name="base"), environment()) == ()
    assert diagnose(HOST, ShellFacts(virtual_env="/p/.venv"), environment()) == ()


@pytest.mark.parametrize(
    ("facts", "env", "code", "severity", "words"),
    [
        (GPU_HOST, torch(fault="ImportError: libx"), "torch", Severity.BROKEN, ["libx"]),
        (
            GPU_HOST,
            torch(cuda="12.6", reason="RuntimeError: no"),
            "torch-cuda",
            Severity.BROKEN,
            ["12.6", "no"],
        ),
        (HOST, torch(cuda="12.6"), "torch-cuda", Severity.NOTE, ["works on the processor"]),
        (GPU_HOST, torch(), "torch-cpu", Severity.WARNING, ["for the processor"]),
        (HOST, torch(hip="6.4"), "torch-rocm", Severity.NOTE, ["ROCm 6.4"]),
    ],
)
def test_torch(
    facts: HostFacts, env: EnvironmentFacts, code: str, severity: Severity, words: list[str]
) -> None:
    finding = one(facts, SHELL, env)
    assert (finding.code, finding.severity) == (code, severity)
    assert all(word in finding.message for word in words)


def test_an_amd_gpu_that_torch_does_not_find() -> None:
    facts = replace(HOST, rocm=Rocm(version=(7, 2), architectures=("gfx90a",)))
    assert one(facts, SHELL, torch(hip="7.2")).severity is Severity.BROKEN


def test_gpus_that_a_variable_hides() -> None:
    assert "CUDA_VISIBLE_DEVICES is ''" in one(GPU_HOST, SHELL, torch(cuda="12.6", visible="")).hint


@pytest.mark.parametrize(
    ("env", "code", "severity"),
    [
        (environment(is_lost=True, fault="x", by_hand=("y 1",)), "environment", Severity.BROKEN),
        (environment(fault="it ended with status 1"), "environment", Severity.BROKEN),
        (environment(platform="linux-aarch64"), "architecture", Severity.BROKEN),
        (environment(by_hand=("requests 2.0",)), "by-hand", Severity.WARNING),
        (environment(network_place="nfs4"), "tier", Severity.WARNING),
        (
            environment(answer={"user_site": {"path": "/h/.local", "names": ["numpy"]}}),
            "user-site",
            Severity.WARNING,
        ),
        (
            environment(cuda=(*CUDA, CudaNeed(cuda=(11, 8), packages=("x 1",)))),
            "mixed-cuda",
            Severity.WARNING,
        ),
        (environment(cuda=CUDA, conda={"cuda-cudart": "12.6"}), "mixed-cuda", Severity.WARNING),
    ],
)
def test_environments(env: EnvironmentFacts, code: str, severity: Severity) -> None:
    finding = one(HOST, SHELL, env)
    assert (finding.code, finding.severity) == (code, severity)
    assert finding.hint


def test_another_cuda_on_the_library_path() -> None:
    shell = ShellFacts(cuda_libraries={"/usr/local/cuda/lib64": ("libcudart.so.11.0",)})
    assert "libcudart.so.11.0" in one(HOST, shell, environment(cuda=CUDA)).message
    assert diagnose(HOST, shell, environment()) == ()  # nobody's CUDA is in its way


def test_wheels_that_do_not_fit_are_told_worst_first() -> None:
    shell = ShellFacts(python_path=("/src",))
    problem = WheelProblem(message="torch needs more", hint="do it")
    findings = diagnose(GPU_HOST, shell, environment(by_hand=("x 1",)), [problem])
    assert [finding.severity for finding in findings] == [Severity.BROKEN, Severity.WARNING, Severity.NOTE]
    assert findings[0].hint == "do it"


def test_a_driver_that_does_not_work_is_told_once() -> None:
    facts = replace(HOST, nvidia=NvidiaDriver(fault="it hangs", remedy="reboot", is_broken=True))
    told = WheelProblem(message="the NVIDIA driver cannot be used: it hangs", refuses=False)
    assert one(facts, SHELL, environment(cuda=CUDA), told).code == "driver"
