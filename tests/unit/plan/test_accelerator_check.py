"""Whether hosts can use wheels: drivers, architectures, C libraries, before anything is downloaded."""

from __future__ import annotations

import pytest

from envforge.model.accelerators import Gpu, HostFacts, NvidiaDriver
from envforge.model.lock import LockedFile, LockedPackage
from envforge.plan.accelerator_check import (
    WheelProblem,
    check_use,
    check_wheels,
    cuda_needs,
    oldest_glibc,
    oldest_macos,
    torch_build,
    wheels_error,
)
from envforge.struct import replace
from envforge.workflows.accelerator_data import read_accelerator_table

TABLE = read_accelerator_table()
CU132 = (
    "torch==2.14.1",
    "cuda-toolkit==13.2.2",
    "nvidia-cuda-runtime==13.2.86",
    "nvidia-cudnn-cu13==9.26.0.51",
)
CU126 = ("torch==2.14.1+cu126", "nvidia-cuda-runtime-cu12==12.6.77", "nvidia-nccl-cu12==2.29.3")


def packages(*pins: str) -> list[LockedPackage]:
    parts = [pin.split("==") for pin in pins]
    return [LockedPackage(id=name, name=name, version=version, index="pypi") for name, version in parts]


def files(*names: str) -> list[LockedFile]:
    return [LockedFile(url=f"https://files.test/{name}", sha256="0" * 64) for name in names]


def host(
    cuda: tuple[int, int] | None, *capabilities: tuple[int, int], version: str = "", **more: object
) -> HostFacts:
    gpus = tuple(Gpu(name=f"GPU{number}", capability=arch) for number, arch in enumerate(capabilities))
    driver = NvidiaDriver(version=version, cuda=cuda, gpus=gpus, told_by="nvml")
    return replace(HostFacts(platform="linux-64", glibc=(2, 36), nvidia=driver), **more)  # type: ignore[arg-type]


def check(pins: tuple[str, ...], facts: HostFacts, *names: str) -> list[WheelProblem]:
    return check_wheels(packages(*pins), files(*names), facts, TABLE)


def test_what_brings_cuda() -> None:
    (need,) = cuda_needs(packages(*CU132, "numpy==2.0"))
    assert need.cuda == (13, 2)
    # what users know comes first, and what is only built for a major version says no minor one
    assert cuda_needs(packages("cupy-cuda12x==13.4"))[0].cuda == (12, 0)
    assert cuda_needs(packages(*CU126))[0].packages[0] == "torch 2.14.1+cu126"
    assert cuda_needs(packages("torch==2.14.1+cpu", "torch-cu==1.0", "nvidia-ml-py==13.580")) == []


def test_who_asks_for_cuda_is_named_not_its_libraries() -> None:
    torch, *libraries = packages(*CU132)
    asking = replace(torch, requires=("cuda-toolkit[cudart]==13.2.2; platform_system == 'Linux'", "sympy"))
    assert cuda_needs([asking, *libraries])[0].packages == ("torch 2.14.1",)
    assert cuda_needs([torch, *libraries])[0].packages[0] == "cuda-toolkit 13.2.2"


def test_two_majors_are_two_needs() -> None:
    assert [need.cuda for need in cuda_needs(packages(*CU132, *CU126[1:]))] == [(13, 2), (12, 6)]


@pytest.mark.parametrize(
    ("cuda", "refused"),
    [((12, 0), False), ((12, 2), False), ((12, 9), False), ((13, 0), False), ((11, 8), True)],
)
def test_any_driver_of_the_same_major_version_runs_it(cuda: tuple[int, int], refused: bool) -> None:
    problems = check(CU126, host(cuda, (8, 0), version="535.183.01"))
    assert [problem.refuses for problem in problems] == ([True] if refused else [])


def test_a_driver_that_is_too_old_is_told_with_what_would_do() -> None:
    (problem,) = check(CU132, host((12, 2), (8, 0), version="535.183.01"))
    assert problem.refuses
    assert "CUDA 13.2" in problem.message
    assert "580.65.06 or newer" in problem.message
    assert "535.183.01 here runs CUDA 12.2" in problem.message


def test_on_wsl_the_drivers_version_is_that_of_windows() -> None:
    (problem,) = check(CU126, host((11, 4), (8, 9), version="471.11", is_wsl=True))
    assert "528.33" in problem.message
    assert "525.60.13" not in problem.message


def test_a_variable_that_says_what_the_driver_is() -> None:
    driver = NvidiaDriver(cuda=(12, 4), told_by="CONDA_OVERRIDE_CUDA")
    (problem,) = check(CU132, HostFacts(platform="linux-64", nvidia=driver))
    assert "CONDA_OVERRIDE_CUDA says CUDA 12.4" in problem.message


def test_a_host_without_a_driver_is_no_problem() -> None:
    assert check(CU132, HostFacts(platform="linux-64", glibc=(2, 36))) == []


def test_a_driver_that_does_not_work_is_told_and_refuses_nothing() -> None:
    driver = NvidiaDriver(fault="its library is here, its devices are not", remedy="start it otherwise")
    (problem,) = check(CU132, HostFacts(platform="linux-64", nvidia=driver))
    assert not problem.refuses
    assert "its devices are not" in problem.message
    assert problem.hint == "start it otherwise"


NVIDIA_WHEEL = LockedFile(
    url="https://files.test/nvidia_cublas-13.4-py3-none-any.whl", sha256="0" * 64, size_bytes=600_000_000
)


