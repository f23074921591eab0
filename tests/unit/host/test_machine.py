"""Reading a machine's files, from a folder that looks like one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from envforge.host.machine import read_machine
from envforge.host.recognition import recognize

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="files as Linux has them")


@pytest.fixture
def write(tmp_path: Path):
    def write(path: str, content: str = "") -> Path:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        return file

    return write


def test_an_empty_machine(tmp_path: Path) -> None:
    reading = read_machine("linux-64", {}, root=tmp_path)
    assert not reading.has_driver_signs
    assert (reading.boot, reading.kernel, reading.cpu, reading.kfd_targets) == ("", "", "", ())


def test_amd(write, tmp_path: Path) -> None:
    nodes = "sys/class/kfd/kfd/topology/nodes"
    # the kernel's order is that of numbers, and a processor is a node, too
    for node, target in (("0", 0), ("10", 110000), ("2", 90010)):
        write(f"{nodes}/{node}/properties", f"cpu_cores_count 0\ngfx_target_version {target}\nx 1\n")
    write(f"{nodes}/3/name", "no properties")
    write("opt/rocm-6.4.1/.info/version", "6.4.1-83\n")
    write("opt/rocm-6.3.0/.info/version", "6.3.0-39\n")
    reading = read_machine("linux-64", {}, root=tmp_path)
    assert reading.kfd_targets == (0, 90010, 110000)
    rocm = recognize(reading, {}).rocm
    assert rocm is not None
    assert (rocm.version, rocm.architectures) == ((6, 4), ("gfx90a", "gfx1100"))


def test_rocm_elsewhere(write, tmp_path: Path) -> None:
    write("elsewhere/.info/version", "7.2.0")
    environ = {"ROCM_PATH": str(tmp_path / "elsewhere")}
    assert read_machine("linux-64", environ, root=tmp_path / "none").rocm_version == "7.2.0"


def test_signs_of_nvidia(write, tmp_path: Path) -> None:
    for name in ("nvidia0", "nvidia10", "nvidiactl", "nvidia-uvm", "nvidiafb", "null"):
        write(f"dev/{name}")
    write("usr/lib64/libcuda.so.570.1")
    (tmp_path / "usr/lib64/libcuda.so.1").symlink_to("libcuda.so.570.1")
    (tmp_path / "usr/lib64/libnvidia-ml.so.1").symlink_to("gone")
    reading = read_machine("linux-64", {}, root=tmp_path)
    assert reading.nvidia_devices == ("nvidia0", "nvidia10", "nvidiactl")
    assert [Path(path).name for path, _, _ in reading.nvidia_libraries] == ["libcuda.so.570.1"]


def test_containers_and_wsl(write, tmp_path: Path) -> None:
    write("run/.containerenv")
    write("proc/sys/kernel/osrelease", "5.15.167.4-microsoft-standard-WSL2\n")
    facts = recognize(read_machine("linux-64", {}, root=tmp_path), {})
    assert (facts.container, facts.is_wsl) == ("podman", True)
    job = read_machine("linux-64", {"APPTAINER_CONTAINER": "/x.sif"}, root=tmp_path)
    assert recognize(job, {}).container == "apptainer"


def test_of_many_processors_the_first_is_enough(write, tmp_path: Path) -> None:
    write(
        "proc/cpuinfo",
        "\n\n".join(f"processor : {number}\nvendor_id : VirtualApple" for number in range(300)),
    )
    reading = read_machine("linux-64", {}, root=tmp_path)
    assert reading.cpu == "processor : 0\nvendor_id : VirtualApple"
    assert recognize(reading, {}).emulated == "Rosetta for Linux"
