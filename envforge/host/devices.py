"""What a file system's bytes lie on, out of ``/sys``: solid state, rotating, network, memory.

Stacks (LVM, dm-crypt, software RAID) are looked through. A virtual disk says ``rotational`` whatever is
under it, so that its word counts for nothing: the probe has to tell.
"""

from __future__ import annotations

import os
from pathlib import Path

from envforge.host.file_systems import kind_of
from envforge.host.mounts import Mount
from envforge.model.storage import DeviceKind, Reach

_DEPTH = 8
_BY_NAME = (
    (("nvme", "pmem", "dax"), DeviceKind.NVME),
    (("rbd", "nbd", "drbd"), DeviceKind.NETWORK),
    (("ram", "zram", "brd"), DeviceKind.MEMORY),
    (("mmcblk",), DeviceKind.SSD),
)
_VIRTUAL = ("vd", "xvd", "ubd")


def find_device_kind(mount: Mount, sys_root: Path = Path("/sys")) -> DeviceKind:
    """The device under a mount.

    Args:
        mount: from :func:`envforge.host.mounts.find_mount`.
        sys_root: where sysfs is.
    """
    kind = kind_of(mount.file_system)
    if kind.overlay:
        return DeviceKind.OVERLAY
    if kind.reach is Reach.MEMORY:
        return DeviceKind.MEMORY
    if kind.reach is Reach.SHARED:
        return DeviceKind.NETWORK
    if mount.file_system == "apfs":
        return DeviceKind.SSD  # Apple makes it for nothing else
    return _kind_of_number(_block_number(mount), sys_root)


def _block_number(mount: Mount) -> str:
    """``major:minor`` of the block device; btrfs and zfs mounts have a number of their own."""
    if mount.device and not mount.device.startswith("0:"):
        return mount.device
    if not mount.source.startswith("/dev/"):
        return ""
    try:
        number = Path(mount.source).stat().st_rdev
    except OSError:
        return ""
    return f"{os.major(number)}:{os.minor(number)}"


def _kind_of_number(number: str, sys_root: Path) -> DeviceKind:
    link = sys_root / "dev/block" / number
    try:
        return _kind_of_block(link.resolve(strict=True), _DEPTH) if number else DeviceKind.UNKNOWN
    except (OSError, RuntimeError):
        return DeviceKind.UNKNOWN


def _kind_of_block(folder: Path, depth: int) -> DeviceKind:
    """The kind of a block device by its folder in sysfs."""
    if (folder / "partition").exists():
        folder = folder.parent
    slaves = folder / "slaves"
    under = sorted(slaves.iterdir()) if slaves.is_dir() else []
    if under and depth:
        kinds = {_kind_of_block(slave.resolve(strict=True), depth - 1) for slave in under}
        return _slowest(kinds)
    name = folder.name
    for starts, kind in _BY_NAME:
        if name.startswith(starts):
            return kind
    if name.startswith(_VIRTUAL):
        return DeviceKind.UNKNOWN
    try:
        rotational = (folder / "queue/rotational").read_text().strip()
    except OSError:
        return DeviceKind.UNKNOWN
    return {"0": DeviceKind.SSD, "1": DeviceKind.ROTATING}.get(rotational, DeviceKind.UNKNOWN)


def _slowest(kinds: set[DeviceKind]) -> DeviceKind:
    """A stack is as fast as the slowest device in it."""
    order = (DeviceKind.NETWORK, DeviceKind.ROTATING, DeviceKind.UNKNOWN, DeviceKind.SSD, DeviceKind.NVME)
    return next((kind for kind in order if kind in kinds), DeviceKind.UNKNOWN)
