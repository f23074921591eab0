"""How files are best written to a tier: a choice by what its probe measured."""

from __future__ import annotations

from envforge.model.storage import DeviceKind, Rates, Reach
from envforge.model.writing import BUFFERED, WriteStrategy

_DIRECT_FROM_BYTES = 1024 * 1024
_FASTER = 1.25
"""By so much O_DIRECT has to be faster, where the processors wait for the disk: what is in the page cache is
also read from it next."""
_PROCESSOR_BYTES_PER_S = 300e6
"""Nearly twice what a processor downloads, checks and unpacks in a second. Where the disk takes that of each
of them, they are what a fetch waits for, and to copy into the page cache is a quarter of their work: 3.2 GB
were in place after 18 to 21 s (28 s of processor time) past it and 22 to 24 s (37 s) through it, on two
processors and a disk of 1.4 GB/s either way."""
_ROTATING_WORKERS = 4


def choose_strategy(
    reach: Reach, device_kind: DeviceKind, rates: Rates | None, processors: int
) -> WriteStrategy:
    """The way to write to a place.

    Args:
        reach: of the place.
        device_kind: what is under it.
        rates: as measured; None where they were not.
        processors: how many of them unpack.
    """
    workers = _ROTATING_WORKERS if device_kind is DeviceKind.ROTATING else 0
    if rates is None or reach is not Reach.LOCAL:
        return WriteStrategy(workers=workers) if workers else BUFFERED
    buffered, direct = rates.write_bytes_per_s, rates.direct_bytes_per_s
    past_cache = (
        buffered is not None
        and direct is not None
        and (direct > buffered * _FASTER or direct > _PROCESSOR_BYTES_PER_S * processors)
    )
    return WriteStrategy(direct_from_bytes=_DIRECT_FROM_BYTES if past_cache else None, workers=workers)
