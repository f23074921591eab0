"""Drivers as real shared libraries: asked through ctypes, in a process that may be killed; and remembered."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from envforge.host.accelerators import detect_host_facts
from envforge.host.machine import ask_driver
from envforge.host.recognition import recognize
from envforge.model.accelerators import Gpu, NvidiaDriver

SOURCE = Path(__file__).with_name("fake_driver.c")
pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="libraries as Linux has them"),
    pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc to make a driver's library with"),
]
NVML, LIBCUDA = "libnvidia-ml.so.1", "libcuda.so.1"
MakeDriver = Callable[..., dict[str, str]]


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both libraries, and an old NVML in a folder of its own."""
    folder = tmp_path_factory.mktemp("driver")
    (folder / "old").mkdir()
    for name, flags in ((NVML, []), (LIBCUDA, ["-DLIBCUDA"]), (f"old/{NVML}", ["-DOLD"])):
        command = ["gcc", "-shared", "-fPIC", "-O0", "-w", *flags, str(SOURCE), "-o", str(folder / name)]
        subprocess.run(command, check=True, timeout=60)
    return folder


@pytest.fixture
def make_driver(tmp_path: Path, compiled: Path) -> MakeDriver:
    """Install the libraries; gives the variables by which processes find them."""
    folder = tmp_path / "driver"
    folder.mkdir()

    def make(*libraries: str, old: bool = False, **said: int) -> dict[str, str]:
        for name in libraries or (NVML, LIBCUDA):
            source = compiled / "old" / name if old and name == NVML else compiled / name
            (folder / name).write_bytes(source.read_bytes())
        return {
            "LD_LIBRARY_PATH": str(folder),
            "FAKE_DRIVER_LOG": str(tmp_path / "asked"),
            **{f"FAKE_{name.upper()}": str(value) for name, value in said.items()},
        }

    return make


def times_asked(environ: dict[str, str]) -> int:
    log = Path(environ["FAKE_DRIVER_LOG"])
    return log.read_text().count("asked") if log.exists() else 0


def detect(
    environ: dict[str, str], cache: Path, now_s: float = 1000.0, refresh: bool = False
) -> NvidiaDriver:
    facts = detect_host_facts(environ, cache, now_s=now_s, refresh=refresh)
    assert facts.nvidia is not None
    return facts.nvidia


def test_nvml_is_asked(make_driver: MakeDriver, tmp_path: Path) -> None:
    driver = detect(make_driver(gpus=2, noise=1), tmp_path)
    gpu = Gpu(name="NVIDIA H100", capability=(9, 0), memory_bytes=85520809984)
    assert driver == NvidiaDriver(version="570.124.06", cuda=(12, 8), gpus=(gpu, gpu), told_by="nvml")


def test_slices(make_driver: MakeDriver, tmp_path: Path) -> None:
    (gpu, whole) = detect(make_driver(gpus=2, mig=1), tmp_path).gpus
    assert gpu.is_mig and gpu.mig_slices == ("MIG 1g.10gb", "MIG 1g.10gb")
    assert not whole.is_mig


def test_a_library_from_before_slices(make_driver: MakeDriver, tmp_path: Path) -> None:
    driver = detect(make_driver(old=True, cuda=11040), tmp_path)
    assert (driver.cuda, len(driver.gpus), driver.gpus[0].is_mig) == ((11, 4), 1, False)


def test_without_nvml_libcuda_tells(make_driver: MakeDriver, tmp_path: Path) -> None:
    driver = detect(make_driver(LIBCUDA, cuda=12060), tmp_path)
    assert driver.told_by == "libcuda"
    assert driver.cuda == (12, 6)
    assert driver.gpus == (Gpu(name="Orin", capability=(8, 7), memory_bytes=32212254720),)


def test_nvml_that_does_not_start(make_driver: MakeDriver) -> None:
    answer = ask_driver(make_driver(init=18, cu_init=803))
    assert answer["nvml"]["init"] == 18
    assert answer["libcuda"]["init"] == 803


def test_no_library_at_all(tmp_path: Path) -> None:
    answer = ask_driver({"LD_LIBRARY_PATH": str(tmp_path)})
    assert "libnvidia-ml.so.1" in answer["nvml"]["missing"]


def test_a_file_that_is_no_library(tmp_path: Path) -> None:
    (tmp_path / "libcuda.so.1").write_text("no library")
    driver = detect({"LD_LIBRARY_PATH": str(tmp_path)}, tmp_path / "cache")
    assert driver.cuda is None
    assert driver.fault


