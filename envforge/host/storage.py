"""The storage of this host: every candidate looked at, and measured where that may decide something.

Each place is looked at in a thread of its own, which is left behind when it does not answer: a network
file system whose server is gone stops whoever touches it.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TypeVar

from envforge.host.batch import find_job, is_login_node
from envforge.host.devices import find_device_kind
from envforge.host.file_systems import is_pseudo, kind_of
from envforge.host.memory_room import find_memory_room
from envforge.host.mounts import Mount, find_mount, mount_id, read_mounts
from envforge.host.own_folder import nearest_folder, own_folder
from envforge.host.storage_candidates import Offer, find_offers
from envforge.host.storage_probe import ProbeResult, probe_place
from envforge.model.storage import HostStorage, Life, Origin, Reach, StoragePlace
from envforge.struct import replace

ANSWER_S = 1.0
"""How long a place may take to say what it is; a live network server needs some milliseconds."""
LEAST_BYTES = 1_000_000_000
"""Less is not worth a measurement, which itself writes some tens of megabytes."""
_T = TypeVar("_T")


def find_storage(environ: Mapping[str, str], cache: Path, project: Path | None = None) -> HostStorage:
    """All places of this host and what they are; nothing is measured or written.

    Args:
        environ: the process environment.
        cache: the cache root.
        project: the project's folder.
    """
    offers = find_offers(environ, cache, read_mounts(), project)
    # Looking at an automounted folder mounts it, so the mounts are read again afterwards.
    _all_in_time([partial(os.path.isdir, offer.base) for offer in offers], ANSWER_S)
    mounts = read_mounts()
    described = _all_in_time([partial(describe, offer, mounts, environ) for offer in offers], ANSWER_S)
    places = [
        place if place is not None else _silent(offer) for offer, place in zip(offers, described, strict=True)
    ]
    return HostStorage(
        places=_one_for_each_file_system(places),
        memory_room_bytes=find_memory_room(environ),
        job=find_job(environ),
        login_node=is_login_node(environ),
    )


def describe(offer: Offer, mounts: Sequence[Mount], environ: Mapping[str, str]) -> StoragePlace:
    """What a candidate is, out of its mount and what its file system says of itself."""
    place = StoragePlace(
        folder=offer.base, base=offer.base, origin=offer.origin, offered_by=offer.offered_by, life=offer.life
    )
    try:
        folder, fault = (offer.base, "") if offer.own else own_folder(offer.base, environ)
        base = nearest_folder(folder)
        total_bytes, free_bytes, free_inodes = _find_room(base)
    except OSError as error:
        return replace(place, fault=error.strerror or str(error))
    real = os.path.realpath(base)
    mount = find_mount(real, mounts, mount_id(base))
    place = replace(
        place,
        folder=folder,
        base=base,
        total_bytes=total_bytes,
        free_bytes=free_bytes,
        free_inodes=free_inodes,
        fault=fault or ("" if os.access(base, os.W_OK | os.X_OK) else f"no permission to write to {base}"),
    )
    return _with_mount(place, mount) if mount is not None else place


def describe_named(folder: str, environ: Mapping[str, str], cache: Path) -> StoragePlace:
    """What a folder is that the user has named; in a place that is known, it lives as long as that.

    Args:
        folder: absolute; need not exist.
        environ: the process environment.
        cache: the cache root.
    """
    mounts = read_mounts()
    lives = [
        (len(offer.base), offer.life)
        for offer in find_offers(environ, cache, mounts)
        if folder == offer.base or folder.startswith(f"{offer.base}/")
    ]
    _, life = max(lives, default=(0, Life.KEPT))
    offer = Offer(base=folder, origin=Origin.NAMED, offered_by="named by the user", life=life, own=True)
    return describe(offer, mounts, environ)


def measure(folder: str) -> ProbeResult | str:
    """Probe a place; why that was not possible, where it was not.

    Args:
        folder: for the probe, directly in the place; must not exist.
    """

    def probe() -> ProbeResult | str:
        try:
            return probe_place(folder)
        except OSError as error:
            return f"it cannot be written: {error.strerror or error}"

    return _all_in_time([probe], ANSWER_S)[0] or "it does not answer"


def with_result(place: StoragePlace, result: ProbeResult | str) -> StoragePlace:
    """The place with what a probe found."""
    if isinstance(result, str):
        return replace(place, fault=place.fault or result)
    return replace(
        place,
        rates=result.rates,
        symlinks=place.symlinks if result.symlinks is None else result.symlinks,
        hardlinks=place.hardlinks if result.hardlinks is None else result.hardlinks,
    )


def _find_room(folder: str) -> tuple[int, int, int | None]:
    """Bytes in all and free, and free inodes, as an ordinary user gets them."""
    if sys.platform == "win32":
        import shutil

        usage = shutil.disk_usage(folder)
        return usage.total, usage.free, None
    room = os.statvfs(folder)
    free_inodes = room.f_favail if room.f_files else None
    return room.f_blocks * room.f_frsize, room.f_bavail * room.f_frsize, free_inodes


def _with_mount(place: StoragePlace, mount: Mount) -> StoragePlace:
    kind = kind_of(mount.file_system)
    life = place.life
    if kind.overlay and life is not Life.JOB:
        life = Life.CONTAINER
    elif kind.reach is Reach.MEMORY and life is not Life.JOB:
        life = Life.REBOOT
    fault = place.fault
    if is_pseudo(mount.file_system):
        fault = fault or f"nothing can be kept on {mount.file_system}"
    elif mount.read_only:
        fault = "it is mounted read-only"
    return replace(
        place,
        mount_point=mount.point,
        file_system=mount.file_system,
        source=mount.source,
        device=mount.device,
        device_kind=find_device_kind(mount),
        reach=kind.reach,
        life=life,
        symlinks=kind.symlinks,
        hardlinks=kind.hardlinks,
        fault=fault,
    )


def _silent(offer: Offer) -> StoragePlace:
    return StoragePlace(
        folder=offer.base,
        base=offer.base,
        origin=offer.origin,
        offered_by=offer.offered_by,
        life=offer.life,
        fault="it does not answer",
    )


def _one_for_each_file_system(places: Sequence[StoragePlace]) -> tuple[StoragePlace, ...]:
    """Two folders of one file system are as fast and as full as each other: the first one stands for both.

    One that can be used takes the place of one that cannot.
    """
    chosen: dict[str, StoragePlace] = {}
    for number, place in enumerate(places):
        key = f"{place.device} {place.source} {place.mount_point}" if place.device else f"{number}"
        if place.device and place.reach is not Reach.SHARED:
            key = place.device  # also where it is mounted twice
        if key not in chosen or (chosen[key].fault and not place.fault):
            chosen[key] = place
    return tuple(chosen.values())


def _all_in_time(questions: Sequence[Callable[[], _T]], timeout_s: float) -> list[_T | None]:
    """Answers of functions that run at once; None for those that take too long or fail."""
    answers: list[_T | None] = [None] * len(questions)

    def ask(number: int, question: Callable[[], _T]) -> None:
        answers[number] = question()

    threads = [
        threading.Thread(target=ask, args=(number, question), daemon=True)
        for number, question in enumerate(questions)
    ]
    for thread in threads:
        thread.start()
    deadline_s = monotonic() + timeout_s
    for thread in threads:
        thread.join(max(deadline_s - monotonic(), 0))
    return list(answers)
