"""Which variants are written for torch: by what is asked of it, and by the platforms."""

from __future__ import annotations

import pytest

from envforge.errors import UsageError
from envforge.model.accelerators import Gpu, HostFacts, NvidiaDriver
from envforge.model.lock import LockedPackage
from envforge.model.requirement import specifier_admits
from envforge.plan.accelerator_check import check_wheels
from envforge.plan.torch_variants import TorchVariant, newest_admitted, plan_torch_variants
from envforge.workflows.accelerator_data import read_accelerator_table

TABLE = read_accelerator_table()
ALL = ("linux-64", "linux-aarch64", "osx-arm64", "win-64")


def plan(choice: str = "auto", specifier: str = "", platforms: tuple[str, ...] = ALL) -> list[TorchVariant]:
    return plan_torch_variants(choice, specifier, platforms, TABLE)


def shown(variants: list[TorchVariant]) -> list[tuple[str, str]]:
    return [(variant.name, variant.index.name if variant.index else "") for variant in variants]


def test_the_newest_torch() -> None:
    variants = plan()
    assert shown(variants) == [
        ("cuda13", "cu132"),
        ("cuda12-newer-gpus", "cu128"),
        ("cuda12", "cu126"),
        ("rocm7", "rocm7.2"),
        ("macos", ""),
        ("cpu", "cpu"),
    ]
    cuda13, blackwell, cuda12, rocm, macos, cpu = variants
    # GPUs that CUDA 13 has left behind go on to the build that has them; for all others it is the last word
    assert (cuda13.cuda, cuda13.cuda_arch) == (">=13.0", ">=7.5")
    assert (cuda12.cuda, cuda12.cuda_arch) == (">=12.0", "")
    # and Blackwell with a driver for CUDA 12 to an older torch, the last that was built for both
    assert (blackwell.cuda, blackwell.cuda_arch) == (">=12.8", ">=10.0")
    assert rocm.rocm == ">=7.0"
    assert macos.platforms == ("osx-arm64",)
    assert not (cpu.cuda or cpu.rocm)
    assert cpu.platforms == ("linux-64", "linux-aarch64", "win-64")
    assert set(cuda12.packages) == {"torch", "torchvision", "torchaudio"}
    assert "triton-rocm" in rocm.packages


@pytest.mark.parametrize(
    ("specifier", "expected"),
    [
        (">=2.4", ["cu132", "cu128", "cu126", "rocm7.2", "", "cpu"]),
        (">=2.12", ["cu132", "cu126", "rocm7.2", "", "cpu"]),
        ("<2.12", ["cu130", "cu128", "cu126", "rocm7.2", "rocm6.4", "", "cpu"]),
        ("==2.9.*", ["cu130", "cu128", "cu126", "rocm6.4", "", "cpu"]),
        ("==2.8.0", ["cu129", "cu126", "rocm6.4", "", "cpu"]),
        ("~=2.5.1", ["cu124", "cu118", "rocm6.2", "", "cpu"]),
        (">=99", ["cu132", "", "cpu"]),
    ],
)
def test_what_is_asked_of_torch_decides_which_builds_there_are(specifier: str, expected: list[str]) -> None:
    assert [index for _, index in shown(plan(specifier=specifier))] == expected


def test_older_gpus_have_a_build_of_their_own_where_the_newest_of_a_cuda_leaves_them_out() -> None:
    names = {variant.name: variant for variant in plan(specifier="==2.11.*")}
    assert list(names)[:3] == ["cuda13", "cuda12", "cuda12-older-gpus"]
    assert names["cuda12"].cuda_arch == ">=7.5"
    assert names["cuda12-older-gpus"].cuda_arch == ""


def test_platforms_without_wheels_are_left_out() -> None:
    (cuda, *_) = plan(specifier="==2.8.0", platforms=("linux-64", "linux-aarch64"))
    assert cuda.platforms == ()  # cu129 has both
    variants = plan(specifier="==2.6.0", platforms=("linux-64", "linux-aarch64"))
    assert all(variant.platforms == ("linux-64",) for variant in variants if variant.cuda)
    assert [name for name, _ in shown(plan(platforms=("osx-arm64",)))] == []
    names = [name for name, _ in shown(plan(platforms=("linux-aarch64",)))]
    assert names == ["cuda13", "cuda12-newer-gpus", "cuda12", "cpu"]


