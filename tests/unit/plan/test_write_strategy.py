"""How files are written to a tier, by what was measured there."""

from __future__ import annotations

import pytest

from envforge.model.storage import DeviceKind, Rates, Reach
from envforge.model.writing import BUFFERED
from envforge.plan.write_strategy import choose_strategy

FASTER = Rates(write_bytes_per_s=370e6, direct_bytes_per_s=1.3e9)
ALIKE = Rates(write_bytes_per_s=1.2e9, direct_bytes_per_s=1.3e9)


def test_past_the_page_cache_where_that_is_faster() -> None:
    assert choose_strategy(Reach.LOCAL, DeviceKind.NVME, FASTER).direct_from_bytes == 8 << 20
    assert choose_strategy(Reach.LOCAL, DeviceKind.NVME, ALIKE) == BUFFERED


@pytest.mark.parametrize(
    "rates",
    [None, Rates(), Rates(write_bytes_per_s=1e9), Rates(direct_bytes_per_s=1e9)],
)
def test_what_was_not_measured_is_written_as_everywhere(rates: Rates | None) -> None:
    assert choose_strategy(Reach.LOCAL, DeviceKind.NVME, rates) == BUFFERED


@pytest.mark.parametrize("reach", [Reach.MEMORY, Reach.SHARED])
def test_memory_and_networks_are_written_through_the_cache(reach: Reach) -> None:
    assert choose_strategy(reach, DeviceKind.UNKNOWN, FASTER) == BUFFERED


def test_a_disk_that_turns_is_not_made_to_jump() -> None:
    for rates in (None, ALIKE):
        assert choose_strategy(Reach.LOCAL, DeviceKind.ROTATING, rates).workers == 4
