"""Which place holds store and environments, and which one the archives: a choice by facts, with reasons.

The order, and why:

1. A local disk that stays. The cache folder, if it is on one: nothing is gained by moving what people know
   where to find, unless another disk is plainly faster.
2. A local disk that is lost with the job or the container: filling it costs less than working on a network.
3. Memory, only where all else is a slow network place and the job has plainly room: it dies at reboot and
   what lies there is taken from the programs.
4. A network place.

Archives go to the most durable place that other nodes see, if the tier is not such a place itself: the next
node, or this one after its scratch was purged, then needs no network. Nothing is kept twice on one disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from envforge.model.storage import DeviceKind, HostStorage, Life, Origin, Reach, StoragePlace
from envforge.struct import Struct

WANTED_BYTES = 10_000_000_000
WANTED_INODES = 60_000
"""Room for a torch environment with its store (6 GB in 43,000 files and 5,000 folders) and some more."""
ARCHIVE_BYTES = 5_000_000_000
LEAST_BYTES = 1_000_000_000
LEAST_INODES = 6_000
"""A tier that is in use and has less than this left is full: another one is looked for."""
_MEMORY_SHARE = 4
_PLAINLY_FASTER = 3.0
"""Measurements of one disk differ by a factor of two within a minute."""
_SLOW_NETWORK_S = 60.0
_DURABLE_ORIGINS = (Origin.CACHE, Origin.WORK, Origin.HOME, Origin.PROJECT, Origin.SCRATCH)


class _Typical(NamedTuple):
    """What a kind of device does where nothing was measured."""

    create_s: float
    stat_s: float
    write_bytes_per_s: float
    read_bytes_per_s: float


_TYPICAL = {
    DeviceKind.NVME: _Typical(30e-6, 2e-6, 1.5e9, 2e9),
    DeviceKind.SSD: _Typical(40e-6, 2e-6, 450e6, 500e6),
    DeviceKind.ROTATING: _Typical(100e-6, 2e-6, 150e6, 150e6),
    DeviceKind.NETWORK: _Typical(2e-3, 0.5e-3, 400e6, 400e6),
    DeviceKind.MEMORY: _Typical(8e-6, 2e-6, 1.5e9, 4e9),
    DeviceKind.OVERLAY: _Typical(60e-6, 3e-6, 400e6, 500e6),
    DeviceKind.UNKNOWN: _Typical(60e-6, 3e-6, 400e6, 500e6),
}


class TierChoice(Struct, frozen=True, kw_only=True):
    """What was chosen.

    Args:
        tier: for store and environments; None where no place can be written at all.
        archives: for downloaded files.
        keeps_archives: they stay there after they are unpacked.
        reasons: folder of a place → a sentence: why it was chosen or why not. Every place has one.
    """

    tier: StoragePlace | None
    archives: StoragePlace | None
    keeps_archives: bool
    reasons: Mapping[str, str]


def choose_tier(storage: HostStorage, *, previous: str = "") -> TierChoice:
    """Choose.

    Args:
        storage: the places of a host.
        previous: folder of the tier that was chosen before: it stays until it is gone or full, so that
            environments do not wander because one measurement differs from the next.
    """
    unfit = {place.folder: _why_unfit(place, storage) for place in storage.places}
    _refuse_without_symlinks(storage.places, unfit)
    fit = [place for place in storage.places if not unfit[place.folder]]
    tier, why = _find_previous(storage, previous)
    if tier is None:
        tier, why = _pick_tier(fit)
    if tier is None:
        tier, why = _pick_roomiest(storage)
    archives, keeps, archives_why = choose_archives(tier, storage.places)
    reasons = {place.folder: unfit[place.folder] or _why_not(place, tier) for place in storage.places}
    if tier is not None:
        reasons[tier.folder] = why
    if archives is not None and archives is not tier:
        reasons[archives.folder] = f"{archives_why}; {reasons[archives.folder]}"
    return TierChoice(tier=tier, archives=archives, keeps_archives=keeps, reasons=reasons)


def choose_archives(
    tier: StoragePlace | None, places: Sequence[StoragePlace]
) -> tuple[StoragePlace | None, bool, str]:
    """Where archives go, whether they are kept there, and why.

    Args:
        tier: the chosen one.
        places: all of the host.
    """
    if tier is None:
        return None, False, ""
    stays_where_known = tier.origin is Origin.CACHE and tier.life is Life.KEPT
    if stays_where_known or (tier.reach is Reach.SHARED and tier.life is Life.KEPT):
        return tier, False, ""
    others = [place for place in places if place is not tier and _can_keep_archives(place)]
    shared = [place for place in others if place.reach is Reach.SHARED]
    kept = [place for place in others if place.life is Life.KEPT]
    for found, why in (
        (
            [place for place in shared if place.life is Life.KEPT],
            "archives: it is kept, and every node sees it",
        ),
        ([] if tier.reach is Reach.SHARED else shared, "archives: every node sees it"),
        ([] if tier.life is Life.KEPT else kept, "archives: it is there longer than the environments"),
    ):
        if found:
            return min(found, key=lambda place: _DURABLE_ORIGINS.index(place.origin)), True, why
    return tier, False, ""


def environment_cost_s(place: StoragePlace) -> float:
    """Roughly how long a torch environment takes there to be unpacked, and once to be read."""
    typical, rates = _TYPICAL[place.device_kind], place.rates
    create_s = (rates.create_s if rates else None) or typical.create_s
    stat_s = (rates.stat_s if rates else None) or typical.stat_s
    write = (rates.best_write_bytes_per_s if rates else None) or typical.write_bytes_per_s
    read = (rates.read_bytes_per_s if rates else None) or typical.read_bytes_per_s
    return 43_000 * (create_s + stat_s) + 6e9 / write + 3e9 / read


def _find_previous(storage: HostStorage, folder: str) -> tuple[StoragePlace | None, str]:
    for place in storage.places:
        if place.folder == folder and not place.fault and not _is_full(place):
            return place, f"{_nature(place)}; chosen before, and neither gone nor full"
    return None, ""


def _pick_tier(fit: Sequence[StoragePlace]) -> tuple[StoragePlace | None, str]:
    """The best of what can be used, and why."""
    lasting = [place for place in fit if _is_local_disk(place) and not _is_fleeting(place)]
    fleeting = [place for place in fit if _is_local_disk(place) and _is_fleeting(place)]
    memory = [place for place in fit if place.reach is Reach.MEMORY]
    network = [place for place in fit if place.reach is Reach.SHARED]
    if lasting:
        return _pick_lasting(lasting, fleeting)
    if fleeting:
        chosen = _cheapest(fleeting)
        others = " and all that stays is on the network" if network else ""
        return (
            chosen,
            f"{_nature(chosen)}: it goes with the {_owner_of(chosen)},{others or ' but is all there is'}",
        )
    if memory and (not network or min(map(environment_cost_s, network)) > _SLOW_NETWORK_S):
        return memory[0], "memory: all else is a slow network place, and there is plainly room"
    if network:
        return _pick_network(network)
    return None, ""


def _pick_lasting(
    lasting: Sequence[StoragePlace], fleeting: Sequence[StoragePlace]
) -> tuple[StoragePlace, str]:
    """Of disks that stay; one that a job was given wins only where it is plainly faster than all of them."""
    known = next((place for place in lasting if place.origin is Origin.CACHE), None)
    kept = [place for place in lasting if place.life is Life.KEPT]
    chosen = known or _cheapest(kept or lasting)
    fastest = _cheapest(lasting)
    if _is_plainly_faster(fastest, chosen):
        return fastest, f"{_nature(fastest)}: plainly faster than {chosen.offered_by}"
    of_job = [place for place in fleeting if place.life is Life.JOB]
    if of_job and _is_plainly_faster(_cheapest(of_job), chosen):
        fastest = _cheapest(of_job)
        return fastest, f"{_nature(fastest)} of this job: plainly faster than {chosen.offered_by}"
    if chosen is known:
        return chosen, f"{_nature(chosen)}, and no other disk is plainly faster"
    return (
        chosen,
        f"{_nature(chosen)}, faster for every file than a place on the network or one that goes away",
    )


def _pick_network(network: Sequence[StoragePlace]) -> tuple[StoragePlace, str]:
    known = next((place for place in network if place.origin is Origin.CACHE), None)
    kept = [place for place in network if place.life is Life.KEPT]
    chosen = known or _cheapest(kept or network)
    fastest = _cheapest(network)
    if _is_plainly_faster(fastest, chosen):
        return (
            fastest,
            f"{_nature(fastest)}: there is no local disk, and it is plainly faster than {chosen.offered_by}",
        )
    return chosen, f"{_nature(chosen)}: there is no local disk with room"


def _pick_roomiest(storage: HostStorage) -> tuple[StoragePlace | None, str]:
    """Where no place has the room that is wanted: the one with the most."""
    usable = [place for place in storage.places if not place.fault and place.reach is not Reach.MEMORY] or [
        place for place in storage.places if not place.fault
    ]
    if not usable:
        return None, ""
    chosen = max(usable, key=_room)
    return (
        chosen,
        f"no place has the {_gb(WANTED_BYTES)} that a large environment wants; this one has the most room",
    )


def _is_full(place: StoragePlace) -> bool:
    inodes = place.room_inodes
    return place.room_bytes < LEAST_BYTES or (inodes is not None and inodes < LEAST_INODES)


def _room(place: StoragePlace) -> float:
    """Which part of the wanted room there is, of bytes or of inodes, whichever is less."""
    inodes = place.room_inodes
    of_inodes = 1.0 if inodes is None else inodes / WANTED_INODES
    return min(place.room_bytes / WANTED_BYTES, of_inodes)


def _why_unfit(place: StoragePlace, storage: HostStorage) -> str:
    """Why store and environments cannot be there, "" if they can."""
    if place.fault:
        return place.fault
    if place.room_bytes < WANTED_BYTES:
        left = place.quota.left_bytes if place.quota else None
        what = "the quota leaves" if left is not None and left < place.free_bytes else "free are"
        return f"too little room: {what} {_gb(place.room_bytes)}, wanted are {_gb(WANTED_BYTES)}"
    inodes = place.room_inodes
    if inodes is not None and inodes < WANTED_INODES:
        return f"too few inodes: {inodes:,} are left, wanted are {WANTED_INODES:,}"
    return _why_no_memory(storage) if place.reach is Reach.MEMORY else ""


def _refuse_without_symlinks(places: Sequence[StoragePlace], unfit: dict[str, str]) -> None:
    """Environments are made of symlinks: a place without any is chosen only if there is nothing else."""
    fit = [place for place in places if not unfit[place.folder]]
    if any(place.symlinks for place in fit):
        for place in fit:
            if not place.symlinks:
                unfit[place.folder] = f"{place.file_system} has no symlinks, of which environments are made"


def _why_no_memory(storage: HostStorage) -> str:
    if storage.login_node:
        return "memory of a node that everybody logs in to"
    room = storage.memory_room_bytes
    if room is None:
        return "memory, and it is not known how much of it may be used"
    if room < _MEMORY_SHARE * WANTED_BYTES:
        return (
            f"memory: {_gb(WANTED_BYTES)} for an environment is too much of the {_gb(room)} that may be used"
        )
    return ""


def _why_not(place: StoragePlace, tier: StoragePlace | None) -> str:
    """Why a place that could be used is not the tier."""
    if tier is None:
        return "it cannot be used"
    if place.reach is Reach.MEMORY:
        return "memory is lost at reboot and taken from the programs; there is a better place"
    if place.reach is Reach.SHARED:
        if tier.reach is Reach.SHARED:
            return f"not plainly faster than {tier.offered_by}"
        return "each operation is a message over the network"
    if _is_fleeting(place):
        return f"it goes with the {_owner_of(place)}; {tier.offered_by} stays"
    if place.life is Life.PURGED and tier.life is Life.KEPT:
        return f"it may be purged, and is not plainly faster than {tier.offered_by}"
    return f"not plainly faster than {tier.offered_by}"


def _can_keep_archives(place: StoragePlace) -> bool:
    inodes = place.room_inodes
    return (
        not place.fault
        and place.origin in _DURABLE_ORIGINS
        and place.life in (Life.KEPT, Life.PURGED)
        and place.room_bytes >= ARCHIVE_BYTES
        and (inodes is None or inodes >= LEAST_INODES)
    )


def _is_local_disk(place: StoragePlace) -> bool:
    """Also one whose blocks are far away (Ceph RBD): its names are known here, and cost no message."""
    return place.reach is Reach.LOCAL


def _is_fleeting(place: StoragePlace) -> bool:
    return place.life in (Life.JOB, Life.CONTAINER, Life.REBOOT)


def _is_plainly_faster(place: StoragePlace, than: StoragePlace) -> bool:
    solid = (DeviceKind.NVME, DeviceKind.SSD)
    if than.device_kind is DeviceKind.ROTATING and place.device_kind in solid:
        return True  # what a probe writes in a tenth of a second, a disk's own memory takes
    return environment_cost_s(place) * _PLAINLY_FASTER < environment_cost_s(than)


def _cheapest(places: Sequence[StoragePlace]) -> StoragePlace:
    return min(places, key=environment_cost_s)


def _nature(place: StoragePlace) -> str:
    """``a local nvme disk``, ``a network place (lustre)``."""
    if place.reach is Reach.SHARED:
        return f"a network place ({place.file_system})"
    if place.reach is Reach.MEMORY:
        return "memory"
    names = {DeviceKind.NVME: "NVMe ", DeviceKind.SSD: "solid-state ", DeviceKind.ROTATING: "rotating "}
    return f"a local {names.get(place.device_kind, '')}disk"


def _owner_of(place: StoragePlace) -> str:
    return {Life.CONTAINER: "container", Life.REBOOT: "next reboot"}.get(place.life, "job")


def _gb(size_bytes: float) -> str:
    return f"{size_bytes / 1e9:.3g} GB"
