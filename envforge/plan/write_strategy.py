"""How files are best written to a tier: a choice by what its probe measured."""

from __future__ import annotations

from envforge.model.storage import DeviceKind, Rates, Reach
from envforge.model.writing import BUFFERED, WriteStrategy

_DIRECT_FROM_BYTES = 8 * 1024 * 1024
_FASTER = 1.25
"""By so much O_DIRECT has to be faster: what is in the page cache is also read from it next. Where the probe
found both alike (1.2 to 1.5 GB/s), unpacking 1.2 GB took 3.5 to 5.7 s through it and 5.7 to 6.2 s past it."""
_ROTATING_WORKERS = 4


def choose_strategy(reach: Reach, device_kind: DeviceKind, rates: Rates | None) -> WriteStrategy:
    """The way to write to a place.

    Args:
        reach: of the place.
        device_kind: what is under it.
        rates: as measured; None where they were not.
    """
    workers = _ROTATING_WORKERS if device_kind is DeviceKind.ROTATING else 0
    if rates is None or reach is not Reach.LOCAL:
        return WriteStrategy(workers=workers) if workers else BUFFERED
    buffered, direct = rates.write_bytes_per_s, rates.direct_bytes_per_s
    is_faster = buffered is not None and direct is not None and direct > buffered * _FASTER
    return WriteStrategy(direct_from_bytes=_DIRECT_FROM_BYTES if is_faster else None, workers=workers)
