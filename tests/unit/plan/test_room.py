"""Estimates of room: against what was measured, and what they lead to."""

from __future__ import annotations

import pytest

from envforge.plan.room import Need, PlaceNeed, Room, environment_need, kept_need, unpacked_need

MEASURED = [
    # archive bytes, unpacked bytes, files: torch, cuDNN, cuBLAS, pandas, six
    (539_136_850, 1_144_460_884, 13_187),
    (519_150_073, 888_835_462, 33),
    (404_870_805, 563_823_935, 14),
    (12_800_000, 43_500_000, 1_640),
    (11_050, 34_900, 6),
]


@pytest.mark.parametrize(("archive_bytes", "unpacked_bytes", "files"), MEASURED)
def test_least_is_never_more_than_what_it_was(archive_bytes: int, unpacked_bytes: int, files: int) -> None:
    need = unpacked_need([archive_bytes])
    assert need.least_bytes < unpacked_bytes < 1.6 * need.likely_bytes
    assert need.least_files <= files + 4  # its folders, and what the store keeps beside a tree


def test_likely_is_near_for_a_whole_environment() -> None:
    """170 wheels: 3.24 GB, unpacked 6.23 GB in 44,322 files; grouped as they were."""
    sizes = [30_000] * 79 + [320_000] * 53 + [3_700_000] * 18 + [36_000_000] * 10 + [280_000_000] * 10
    need = unpacked_need(sizes)
    assert need.likely_bytes == pytest.approx(6.23e9, rel=0.1)
    assert need.likely_files == pytest.approx(44_322, rel=0.15)


def test_what_no_index_tells_counts_little_and_refuses_nothing() -> None:
    need = unpacked_need([None, None])
    assert (need.least_bytes, need.least_files) == (0, 16)
    assert 0 < need.likely_bytes < 10_000_000
    assert kept_need([1000, None]) == Need(
        likely_bytes=501_000, least_bytes=1000, likely_files=2, least_files=2
    )
    assert unpacked_need([]) == kept_need([]) == Need()


@pytest.mark.parametrize(
    ("room", "impossible", "doubtful"),
    [
        (Room(free_bytes=10**12, free_files=10**6), False, False),
        (Room(free_bytes=10**12), False, False),
        (Room(free_bytes=150_000_000, free_files=10**6), False, True),
        (Room(free_bytes=99_000_000, free_files=10**6), True, True),
        (Room(free_bytes=10**12, free_files=100), False, True),
        (Room(free_bytes=10**12, free_files=7), True, True),
        (Room(free_bytes=0, free_files=0), True, True),
    ],
)
def test_what_fits(room: Room, impossible: bool, doubtful: bool) -> None:
    place = PlaceNeed(folders=("/tier",), need=unpacked_need([100_000_000]), room=room)
    assert (place.is_impossible, place.is_doubtful) == (impossible, doubtful)


def test_sums() -> None:
    both = environment_need(10) + unpacked_need([1000])
    assert both.likely_files == environment_need(10).likely_files + unpacked_need([1000]).likely_files
    assert both.least_bytes == 1000
