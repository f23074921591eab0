"""Machines as files: what they say, and what is made of it.

They are written after what drivers are documented and reported to answer; those named ``real-…`` were taken
from a machine (``envforge doctor --json`` has its ``reading``). The ``facts`` name what differs from a host
with nothing but its platform and C library.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from envforge.errors import HostError
from envforge.host.machine import MachineReading
from envforge.host.recognition import gfx_name, parse_version, recognize
from envforge.model.accelerators import HostFacts, NvidiaDriver
from envforge.struct import replace, to_builtins

HOSTS = sorted(Path(__file__).with_name("hosts").glob("*.json"))


def frozen(value: Any) -> Any:
    """Lists as tuples, all the way down."""
    return tuple(frozen(item) for item in value) if isinstance(value, list) else value


def reading(name: str) -> MachineReading:
    content = json.loads((Path(__file__).with_name("hosts") / f"{name}.json").read_text())
    return MachineReading(**{key: frozen(value) for key, value in content["reading"].items()})


def test_there_are_hosts() -> None:
    assert len(HOSTS) > 20


@pytest.mark.parametrize("path", HOSTS, ids=lambda path: path.stem)
def test_a_host_is_recognized(path: Path) -> None:
    content = json.loads(path.read_text())
    expected = to_builtins(HostFacts(platform="linux-64", glibc=(2, 35)))
    for name, value in content["facts"].items():
        if name == "nvidia" and value is not None:
            value = {**to_builtins(NvidiaDriver()), **value}
        expected[name] = value
    found = to_builtins(recognize(reading(path.stem), {}))
    assert json.loads(json.dumps(found)) == json.loads(json.dumps(expected))


@pytest.mark.parametrize("path", HOSTS, ids=lambda path: path.stem)
def test_a_driver_runs_cuda_or_says_why_not_and_what_to_do(path: Path) -> None:
    driver = recognize(reading(path.stem), {}).nvidia
    if driver is not None:
        assert (driver.cuda is None) == bool(driver.fault) == bool(driver.remedy)


def test_a_variable_wins_over_the_driver() -> None:
    here = reading("h100-570")
    assert recognize(here, {"CONDA_OVERRIDE_CUDA": "11.8"}).cuda == (11, 8)
    assert recognize(here, {"CONDA_OVERRIDE_CUDA": ""}).nvidia is None
    assert recognize(here, {"CONDA_OVERRIDE_CUDA": "11.8"}).overridden == ("CONDA_OVERRIDE_CUDA",)


def test_variables_for_the_c_library_and_macos() -> None:
    assert recognize(reading("cpu-only"), {"CONDA_OVERRIDE_GLIBC": "2.17"}).glibc == (2, 17)
    assert recognize(reading("macbook-m2"), {"CONDA_OVERRIDE_OSX": "13"}).macos == (13, 0)


def test_a_variable_that_is_no_version_is_named() -> None:
    with pytest.raises(HostError, match=r"CONDA_OVERRIDE_CUDA .* 'twelve'"):
        recognize(reading("cpu-only"), {"CONDA_OVERRIDE_CUDA": "twelve"})


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"nvml": 3, "libcuda": []},
        {"nvml": {"init": 0}, "libcuda": {}},
        {"nvml": {"init": 0, "devices": "none", "cuda": "12.8"}, "libcuda": {"cuda": 0}},
        {"nvml": {"init": 77}, "libcuda": {"init": -1}},
    ],
)
def test_an_answer_that_nobody_expects_is_a_driver_that_cannot_be_used(answer: dict[str, Any]) -> None:
    driver = recognize(replace(reading("h100-570"), driver=answer), {}).nvidia
    assert driver is not None
    assert driver.cuda is None
    assert driver.fault and driver.remedy


def test_amds_numbers_as_names() -> None:
    names = [gfx_name(target) for target in (90010, 90402, 90006, 100300, 110003, 120001, 90500)]
    assert names == ["gfx90a", "gfx942", "gfx906", "gfx1030", "gfx1103", "gfx1201", "gfx950"]


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("12.8", (12, 8)),
        ("6.4.1-83", (6, 4)),
        ("14", (14, 0)),
        ("2.36+x", (2, 36)),
        ("", None),
        ("x", None),
        ("-1", None),
    ],
)
def test_versions(text: str, version: tuple[int, int] | None) -> None:
    assert parse_version(text) == version
