"""Labels of versions that name a build of torch, as projects write them."""

from __future__ import annotations

import pytest

from envforge.metadata.torch_builds import TorchBuild, build_asked_for, build_of_torch, mismatch
from envforge.model.requirement import parse_requirement


@pytest.mark.parametrize(
    ("version", "release", "cuda", "new_abi"),
    [
        ("2.8.3+cu12torch2.8cxx11abitrue", "2.8", (12,), True),  # flash-attn, mamba-ssm, causal-conv1d
        ("2.5.8+cu122torch2.3cxx11abifalse", "2.3", (12, 2), False),
        ("2.8.3+cu130torch2.10", "2.10", (13, 0), None),
        ("2.1.2+pt28cu128", "2.8", (12, 8), None),  # torch-scatter and its family
        ("2.1.2+pt210cpu", "2.10", (), None),
        ("2.1.0+pt2.8.0cu129", "2.8", (12, 9), None),
        ("0.21.0+torch280cu128", "2.8", (12, 8), None),  # natten
        ("0.21.6+torch2100cu130", "2.10", (13, 0), None),
        ("0.8.2+cu118", "", (11, 8), None),
        ("2.8.0+cpu", "", (), None),
        ("2.8.0+rocm6.4", "", None, None),
        ("1.0+local", "", None, None),
        ("1.0+opt28", "", None, None),
        ("1.0+pt1", "", None, None),
        ("1.0+pt20260101", "", None, None),
        ("1.0", "", None, None),
    ],
)
def test_labels(version: str, release: str, cuda: tuple[int, ...] | None, new_abi: bool | None) -> None:
    assert build_asked_for(version) == TorchBuild(release=release, cuda=cuda, new_abi=new_abi)


@pytest.mark.parametrize(
    ("version", "requires", "platform", "cuda", "new_abi"),
    [
        ("2.8.0+cu128", [], "linux-64", (12, 8), True),
        ("2.6.0+cu124", [], "linux-64", (12, 4), False),
        ("2.6.0+cu126", [], "linux-64", (12, 6), True),
        ("2.8.0", ["nvidia-cuda-runtime-cu12==12.8.90"], "linux-64", (12, 8), True),
        ("2.5.1", ["nvidia-cuda-runtime-cu12==12.4.127"], "linux-64", (12, 4), False),
        ("2.15.0", ["cuda-toolkit[cublas,cudart]==13.2.2", "cuda-bindings<14"], "linux-64", (13, 2), True),
        ("2.8.0", ["nvidia-cuda-runtime-cu12"], "linux-aarch64", (12,), None),
        ("2.8.0", ["sympy"], "osx-arm64", (), None),
    ],
)
def test_builds_of_torch(
    version: str, requires: list[str], platform: str, cuda: tuple[int, ...], new_abi: bool | None
) -> None:
    build = build_of_torch(version, map(parse_requirement, requires), platform)
    assert (build.release, build.cuda, build.new_abi) == (version.rpartition(".")[0], cuda, new_abi)


@pytest.mark.parametrize(
    ("asked", "torch", "why"),
    [
        ("1.0+cu12torch2.8cxx11abitrue", "2.8.0+cu128", ""),
        ("1.0+pt28cu126", "2.8.0+cu128", ""),
        ("1.0+cu13torch2.8", "2.8.0+cu128", "is built for CUDA 13, and torch here for CUDA 12.8"),
        ("1.0+cu13torch2.8", "2.8.0+cpu", "is built for CUDA 13, and torch here for processors"),
        ("1.0+pt28cpu", "2.8.0+cu128", "is built for processors, and torch here for CUDA 12.8"),
        ("1.0+cu12torch2.8cxx11abifalse", "2.8.0+cu128", "is built with another C++ ABI than torch here"),
        ("1.0+torch2.8", "2.8.0+cu128", ""),
    ],
)
def test_what_goes_together(asked: str, torch: str, why: str) -> None:
    assert mismatch(build_asked_for(asked), build_of_torch(torch, [], "linux-64")) == why
