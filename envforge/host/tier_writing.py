"""How files are best written to the tier of this host: as it was measured, or is now if that is worth it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from envforge.host.devices import find_device_kind
from envforge.host.file_systems import kind_of
from envforge.host.mounts import find_mount, mount_id, read_mounts
from envforge.host.own_folder import nearest_folder
from envforge.host.processors import count_processors
from envforge.host.storage_memory import StorageMemory, mount_key
from envforge.model.storage import Rates, Reach
from envforge.model.writing import BUFFERED, WriteStrategy
from envforge.plan.write_strategy import choose_strategy

_WORTH_MEASURING_BYTES = 1_000_000_000
"""Of archives. They take five seconds or more; a probe takes a fifth of one."""


def find_write_strategy(
    tier: Path, cache: Path, environ: Mapping[str, str], size_bytes: int = 0
) -> WriteStrategy:
    """The strategy for a tier.

    Args:
        tier: absolute; need not exist.
        cache: the cache root, where measurements are remembered.
        environ: the process environment.
        size_bytes: of the archives that are going to be unpacked there. A local tier that a variable or an
            option names has not been measured: it is before much is written.
    """
    folder = nearest_folder(str(tier))
    mount = find_mount(str(Path(folder).resolve()), read_mounts(), mount_id(folder))
    if mount is None:
        return BUFFERED
    key = mount_key(mount.device, mount.file_system, mount.source, mount.point)
    reach = kind_of(mount.file_system).reach
    rates = _as_rates(StorageMemory(cache, time.time()).find_fact("probe", key))
    can_matter = reach is Reach.LOCAL and hasattr(os, "O_DIRECT")
    if rates is None and can_matter and size_bytes >= _WORTH_MEASURING_BYTES:
        from envforge.host.tiers import survey_named

        place, _ = survey_named(str(tier), environ, cache)
        rates = _checked(place.rates)
    return choose_strategy(reach, find_device_kind(mount), rates, count_processors())


def _as_rates(fact: Any) -> Rates | None:
    """What was measured; None if nothing was, or if it is damaged."""
    try:
        return _checked(Rates(**fact["rates"]))
    except (TypeError, KeyError):
        return None


def _checked(rates: Rates | None) -> Rates | None:
    """The same, if they are numbers: they may be out of a damaged file."""
    if rates is None:
        return None
    known = (rates.write_bytes_per_s, rates.direct_bytes_per_s)
    return rates if all(rate is None or isinstance(rate, float) for rate in known) else None