def test_libraries_for_a_gpu_that_is_not_there_are_told_where_nobody_chose() -> None:
    plain, chosen = HostFacts(platform="linux-64"), packages(*CU132)
    (told,) = check_use(chosen, [NVIDIA_WHEEL], plain, "")
    assert not told.refuses
    assert "libraries of CUDA (0.6 GB)" in told.message
    assert "--torch auto" in told.hint
    assert check_use(chosen, [NVIDIA_WHEEL], plain, "cuda") == []
    assert check_use(chosen, [NVIDIA_WHEEL], replace(plain, overridden=("CONDA_OVERRIDE_CUDA",)), "") == []
    assert check_use(chosen, [NVIDIA_WHEEL], host((13, 0)), "") == []
    assert check_use(packages("torch==2.14.1+cpu"), [], plain, "") == []


def test_a_variant_that_was_chosen_because_the_driver_is_broken() -> None:
    broken = HostFacts(platform="linux-64", nvidia=NvidiaDriver(fault="it hangs", is_broken=True))
    (told,) = check_use(packages("torch==2.14.1+cpu"), [], broken, "cpu")
    assert "it hangs; variant cpu" in told.message
    absent = HostFacts(platform="linux-64", nvidia=NvidiaDriver(fault="no GPU in this job"))
    assert check_use(packages("torch==2.14.1+cpu"), [], absent, "cpu") == []


def test_a_gpu_too_old_for_the_build() -> None:
    (problem,) = check(CU132, host((13, 0), (7, 0)))
    assert problem.refuses
    assert "GPU0 (7.0)" in problem.message
    assert "7.5 to 12.0" in problem.message


def test_a_gpu_too_new_for_the_build() -> None:
    (problem,) = check(CU126, host((13, 0), (12, 0)))
    assert problem.refuses
    assert "GPU0 (12.0)" in problem.message
    assert problem.hint == "cu132 has a build for it, of torch 2.14: envforge add 'torch<2.15' --torch auto"
    (problem,) = check(CU126, host((12, 8), (12, 0)))
    assert problem.hint == "cu128 has a build for it, of torch 2.11: envforge add 'torch<2.12' --torch auto"


def test_a_gpu_that_only_a_newer_driver_serves() -> None:
    cu128 = ("torch==2.11.0+cu128",)
    (problem,) = check(cu128, host((12, 9), (11, 0), platform="linux-aarch64"))
    assert problem.hint == "update the NVIDIA driver to one for CUDA 13 (580.65.06 or newer)"
    (problem,) = check(cu128, host((12, 9), (3, 7)))
    assert problem.hint == "no build of torch is known that is compiled for it"


@pytest.mark.parametrize("arch", [(7, 5), (8, 6), (8, 9), (9, 0), (10, 3), (12, 1)])
def test_gpus_run_what_was_compiled_for_an_older_minor_version(arch: tuple[int, int]) -> None:
    assert check(CU132, host((13, 0), arch)) == []


def test_one_gpu_of_two_is_enough() -> None:
    (problem,) = check(CU132, host((13, 0), (9, 0), (6, 1)))
    assert not problem.refuses
    assert "GPU1 (6.1)" in problem.message


def test_what_is_not_known_refuses_nothing() -> None:
    assert check(("torch==9.9.0+cu132",), host((13, 0), (3, 5))) == []
    assert check(("torch==2.14.1.dev1+git1234",), host((13, 0), (3, 5))) == []
    assert check(CU132, host((13, 0))) == []


def test_the_build_of_torch() -> None:
    assert torch_build(packages("numpy==1.0")) is None
    builds = [
        torch_build(packages(*pins)) for pins in (CU132, CU126, ("torch==2.14.1+cpu",), ("torch==2.14.1",))
    ]
    assert [build[1] for build in builds if build] == ["cu132", "cu126", "cpu", ""]


def test_wheels_for_a_newer_c_library() -> None:
    old = HostFacts(platform="linux-64", glibc=(2, 17))
    names = ["torch-2.14.1-cp312-cp312-manylinux_2_28_x86_64.whl", "a-1-py3-none-manylinux2014_x86_64.whl"]
    (problem,) = check((), old, *names)
    assert problem.message == "torch needs glibc 2.28; this host has 2.17"
    assert check((), HostFacts(platform="linux-64"), *names) == []  # not glibc: somebody else's question


def test_wheels_for_a_newer_macos() -> None:
    mac = HostFacts(platform="osx-arm64", macos=(13, 6))
    (problem,) = check((), mac, "torch-2.14.1-cp312-none-macosx_14_0_arm64.whl")
    assert problem.message == "torch needs macOS 14.0; this host has 13.6"


def test_the_oldest_system_of_a_wheel() -> None:
    assert oldest_glibc(
        "x-1-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.manylinux_2_28_x86_64.whl"
    ) == (2, 17)
    assert oldest_glibc("x-1-py3-none-manylinux1_x86_64.whl") == (2, 5)
    assert oldest_glibc("manylinux_2_99_thing-1-py3-none-any.whl") is None
    assert oldest_macos("x-1-cp312-cp312-macosx_10_9_x86_64.macosx_11_0_arm64.whl") == (10, 9)
    assert oldest_macos("x-1.tar.gz") is None


def test_the_error_names_the_variant_that_fits() -> None:
    error = wheels_error(check(CU132, host((12, 2), (8, 0))), ["cuda12"])
    assert "--variant cuda12" in error.hints[0]
    assert error.hints[-1] == "or go on at your own risk: --ignore-host"
    assert len(error.context) == 1
