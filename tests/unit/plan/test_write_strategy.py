"""How files are written to a tier, by what was measured there."""

from __future__ import annotations

import pytest

from envforge.model.storage import DeviceKind, Rates, Reach
from envforge.model.writing import BUFFERED
from envforge.plan.write_strategy import choose_strategy

FASTER = Rates(write_bytes_per_s=370e6, direct_bytes_per_s=1.3e9)
ALIKE = Rates(write_bytes_per_s=1.2e9, direct_bytes_per_s=1.3e9)


def test_past_the_page_cache_where_that_is_faster() -> None:
    assert choose_strategy(Reach.LOCAL, DeviceKind.NVME, FASTER, 16).direct_from_bytes == 1 << 20
    assert choose_strategy(Reach.LOCAL, DeviceKind.NVME, ALIKE, 16) == BUFFERED


def test_past_the_page_cache_where_the_disk_keeps_up_with_the_processors() -> None:
    assert choose_strategy(Reach.LOCAL, DeviceKind.NVME, ALIKE, 2).direct_from_bytes == 1 << 20
    assert choose_strategy(Reach.LOCAL, DeviceKind.NVME, ALIKE, 6) == BUFFERED


@pytest.mark.parametrize(
    "rates",
    [None, Rates(), Rates(write_bytes_per_s=1e9), Rates(direct_bytes_per_s=1e9)],
)
def test_what_was_not_measured_is_written_as_everywhere(rates: Rates | None) -> None:
    assert choose_strategy(Reach.LOCAL, DeviceKind.NVME, rates, 2) == BUFFERED


@pytest.mark.parametrize("reach", [Reach.MEMORY, Reach.SHARED])
def test_memory_and_networks_are_written_through_the_cache(reach: Reach) -> None:
    assert choose_strategy(reach, DeviceKind.UNKNOWN, FASTER, 2) == BUFFERED


def test_a_disk_that_turns_is_not_made_to_jump() -> None:
    for rates in (None, ALIKE, FASTER):
        assert choose_strategy(Reach.LOCAL, DeviceKind.ROTATING, rates, 2).workers == 4
