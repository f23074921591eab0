"""Real stacks on real conda-forge records, alone and together with what PyPI packages require.

The records are not part of the project: without them these tests are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from envforge.errors import CondaUnsolvableError, ResolutionError
from envforge.index.conda_source import ChannelLocation, CondaChannels
from envforge.model.conda import CondaRecord
from envforge.model.requirement import parse_requirement
from envforge.model.resolution import TargetResolution
from envforge.model.target import SystemAssumptions, Target
from envforge.net.settings import NetworkSettings
from envforge.resolve.conda import CondaPart
from envforge.resolve.resolution import resolve_target

from support.conda_channel import ChannelServer
from support.universe import Universe

RECORDS = Path(__file__).parents[4] / "shared" / "data" / "conda-forge"
PLATFORMS = ("linux-64", "linux-aarch64", "osx-64", "osx-arm64", "win-64")
CUDA = (12, 8)
UNIVERSE: dict[str, dict[str, dict[str, Any]]] = {
    "old-numpy": {"1.0": {"requires": ["numpy<2"]}},
    "new-numpy": {"1.0": {"requires": ["numpy>=2"]}},
    "trainer": {"1.0": {"requires": ["torch>=2.4", "middle"]}},
    "middle": {"1.0": {"requires": ["deep"]}},
    "deep": {"1.0": {"requires": ["scipy<1.15"]}},
    "only-312": {"1.0": {"requires-python": "<3.13"}},
    "numpy": {"1.26.4": {}, "2.1.0": {}},
    "scipy": {"1.14.1": {}},
    "torch": {"2.5.0": {}},
}

pytestmark = pytest.mark.skipif(
    not (RECORDS / "linux-64").is_dir(), reason="real conda-forge records are not beside this checkout"
)


@pytest.fixture(scope="module")
def channels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CondaChannels]:
    cache = tmp_path_factory.mktemp("cache")
    with ChannelServer(**{"conda-forge": RECORDS}) as server:
        location = ChannelLocation(name="conda-forge", url=server.url_of("conda-forge"))
        with CondaChannels([location], NetworkSettings(), {}, cache) as opened:
            yield opened


def _resolve(
    channels: CondaChannels,
    specs: list[str],
    requires: list[str],
    *,
    platform: str = "linux-64",
    python: str = "3.12",
    cuda: tuple[int, int] | None = None,
) -> tuple[TargetResolution, dict[str, CondaRecord]]:
    target = Target(platform=platform, python=python, system=SystemAssumptions(cuda=cuda))
    part = CondaPart(source=channels, specs=tuple(sorted(specs)))
    groups = {"project": [parse_requirement(text) for text in requires]}
    resolution = resolve_target(groups, target, Universe(UNIVERSE), {}, part)
    return resolution, {record.name: record for record in resolution.conda}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_ffmpeg_and_scipy_on_every_platform(channels: CondaChannels, platform: str) -> None:
    resolution, records = _resolve(channels, ["ffmpeg", "scipy"], ["old-numpy"], platform=platform)
    assert {record.subdir for record in resolution.conda} <= {platform, "noarch"}
    assert records["numpy"].version.startswith("1.26.")
    assert records["python"].version == resolution.target.python
    assert set(resolution.pins) == {"old-numpy"}


@pytest.mark.parametrize(
    ("specs", "cuda", "expected"),
    [
        (["pytorch-gpu"], CUDA, {"pytorch": "cuda12"}),
        (["pytorch"], None, {"pytorch": "cpu_"}),
        (["jax", "ffmpeg"], None, {"jax": "", "ffmpeg": ""}),
        (["cuda-toolkit 12.*", "cudnn", "nccl"], CUDA, {"cudnn": "", "nccl": ""}),
        (["cuda-toolkit 12.*", "ffmpeg"], None, {"cuda-toolkit": "", "ffmpeg": ""}),
        (["ffmpeg", "opencv"], None, {"py-opencv": ""}),
        (["jupyterlab", "polars"], None, {"jupyterlab": "", "polars": ""}),
    ],
)
def test_stacks(
    channels: CondaChannels, specs: list[str], cuda: tuple[int, int] | None, expected: dict[str, str]
) -> None:
    _, records = _resolve(channels, specs, [], cuda=cuda)
    for name, build in expected.items():
        assert records[name].build.startswith(build)
    assert not records["python"].build.endswith("t"), "no free-threaded Python unless asked for"


def test_tensorflow_takes_the_python_it_has(channels: CondaChannels) -> None:
    with pytest.raises(CondaUnsolvableError):
        _resolve(channels, ["tensorflow"], [], python="3.12", cuda=CUDA)
    _, records = _resolve(channels, ["tensorflow"], [], python="3.10", cuda=CUDA)
    assert records["python"].version.startswith("3.10.")
    assert records["tensorflow"].build.startswith("cuda")


def test_a_stack_moves_for_what_pypi_requires(channels: CondaChannels) -> None:
    _, free = _resolve(channels, ["pytorch", "scipy"], [])
    resolution, records = _resolve(channels, ["pytorch", "scipy"], ["trainer", "old-numpy"])
    assert free["numpy"].version.startswith("2.")
    assert records["numpy"].version.startswith("1.")
    assert records["scipy"].version.startswith("1.14.")
    assert set(resolution.pins) == {"trainer", "middle", "deep", "old-numpy"}, "torch is conda's pytorch"


def test_conda_follows_the_lower_bound_too(channels: CondaChannels) -> None:
    _, records = _resolve(channels, ["scipy"], ["new-numpy"])
    assert records["numpy"].version.startswith("2.")


def test_cuda_13_does_not_go_with_a_driver_for_12(channels: CondaChannels) -> None:
    with pytest.raises(CondaUnsolvableError) as caught:
        _resolve(channels, ["cuda-version 13.*"], [], cuda=CUDA)
    assert any("__cuda" in line or "cuda-version" in line for line in caught.value.context)


def test_old_pytorch_has_nothing_for_a_new_python(channels: CondaChannels) -> None:
    with pytest.raises(CondaUnsolvableError):
        _resolve(channels, ["pytorch <2.6"], [], python="3.14")


def test_two_worlds_that_cannot_agree(channels: CondaChannels) -> None:
    with pytest.raises(ResolutionError) as caught:
        _resolve(channels, ["numpy >=2.1"], ["old-numpy"])
    told = "\n".join([caught.value.message, *caught.value.context, *caught.value.hints])
    assert "old-numpy and numpy >=2.1 (conda) cannot be met together" in told
    assert "your project → old-numpy 1.0 needs numpy<2" in told
    assert 'widen the conda dependency "numpy >=2.1"' in told