def test_a_driver_that_hangs_keeps_nobody(make_driver: MakeDriver) -> None:
    environ = make_driver(hang=1)
    start_s = time.monotonic()
    assert ask_driver(environ, timeout_s=1.0) == {"fault": "it gave no answer in 1 s"}
    assert time.monotonic() - start_s < 10


def test_a_driver_that_crashes_takes_nobody_with_it(make_driver: MakeDriver) -> None:
    assert ask_driver(make_driver(crash=1)) == {"fault": "the process that asked it ended with signal 6"}


def test_an_answer_is_remembered_until_something_changes(make_driver: MakeDriver, tmp_path: Path) -> None:
    environ = make_driver()
    first = detect(environ, tmp_path)
    assert detect(environ, tmp_path, 5000.0) == first
    assert times_asked(environ) == 1
    detect(environ, tmp_path, refresh=True)
    assert times_asked(environ) == 2
    environ = make_driver(cuda=13000)  # the driver was updated
    assert detect(environ, tmp_path).cuda == (13, 0)
    assert times_asked(environ) == 3
    # what the loader finds first may be another one
    detect({**environ, "LD_LIBRARY_PATH": environ["LD_LIBRARY_PATH"] + ":/x"}, tmp_path)
    assert times_asked(environ) == 4


def test_a_driver_without_a_gpu_is_asked_each_time(make_driver: MakeDriver, tmp_path: Path) -> None:
    environ = make_driver(gpus=0)  # a job that asked for none
    assert detect(environ, tmp_path).cuda is None
    assert detect({**environ, "FAKE_GPUS": "1"}, tmp_path).cuda == (12, 8)  # the next one has one
    assert times_asked(environ) == 2


def test_a_crash_is_remembered_for_ten_minutes(make_driver: MakeDriver, tmp_path: Path) -> None:
    environ = make_driver(crash=1)
    assert detect(environ, tmp_path, 1000.0).cuda is None
    detect(environ, tmp_path, 1599.0)
    assert times_asked(environ) == 1
    detect(environ, tmp_path, 1601.0)
    assert times_asked(environ) == 2


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 1}', '{"format": 1, "key": 1, "driver": 3}'])
def test_a_damaged_memory_is_asked_anew(make_driver: MakeDriver, tmp_path: Path, content: str) -> None:
    environ = make_driver()
    detect(environ, tmp_path)
    (file,) = (tmp_path / "hosts").glob("*.json")
    file.write_text(content)
    assert detect(environ, tmp_path).cuda == (12, 8)
    assert json.loads(file.read_text())["format"] == 1


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_that_cannot_be_written_costs_a_question(make_driver: MakeDriver, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o500)
    assert detect(make_driver(), cache).cuda == (12, 8)


def test_a_cache_that_is_a_file_costs_a_question(make_driver: MakeDriver, tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("")
    assert detect(make_driver(), tmp_path).cuda == (12, 8)


def test_a_variable_spares_the_question(make_driver: MakeDriver, tmp_path: Path) -> None:
    environ = {**make_driver(hang=1), "CONDA_OVERRIDE_CUDA": "12.4"}
    assert detect(environ, tmp_path).cuda == (12, 4)
    assert times_asked(environ) == 0


def test_the_visible_gpus_of_a_job_are_not_those_of_the_host(make_driver: MakeDriver) -> None:
    from envforge.host.accelerators import read_host

    environ = {**make_driver(), "CUDA_VISIBLE_DEVICES": ""}
    reading = read_host(environ, Path(environ["FAKE_DRIVER_LOG"]).parent, now_s=1.0)
    assert len(recognize(reading, environ).cuda_architectures) == 1


def test_the_processor_is_named_for_those_who_ask(make_driver: MakeDriver, tmp_path: Path) -> None:
    environ = make_driver()
    assert detect_host_facts(environ, tmp_path, now_s=1.0, names_processor=False).archspec == ()
    names = detect_host_facts(environ, tmp_path, now_s=2.0).archspec
    assert names
    assert detect_host_facts(environ, tmp_path, now_s=3.0, names_processor=False).archspec == names
    assert times_asked(environ) == 1
    (file,) = (tmp_path / "hosts").glob("*.json")
    assert json.loads(file.read_text())["asked_at"] == 1.0
