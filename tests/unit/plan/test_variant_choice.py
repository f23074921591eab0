"""Which variant a host gets, and what is said where it gets none."""

from __future__ import annotations

import pytest

from envforge.errors import HostError
from envforge.manifest.manifest import Variant
from envforge.model.accelerators import Gpu, HostFacts, NvidiaDriver, Rocm
from envforge.model.variant import Condition
from envforge.plan.variant_choice import choose_variant, describe_host, unmet_conditions

LAPTOP = HostFacts(platform="osx-arm64", macos=(15, 1), archspec=("m2", "m1", "aarch64"))
CPU_BOX = HostFacts(platform="linux-64", glibc=(2, 36), archspec=("zen2", "x86_64_v3", "x86_64"))
BROKEN = HostFacts(platform="linux-64", nvidia=NvidiaDriver(version="550.1", fault="it does not answer"))
AMD = HostFacts(platform="linux-64", rocm=Rocm(version=(6, 4), architectures=("gfx90a",)))


def gpu_box(cuda: tuple[int, int], *capabilities: tuple[int, int], platform: str = "linux-64") -> HostFacts:
    gpus = tuple(Gpu(name="GPU", capability=each) for each in capabilities)
    return HostFacts(platform=platform, glibc=(2, 28), nvidia=NvidiaDriver(cuda=cuda, gpus=gpus))


VARIANTS = [
    Variant(name="cuda13", condition=Condition(cuda=">=13.0", cuda_arch=">=7.5")),
    Variant(name="cuda12", condition=Condition(cuda=">=12.8,<14")),
    Variant(name="rocm", condition=Condition(rocm=">=6.3")),
    Variant(name="mac", condition=Condition(platforms=("osx-arm64",), macos=">=14")),
    Variant(name="fast", condition=Condition(archspec="x86_64_v3", glibc=">=2.34")),
    Variant(name="cpu"),
]


@pytest.mark.parametrize(
    ("host", "name", "reason"),
    [
        (gpu_box((13, 1), (9, 0)), "cuda13", "this host has CUDA 13.1, compute capability 9.0"),
        (gpu_box((13, 0), (9, 0), (6, 1)), "cuda12", "this host has CUDA 13.0"),
        (gpu_box((13, 0)), "cuda12", "this host has CUDA 13.0"),
        (gpu_box((12, 10), (9, 0), platform="linux-aarch64"), "cuda12", "this host has CUDA 12.10"),
        (gpu_box((12, 4), (9, 0)), "cpu", "no other variant is for this host"),
        (AMD, "rocm", "this host has ROCm 6.4"),
        (LAPTOP, "mac", "this host is osx-arm64 and has macOS 15.1"),
        (CPU_BOX, "fast", "this host has glibc 2.36, processor zen2"),
        (BROKEN, "cpu", "no other variant is for this host"),
    ],
)
def test_the_first_that_holds(host: HostFacts, name: str, reason: str) -> None:
    choice = choose_variant(VARIANTS, host)
    assert (choice.name, choice.reason) == (name, reason)


def test_what_was_passed_over_is_told() -> None:
    assert choose_variant(VARIANTS, gpu_box((13, 0), (6, 1))).passed_over == (
        "cuda13 needs cuda >=13.0, cuda-arch >=7.5: a GPU has compute capability 6.1",
    )


@pytest.mark.parametrize(
    ("condition", "host", "unmet"),
    [
        (Condition(cuda=">=12"), CPU_BOX, ["no NVIDIA driver"]),
        (Condition(cuda=">=12"), BROKEN, ["an NVIDIA driver that cannot be used (it does not answer)"]),
        (Condition(cuda_arch=">=8"), gpu_box((13, 0)), ["no compute capability of a GPU is known"]),
        (Condition(cuda_arch=">=8"), CPU_BOX, ["no NVIDIA driver"]),
        (Condition(rocm=">=7"), AMD, ["ROCm 6.4"]),
        (Condition(rocm=">=6"), LAPTOP, ["no ROCm"]),
        (Condition(glibc=">=2.40", archspec="zen3"), CPU_BOX, ["glibc 2.36", "the processor is zen2"]),
        (Condition(macos=">=15", platforms=("win-64",)), CPU_BOX, ["this is linux-64", "no macOS"]),
        (Condition(archspec="zen3"), AMD, ["the processor is not known"]),
    ],
)
def test_what_a_host_lacks(condition: Condition, host: HostFacts, unmet: list[str]) -> None:
    assert list(unmet_conditions(condition, host)) == unmet


def test_none_holds() -> None:
    with pytest.raises(HostError) as caught:
        choose_variant(VARIANTS[:3], gpu_box((12, 4), (7, 0)))
    error = caught.value
    assert error.message == "no variant of the project is for this host, linux-64"
    assert error.context == (
        "this host: linux-64, CUDA 12.4, compute capability 7.0, glibc 2.28",
        "cuda13 needs cuda >=13.0, cuda-arch >=7.5: CUDA 12.4, a GPU has compute capability 7.0",
        "cuda12 needs cuda >=12.8,<14: CUDA 12.4",
        "rocm needs rocm >=6.3: no ROCm",
    )
    assert "--variant cuda13" in error.hints[0]
    assert "without `when`" in error.hints[1]


def test_a_host_in_words() -> None:
    overridden = HostFacts(platform="linux-64", overridden=("CONDA_OVERRIDE_CUDA",))
    assert describe_host(overridden) == "linux-64, no NVIDIA driver, as CONDA_OVERRIDE_CUDA say"
    assert describe_host(LAPTOP) == "osx-arm64, no NVIDIA driver, macOS 15.1, processor m2"