@pytest.mark.parametrize("specifier", ["", "<2.12", "==2.9.*", "==2.8.0", "~=2.5.1"])
def test_names_are_told_once_and_the_last_always_holds(specifier: str) -> None:
    variants = plan(specifier=specifier)
    assert len({variant.name for variant in variants}) == len(variants)
    *_, last = plan(specifier=specifier, platforms=("linux-64", "win-64"))
    assert (last.name, last.platforms) == ("cpu", ())


def test_one_index_for_all() -> None:
    only, rest = plan("cu126")
    assert (only.name, only.platforms) == ("cu126", ("linux-64", "linux-aarch64", "win-64"))
    assert (rest.name, rest.index) == ("macos", None)
    (cpu,) = plan("cpu", platforms=("linux-64", "win-64"))
    assert (cpu.name, cpu.platforms) == ("cpu", ())
    rocm, other = plan("rocm6.4", platforms=("linux-64", "win-64", "osx-arm64"))
    assert (rocm.name, rocm.platforms, other.name) == ("rocm6-4", ("linux-64",), "other")


def test_an_index_that_is_not_there() -> None:
    with pytest.raises(UsageError) as error:
        plan("cu999")
    assert "cu126" in error.value.context[0]
    with pytest.raises(UsageError) as error:
        plan("atuo")
    assert error.value.hints[0] == "did you mean auto?"
    with pytest.raises(UsageError, match=r"rocm7\.2 has no torch for osx-arm64"):
        plan("rocm7.2", platforms=("osx-arm64",))


def test_the_newest_release_that_a_specifier_admits() -> None:
    assert newest_admitted("", TABLE) == TABLE.newest_torch
    assert newest_admitted("<2.11,>=2.4", TABLE) == (2, 10)
    assert newest_admitted("==2.7.1", TABLE) == (2, 7)


_KNOWN_GPUS = [(5, 0), (6, 1), (7, 0), (7, 5), (8, 0), (8, 9), (9, 0), (10, 0), (10, 3), (12, 0)]


@pytest.mark.parametrize("specifier", ["", ">=2.4", "<2.12", "==2.11.*", "==2.9.*", "==2.8.0"])
@pytest.mark.parametrize("cuda", [(12, 8), (13, 0)])
@pytest.mark.parametrize("gpu", _KNOWN_GPUS)
def test_every_gpu_gets_a_build_that_was_compiled_for_it(
    specifier: str, cuda: tuple[int, int], gpu: tuple[int, int]
) -> None:
    """By what the variants say, read as a host would; the preflight must find nothing against the build."""
    driver = NvidiaDriver(cuda=cuda, gpus=(Gpu(name="GPU", capability=gpu),), told_by="nvml")
    facts = HostFacts(platform="linux-64", glibc=(2, 36), nvidia=driver)
    chosen = next(variant for variant in plan(specifier=specifier) if _holds(variant, cuda, gpu))
    assert chosen.index is not None and chosen.index.cuda is not None
    release = next(
        minor for minor in range(15, -1, -1) if chosen.index.has((2, minor)) and _admitted(specifier, minor)
    )
    version = f"2.{release}.0+{chosen.index.name}"
    torch = LockedPackage(id="torch", name="torch", version=version, index="pytorch")
    assert check_wheels([torch], [], facts, TABLE) == [], chosen.name


def _admitted(specifier: str, minor: int) -> bool:
    return not specifier or specifier_admits(specifier, f"2.{minor}.0")


def _holds(variant: TorchVariant, cuda: tuple[int, int], gpu: tuple[int, int]) -> bool:
    if variant.rocm or (variant.platforms and "linux-64" not in variant.platforms):
        return False
    pairs = ((variant.cuda, cuda), (variant.cuda_arch, gpu))
    return all(specifier_admits(wanted, f"{major}.{minor}") for wanted, (major, minor) in pairs if wanted)
