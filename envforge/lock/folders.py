"""Channels that are folders: in the lock as the manifest writes them, in use where they are on this host.

So a lock is the same on every host, and the project can be moved with its channel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from envforge.model.lock import Lock
from envforge.struct import replace

if TYPE_CHECKING:
    from envforge.model.conda import CondaRecord


def with_folders_named(lock: Lock, folders: Mapping[str, str]) -> Lock:
    """A lock as it is written: records of these folders say what the manifest says.

    Args:
        lock: as it is used.
        folders: the manifest's text → absolute URL on this host, ``./channel`` → ``file:///home/me/p/channel``.
    """
    return _moved(lock, {url: text for text, url in folders.items()})


def with_folders_placed(lock: Lock, folders: Mapping[str, str]) -> Lock:
    """A lock as it is used: records of these folders have absolute URLs. The reverse of the above."""
    return _moved(lock, folders)


def _moved(lock: Lock, places: Mapping[str, str]) -> Lock:
    if not any(record.channel in places for record in lock.conda_packages.values()):
        return lock

    def move(record: CondaRecord) -> CondaRecord:
        place = places.get(record.channel)
        if place is None:
            return record
        url = record.url
        if url.startswith(f"{record.channel}/"):
            url = place + url[len(record.channel) :]
        return replace(record, channel=place, url=url)

    moved = {record_id: move(record) for record_id, record in lock.conda_packages.items()}
    ids = {
        record_id: moved[record_id].url if record_id == record.url else record_id
        for record_id, record in lock.conda_packages.items()
    }
    return _renamed(lock, moved, lambda record_id: ids.get(record_id, record_id))


def _renamed(lock: Lock, records: Mapping[str, CondaRecord], rename: Callable[[str], str]) -> Lock:
    return replace(
        lock,
        targets=tuple(
            replace(target, conda=tuple(sorted(map(rename, target.conda)))) for target in lock.targets
        ),
        conda_packages=dict(sorted((rename(record_id), record) for record_id, record in records.items())),
    )
