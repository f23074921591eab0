"""A tier that the user has named, on a disk that may not be mounted today.

``ENVFORGE_TIER=/mnt/fast/envforge`` without ``/mnt/fast`` would quietly fill the disk that holds ``/mnt``:
which file system a tier was on is remembered, and its absence is an error.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from envforge.errors import HostError
from envforge.host.mounts import find_mount, mount_id, read_mounts
from envforge.host.own_folder import nearest_folder
from envforge.host.storage_memory import StorageMemory


def check_mounted(tier: Path, cache: Path, *, forget: bool = False) -> None:
    """See that a tier is on the file system that it was on before.

    Args:
        tier: absolute; need not exist.
        cache: the cache root, where it is remembered for this host.
        forget: what was before does not count.

    Raises:
        HostError: that one is not mounted.
    """
    mounts = read_mounts()
    memory = StorageMemory(cache, time.time())
    before = "" if forget else memory.mount_of_named(str(tier))
    if before and not any(mount.point == before for mount in mounts):
        raise HostError(
            f"the tier {tier} is on {before}, where nothing is mounted now",
            context=["it would be made on another file system"],
            hints=[
                f"mount {before}, or name another place with --tier DIR",
                f"if it is to be here from now on: envforge tiers --refresh --tier {tier}",
            ],
        )
    mount = None
    with suppress(OSError):  # its server is gone: whoever writes there is going to say so
        nearest = nearest_folder(str(tier))
        mount = find_mount(os.path.realpath(nearest), mounts, mount_id(nearest))
    if mount is not None and mount.point not in ("/", before):
        memory.remember_named(str(tier), mount.point)
        memory.save()
    elif forget and memory.mount_of_named(str(tier)):
        memory.remember_named(str(tier), "")
        memory.save()


def stays(tier: Path, environ: Mapping[str, str], cache: Path) -> bool:
    """Whether what lies in a folder is kept: not in memory, a job's folder, or scratch that is purged.

    Args:
        tier: absolute; need not exist.
        environ: the process environment, whose variables name scratch.
        cache: the cache root.
    """
    from envforge.host.storage import describe_named
    from envforge.model.storage import Life

    return describe_named(str(tier), environ, cache).life is Life.KEPT
