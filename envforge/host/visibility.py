"""Who else sees a folder: other hosts through a network, or the machine around a container.

A pure question about mounts, asked by :func:`is_seen_further` of this host's.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from envforge.host.file_systems import kind_of
from envforge.host.mounts import Mount, find_mount, mount_id, read_mounts
from envforge.model.storage import Reach

_CONTAINER_SIGNS = ("/.dockerenv", "/run/.containerenv", "/.singularity.d")


def is_seen_further(project: str, tier: str) -> bool:
    """Whether there may be hosts that see a project's folder, but not what is on a tier.

    Args:
        project, tier: absolute; the tier need not be there yet.
    """
    mounts = read_mounts()
    return compare_sight(
        _mount_of(project, mounts), _mount_of(tier, mounts), _mount_of("/", mounts), _in_container()
    )


def is_shared(folder: str) -> bool:
    """Whether other hosts see a folder."""
    mounts = read_mounts()
    mount, root = _mount_of(folder, mounts), _mount_of("/", mounts)
    return _reaches_others(mount) or _comes_from_outside(mount, root, _in_container())


def first_local(folders: Iterable[str]) -> str:
    """The first folder that is there, can be written to, and is this host's alone; "" for none."""
    mounts = read_mounts()
    for folder in folders:
        mount = _mount_of(folder, mounts)
        if os.access(folder, os.W_OK | os.X_OK) and not _reaches_others(mount):
            return folder
    return ""


def compare_sight(project: Mount | None, tier: Mount | None, root: Mount | None, in_container: bool) -> bool:
    """The same as :func:`is_seen_further`, of mounts; what is not known is taken to be local."""
    if project == tier:
        return False
    if _reaches_others(project):
        return not _reaches_others(tier)
    return _comes_from_outside(project, root, in_container)


def _reaches_others(mount: Mount | None) -> bool:
    return mount is not None and kind_of(mount.file_system).reach is Reach.SHARED


def _comes_from_outside(mount: Mount | None, root: Mount | None, in_container: bool) -> bool:
    """Whether a folder of the machine around a container is mounted there."""
    if mount is None or root is None or mount == root:
        return False
    return in_container or kind_of(root.file_system).overlay


def _in_container() -> bool:
    return any(Path(sign).exists() for sign in _CONTAINER_SIGNS)


def _mount_of(folder: str, mounts: Sequence[Mount]) -> Mount | None:
    place = Path(folder).resolve()
    while not os.access(place, os.F_OK) and place != place.parent:
        place = place.parent
    return find_mount(str(place), mounts, mount_id(str(place)))
