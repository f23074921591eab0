"""Which PyPI projects real conda-forge records stand for. The records are not part of the project."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from envforge.index.conda_source import ChannelLocation, CondaChannels
from envforge.net.settings import NetworkSettings

from support.conda_channel import ChannelServer

RECORDS = Path(__file__).parents[4] / "shared" / "data" / "conda-forge"
LINUX = "linux-64"

pytestmark = pytest.mark.skipif(
    not (RECORDS / LINUX).is_dir(), reason="real conda-forge records are not beside this checkout"
)


@pytest.fixture(scope="module")
def channels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CondaChannels]:
    with ChannelServer(main=RECORDS) as server:
        location = ChannelLocation(name="conda-forge", url=server.url)
        cache = tmp_path_factory.mktemp("cache")
        with CondaChannels([location], NetworkSettings(), {}, cache) as opened:
            yield opened


NO_PROJECTS = [
    "tk", "sqlite", "cmake", "ninja", "ffmpeg", "zstd", "snappy", "brotli", "graphviz", "openssl",
    "git", "nodejs", "make", "perl", "r-base", "pandoc", "libtorch", "libopencv", "opencv",
    "pytorch-gpu", "python", "python_abi", "_python_abi3_support", "cpython", "boost", "bullet",
    "gdb", "glib", "mamba", "vim", "cuda-toolkit", "cudnn", "nccl", "mpich", "openmpi",
    "xorg-libx11", "geos", "proj", "hdf5", "fmt", "eigen", "rust", "yaml", "blosc", "lz4-c",
    "ruamel_yaml", "backports", "nbconvert-pandoc", "vtk-io-ffmpeg", "uvicorn-standard", "attr",
]  # fmt: skip


@pytest.mark.parametrize("name", NO_PROJECTS)
def test_no_project(channels: CondaChannels, name: str) -> None:
    assert channels.versions(name, LINUX)
    assert channels.pypi_names(name, LINUX) == ()


@pytest.mark.parametrize("name", ["tk", "sqlite", "attr", "snappy", "zstd", "opencv", "pytorch-gpu", "mamba"])
def test_nobody_stands_for(channels: CondaChannels, name: str) -> None:
    assert channels.conda_names(name, LINUX) == ()


@pytest.mark.parametrize(
    ("project", "expected"),
    [
        ("numpy", ["numpy"]),
        ("torch", ["pytorch"]),
        ("tensorflow", ["tensorflow", "tensorflow-base"]),
        ("matplotlib", ["matplotlib", "matplotlib-base"]),
        ("opencv-python", ["py-opencv"]),
        ("msgpack", ["msgpack-python"]),
        ("tables", ["pytables"]),
        ("build", ["build", "python-build"]),
        ("graphviz", ["python-graphviz"]),
        ("tzdata", ["python-tzdata"]),
        ("brotli", ["brotli-python"]),
        ("dask", ["dask", "dask-core"]),
        ("jupyter-core", ["jupyter_core"]),
        ("lz4", ["lz4"]),
        ("pyqt5", ["pyqt"]),
        ("ruamel-yaml", ["ruamel.yaml"]),
        ("soundfile", ["pysoundfile"]),
        ("python-dateutil", ["python-dateutil"]),
        ("xgboost", ["py-xgboost", "xgboost"]),
        ("pyarrow", ["pyarrow", "pyarrow-core"]),
        ("keyrings-google-artifactregistry-auth", ["keyrings.google-artifactregistry-auth"]),
        ("pip", ["pip"]),
    ],
)
def test_stands_for(channels: CondaChannels, project: str, expected: list[str]) -> None:
    assert list(channels.conda_names(project, LINUX)) == expected


def test_importlib_metadata_under_both_spellings(channels: CondaChannels) -> None:
    assert "importlib-metadata" in channels.conda_names("importlib-metadata", LINUX)


def test_a_build_for_another_platform_counts_by_itself(channels: CondaChannels) -> None:
    assert channels.conda_names("pywin32", "win-64") == ("pywin32",)
    assert channels.conda_names("pywin32", LINUX) == ()


def test_names(channels: CondaChannels) -> None:
    names = channels.names(LINUX)
    assert {"pytorch", "tzdata", "conda-forge-pinning"} - names == {"conda-forge-pinning"}
    assert len(names) > 3000
