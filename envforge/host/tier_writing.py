"""How files are best written to the tier of this host, as far as it was measured. Measures nothing itself."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from envforge.host.devices import find_device_kind
from envforge.host.file_systems import kind_of
from envforge.host.mounts import find_mount, mount_id, read_mounts
from envforge.host.own_folder import nearest_folder
from envforge.host.storage_memory import StorageMemory, mount_key
from envforge.model.storage import Rates
from envforge.model.writing import BUFFERED, WriteStrategy
from envforge.plan.write_strategy import choose_strategy


def find_write_strategy(tier: Path, cache: Path) -> WriteStrategy:
    """The strategy for a tier.

    Args:
        tier: absolute; need not exist.
        cache: the cache root, where measurements are remembered.
    """
    folder = nearest_folder(str(tier))
    mount = find_mount(str(Path(folder).resolve()), read_mounts(), mount_id(folder))
    if mount is None:
        return BUFFERED
    key = mount_key(mount.device, mount.file_system, mount.source, mount.point)
    fact = StorageMemory(cache, time.time()).find_fact("probe", key)
    return choose_strategy(kind_of(mount.file_system).reach, find_device_kind(mount), _as_rates(fact))


def _as_rates(fact: Any) -> Rates | None:
    """What was measured; None if nothing was, or if it is damaged."""
    try:
        rates = Rates(**fact["rates"])
    except (TypeError, KeyError):
        return None
    known = (rates.write_bytes_per_s, rates.direct_bytes_per_s)
    return rates if all(rate is None or isinstance(rate, float) for rate in known) else None
