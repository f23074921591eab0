"""How much room this user has in a folder: bytes and inodes, and a quota where one can be asked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from envforge.host.own_folder import nearest_folder
from envforge.plan.room import Room
from envforge.struct import replace


def find_room(folder: str, environ: Mapping[str, str], *, with_quota: bool) -> Room:
    """What is free.

    Args:
        folder: absolute; as much of it as is there counts.
        environ: for the programs that tell quotas.
        with_quota: ask for it too, which on network file systems may take most of a second.

    Raises:
        OSError: the file system does not answer.
    """
    if sys.platform == "win32":
        from shutil import disk_usage

        return Room(free_bytes=disk_usage(nearest_folder(folder)).free)
    if with_quota:
        return _with_quota(folder, environ)
    statistics = os.statvfs(nearest_folder(folder))
    return Room(
        free_bytes=statistics.f_bavail * statistics.f_frsize,
        free_files=statistics.f_favail if statistics.f_files else None,
    )


def _with_quota(folder: str, environ: Mapping[str, str]) -> Room:
    from envforge.host.mounts import read_mounts
    from envforge.host.quota import find_quota
    from envforge.host.storage import describe
    from envforge.host.storage_candidates import Offer
    from envforge.model.storage import Life, Origin

    offer = Offer(base=folder, origin=Origin.NAMED, offered_by="", life=Life.KEPT, own=True)
    place = describe(offer, read_mounts(), environ)
    place = replace(place, quota=find_quota(place, environ))
    return Room(free_bytes=place.room_bytes, free_files=place.room_inodes)
