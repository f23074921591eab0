"""One story of a host per data file: its places, what is chosen for what, and words of the reasons."""

from __future__ import annotations

import random
import tomllib
from pathlib import Path
from typing import Any

import pytest

from envforge.model.storage import (
    DeviceKind,
    HostStorage,
    Life,
    Origin,
    Quota,
    Rates,
    Reach,
    StoragePlace,
)
from envforge.plan.tier_choice import choose_tier
from envforge.struct import replace

STORIES = {
    path.stem: tomllib.loads(path.read_text(encoding="utf-8"))
    for path in sorted(Path(__file__).parent.glob("*.toml"))
}
_REACH = {"network": Reach.SHARED, "memory": Reach.MEMORY}


def _quota(row: dict[str, Any]) -> Quota | None:
    if not row:
        return None
    size, inodes = row.get("limit_gb"), row.get("limit_inodes")
    return Quota(
        used_bytes=int(row.get("used_gb", 0) * 1e9),
        limit_bytes=None if size is None else int(size * 1e9),
        used_inodes=row.get("used_inodes", 0),
        limit_inodes=inodes,
    )


def _rates(row: dict[str, Any]) -> Rates | None:
    if not row:
        return None
    return Rates(
        create_s=row.get("create_us", 0) / 1e6 or None,
        stat_s=row.get("stat_us", 0) / 1e6 or None,
        write_bytes_per_s=row.get("write_mb", 0) * 1e6 or None,
        read_bytes_per_s=row.get("read_mb", 0) * 1e6 or None,
    )


def _place(row: dict[str, Any]) -> StoragePlace:
    device = DeviceKind(row.get("device", "unknown"))
    return StoragePlace(
        folder=row["folder"],
        base=row["folder"],
        origin=Origin(row["origin"]),
        offered_by=row.get("offered_by", row["folder"]),
        file_system=row.get("file_system", "ext4"),
        device_kind=device,
        reach=Reach(row["reach"]) if "reach" in row else _REACH.get(device, Reach.LOCAL),
        life=Life(row.get("life", "kept")),
        free_bytes=int(row["free_gb"] * 1e9),
        free_inodes=row.get("free_inodes"),
        quota=_quota(row.get("quota", {})),
        symlinks=row.get("symlinks", True),
        fault=row.get("fault", ""),
        rates=_rates(row.get("rates", {})),
    )


def _storage(story: dict[str, Any]) -> HostStorage:
    room = story.get("memory_room_gb")
    return HostStorage(
        places=tuple(_place(row) for row in story["place"]),
        memory_room_bytes=None if room is None else int(room * 1e9),
        job=story.get("job", ""),
        login_node=story.get("login_node", False),
    )


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_story(story: dict[str, Any]) -> None:
    choice = choose_tier(_storage(story), previous=story.get("previous", ""))
    expected = story["expected"]
    assert (choice.tier.folder if choice.tier else "") == expected["tier"]
    assert (choice.archives.folder if choice.archives else "") == expected.get("archives", expected["tier"])
    assert choice.keeps_archives == expected.get("keeps_archives", False)
    for folder, words in story.get("reasons", {}).items():
        assert words in choice.reasons[folder]


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_every_place_has_a_reason(story: dict[str, Any]) -> None:
    storage = _storage(story)
    reasons = choose_tier(storage).reasons
    assert set(reasons) == {place.folder for place in storage.places}
    assert all(reason and "None" not in reason for reason in reasons.values())


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_a_choice_stays_whatever_is_measured_next(story: dict[str, Any]) -> None:
    """Until the place is gone or full: environments must not wander with the weather of a disk."""
    storage = _storage(story)
    first = choose_tier(storage).tier
    if first is None:
        return
    weather = random.Random(1)
    for _ in range(20):
        noisy = [
            replace(
                place,
                rates=Rates(
                    create_s=weather.uniform(1e-6, 1e-2), write_bytes_per_s=weather.uniform(1e6, 1e10)
                ),
            )
            for place in storage.places
        ]
        again = choose_tier(replace(storage, places=tuple(noisy)), previous=first.folder)
        assert again.tier is not None
        assert (
            again.tier.folder == first.folder or first.room_bytes < 1e9 or (first.room_inodes or 9999) < 6000
        )
