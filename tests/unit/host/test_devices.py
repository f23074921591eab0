"""What a mount lies on, out of trees like those in /sys."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from envforge.host.devices import find_device_kind
from envforge.host.mounts import Mount
from envforge.model.storage import DeviceKind
from envforge.struct import replace

DISK = Mount(id=1, device="8:1", root="/", point="/x", file_system="ext4", source="/dev/sda1")
pytestmark = pytest.mark.skipif(os.name == "nt", reason="made of symlinks")


class Sys:
    """A small /sys."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "dev/block").mkdir(parents=True)
        self._count = 0

    def device(self, name: str, *, rotational: int | None = None, slaves: tuple[str, ...] = ()) -> None:
        folder = self.root / "devices/block" / name
        (folder / "slaves").mkdir(parents=True)
        if rotational is not None:
            (folder / "queue").mkdir()
            (folder / "queue/rotational").write_text(f"{rotational}\n")
        for slave in slaves:
            place = next((self.root / "devices").rglob(slave))
            (folder / "slaves" / slave).symlink_to(place)

    def partition(self, disk: str, name: str) -> None:
        folder = self.root / "devices/block" / disk / name
        folder.mkdir(parents=True)
        (folder / "partition").write_text("1\n")

    def number(self, number: str, name: str) -> None:
        place = next(path for path in (self.root / "devices").rglob(name) if "slaves" not in path.parts)
        (self.root / "dev/block" / number).symlink_to(place)


@pytest.fixture
def system(tmp_path: Path) -> Sys:
    """A disk that turns, an SSD, two NVMe disks, a virtual one."""
    system = Sys(tmp_path)
    system.device("sda", rotational=1)
    system.partition("sda", "sda1")
    system.device("sdb", rotational=0)
    for name in ("nvme0n1", "nvme1n1"):
        system.device(name, rotational=0)
        system.partition(name, f"{name}p1")
    system.device("vda", rotational=1)
    system.device("rbd0", rotational=0)
    system.device("zram0", rotational=0)
    return system


@pytest.mark.parametrize(
    "name, kind",
    [
        ("sda1", DeviceKind.ROTATING),
        ("sda", DeviceKind.ROTATING),
        ("sdb", DeviceKind.SSD),
        ("nvme0n1p1", DeviceKind.NVME),
        ("vda", DeviceKind.UNKNOWN),
        ("rbd0", DeviceKind.NETWORK),
        ("zram0", DeviceKind.MEMORY),
    ],
)
def test_disks_and_their_partitions(system: Sys, name: str, kind: DeviceKind) -> None:
    system.number("8:1", name)
    assert find_device_kind(DISK, system.root) is kind


@pytest.mark.parametrize(
    "slaves, kind",
    [
        (("nvme0n1p1", "nvme1n1p1"), DeviceKind.NVME),
        (("nvme0n1p1", "sdb"), DeviceKind.SSD),
        (("nvme0n1p1", "sda1"), DeviceKind.ROTATING),
        (("vda",), DeviceKind.UNKNOWN),
    ],
)
def test_a_stack_is_as_fast_as_the_slowest_under_it(
    system: Sys, slaves: tuple[str, ...], kind: DeviceKind
) -> None:
    system.device("md0", slaves=slaves)
    system.device("dm-0", rotational=0, slaves=("md0",))
    system.number("253:0", "dm-0")
    assert find_device_kind(replace(DISK, device="253:0"), system.root) is kind


def test_a_stack_that_contains_itself_ends(system: Sys) -> None:
    system.device("dm-0", rotational=0)
    folder = system.root / "devices/block/dm-0"
    (folder / "slaves/dm-0").symlink_to(folder)
    system.number("253:0", "dm-0")
    assert find_device_kind(replace(DISK, device="253:0"), system.root) is DeviceKind.SSD


def test_what_lies_on_no_disk(system: Sys) -> None:
    kinds = {
        "tmpfs": DeviceKind.MEMORY,
        "nfs4": DeviceKind.NETWORK,
        "fuse.sshfs": DeviceKind.NETWORK,
        "overlay": DeviceKind.OVERLAY,
        "apfs": DeviceKind.SSD,
        "zfs": DeviceKind.UNKNOWN,
    }
    for name, kind in kinds.items():
        mount = replace(DISK, device="0:44", file_system=name, source="tank/data")
        assert find_device_kind(mount, system.root) is kind


def test_a_device_that_is_not_in_sys(system: Sys, tmp_path: Path) -> None:
    assert find_device_kind(DISK, system.root) is DeviceKind.UNKNOWN
    assert find_device_kind(DISK, tmp_path / "no-sys") is DeviceKind.UNKNOWN
    gone = replace(DISK, device="0:44", file_system="btrfs", source="/dev/mapper/gone")
    assert find_device_kind(gone, system.root) is DeviceKind.UNKNOWN


def test_btrfs_is_found_by_its_source(system: Sys) -> None:
    """Its mounts have numbers that stand for no device."""
    place = Path("/dev/null")
    number = place.stat().st_rdev
    system.number(f"{os.major(number)}:{os.minor(number)}", "nvme0n1p1")
    mount = replace(DISK, device="0:44", file_system="btrfs", source=str(place))
    assert find_device_kind(mount, system.root) is DeviceKind.NVME
