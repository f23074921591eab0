"""Places of a host that can hold store, environments and archives, as values.

:mod:`envforge.host.storage` finds and measures them, :mod:`envforge.plan.tier_choice` chooses.
Sizes are bytes, times are seconds; None is "not known" or "no limit", as the field says.
"""

from __future__ import annotations

from enum import StrEnum

from envforge.struct import Struct


class DeviceKind(StrEnum):
    """What the bytes lie on, as far as the kernel tells."""

    NVME = "nvme"
    SSD = "ssd"
    ROTATING = "rotating"
    NETWORK = "network"
    MEMORY = "memory"
    OVERLAY = "overlay"
    UNKNOWN = "unknown"


class Reach(StrEnum):
    """Who sees the same files."""

    LOCAL = "local"
    SHARED = "shared"
    MEMORY = "memory"


class Life(StrEnum):
    """When what lies there goes away by itself, as far as its name and its file system tell."""

    KEPT = "kept"
    PURGED = "purged"
    REBOOT = "reboot"
    CONTAINER = "container"
    JOB = "job"


class Origin(StrEnum):
    """Why a place is a candidate."""

    CACHE = "cache"
    JOB = "job"
    WORK = "work"
    SCRATCH = "scratch"
    DISK = "disk"
    MEMORY = "memory"
    PROJECT = "project"
    HOME = "home"
    NAMED = "named"


class Quota(Struct, frozen=True, kw_only=True):
    """What a user may use of a file system; a limit of None is none."""

    used_bytes: int = 0
    limit_bytes: int | None = None
    used_inodes: int = 0
    limit_inodes: int | None = None

    @property
    def left_bytes(self) -> int | None:
        return None if self.limit_bytes is None else max(self.limit_bytes - self.used_bytes, 0)

    @property
    def left_inodes(self) -> int | None:
        return None if self.limit_inodes is None else max(self.limit_inodes - self.used_inodes, 0)


class Rates(Struct, frozen=True, kw_only=True):
    """What a probe measured. None: the place cannot do it, or there was no time to try.

    Args:
        create_s: to make, write and close a file of 4 KiB; on a very slow place, to make a folder.
        link_s, symlink_s, stat_s: of one call.
        read_s: to open, read and close a file of 4 KiB that was just written.
        write_bytes_per_s: through the page cache and down to the device (fdatasync).
        direct_bytes_per_s: the same past the page cache (O_DIRECT).
        read_bytes_per_s: from the device where O_DIRECT is to be had, else from the page cache.
    """

    create_s: float | None = None
    link_s: float | None = None
    symlink_s: float | None = None
    stat_s: float | None = None
    read_s: float | None = None
    write_bytes_per_s: float | None = None
    direct_bytes_per_s: float | None = None
    read_bytes_per_s: float | None = None

    @property
    def best_write_bytes_per_s(self) -> float | None:
        known = [rate for rate in (self.write_bytes_per_s, self.direct_bytes_per_s) if rate is not None]
        return max(known, default=None)


def best_rates(one: Rates, other: Rates) -> Rates:
    """The better of two measurements, number by number: what else was going on only makes them worse."""
    best: dict[str, float | None] = {}
    for name in Rates.__struct_fields__:
        known = [rate for rate in (getattr(one, name), getattr(other, name)) if rate is not None]
        pick = max if name.endswith("_per_s") else min
        best[name] = pick(known) if known else None
    return Rates(**best)


class StoragePlace(Struct, frozen=True, kw_only=True):
    """A place and what is known of it.

    Args:
        folder: envforge's own folder there, absolute; need not exist. Store and environments go to ``tier``
            in it, archives to ``archives``.
        base: the folder that offers it, which exists (unless ``fault`` says otherwise).
        origin: why it is a candidate.
        offered_by: the same for people: ``$SLURM_TMPDIR``, ``/scratch``, ``the cache folder``.
        mount_point: of its file system.
        file_system: the kernel's name of its type, ``ext4``.
        source: what is mounted: a device, ``server:/export``.
        device: ``major:minor`` of its file system.
        device_kind: what is under it.
        reach: local to this host, shared with others, or memory.
        life: when it goes away.
        total_bytes, free_bytes: of the file system, as an ordinary user gets them.
        free_inodes: None where there is no fixed number of them (btrfs).
        quota: of this user; None where none is known.
        symlinks, hardlinks: whether they can be had there.
        fault: why it cannot be used; "" if it can.
        rates: None where it was not measured.
    """

    folder: str
    base: str
    origin: Origin
    offered_by: str
    mount_point: str = ""
    file_system: str = ""
    source: str = ""
    device: str = ""
    device_kind: DeviceKind = DeviceKind.UNKNOWN
    reach: Reach = Reach.LOCAL
    life: Life = Life.KEPT
    total_bytes: int = 0
    free_bytes: int = 0
    free_inodes: int | None = None
    quota: Quota | None = None
    symlinks: bool = True
    hardlinks: bool = True
    fault: str = ""
    rates: Rates | None = None

    @property
    def tier(self) -> str:
        return f"{self.folder}/tier"

    @property
    def archives(self) -> str:
        return f"{self.folder}/archives"

    @property
    def room_bytes(self) -> int:
        """What this user can still write there."""
        left = self.quota.left_bytes if self.quota else None
        return self.free_bytes if left is None else min(self.free_bytes, left)

    @property
    def room_inodes(self) -> int | None:
        """How many files and folders this user can still make there; None: no limit."""
        left = self.quota.left_inodes if self.quota else None
        known = [number for number in (self.free_inodes, left) if number is not None]
        return min(known, default=None)


class HostStorage(Struct, frozen=True, kw_only=True):
    """All places of a host.

    Args:
        places: in the order in which they were thought of; the cache folder's is the first.
        memory_room_bytes: what this process may still use of the memory: the least of what is free, what its
            control group allows and what the job was given. None where that is not known.
        job: the batch job that this process is part of (``SLURM job 4711``), "" for none.
        login_node: batch jobs are submitted from here: its memory and processors are everybody's.
    """

    places: tuple[StoragePlace, ...]
    memory_room_bytes: int | None = None
    job: str = ""
    login_node: bool = False
