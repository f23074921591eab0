"""Finding the tier of a host whose places are real file systems, and the places that follow from it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from envforge.errors import HostError
from envforge.host import storage, tiers
from envforge.host.named_tier import check_mounted
from envforge.host.paths import Places, find_places
from envforge.host.storage_candidates import find_offers
from envforge.host.storage_probe import ProbeResult
from envforge.host.tier_writing import find_write_strategy
from envforge.host.tiers import Survey, survey_storage
from envforge.model.storage import Origin, Rates
from envforge.model.writing import BUFFERED
from envforge.struct import replace

from support.file_systems import mounted

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="out of /proc")
ROOM_MB = 20_000


@pytest.fixture(autouse=True)
def only_of_the_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written to the places that the host of the tests itself has, such as /scratch."""

    def offers(*arguments: Any) -> list[Any]:
        return [offer for offer in find_offers(*arguments) if Path(offer.base).is_relative_to(tmp_path)]

    monkeypatch.setattr(storage, "find_offers", offers)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "home").mkdir()
    return {"HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin"}


def cache_of(environ: Mapping[str, str]) -> Path:
    return Path(environ["HOME"]) / ".cache/envforge"


def survey(environ: Mapping[str, str], **options: Any) -> Survey:
    return survey_storage(environ, cache_of(environ), None, **options)


def test_one_disk(environ: dict[str, str]) -> None:
    cache = cache_of(environ)
    expected = Places(cache=cache, tier=cache / "tier", archives=cache / "archives")
    assert find_places(environ) == expected
    assert [entry.name for entry in cache.iterdir()] == ["storage"], "what is not needed is not made"
    assert find_places(environ) == expected


def test_the_second_time_nothing_is_measured(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = find_places(environ)
    monkeypatch.setattr(tiers, "find_storage", lambda *_: pytest.fail("looked again"))
    assert find_places(environ) == first


def test_a_refresh_measures_again(environ: dict[str, str]) -> None:
    assert survey(environ).measured
    assert not survey(environ).measured
    assert survey(environ, refresh=True).measured


def test_a_named_cache_folder_holds_everything_and_nothing_is_measured(tmp_path: Path) -> None:
    cache = tmp_path / "named"
    for environ, options in (
        ({"ENVFORGE_CACHE_DIR": str(cache)}, {}),
        ({"HOME": str(tmp_path)}, {"cache_dir": str(cache)}),
    ):
        assert find_places(environ, **options) == Places(
            cache=cache, tier=cache / "tier", archives=cache / "archives"
        )
    assert not cache.exists()


def test_the_scratch_of_a_job_where_the_home_is_far(environ: dict[str, str], tmp_path: Path) -> None:
    with ExitStack() as stack:
        far = stack.enter_context(mounted("slow", tmp_path / "far"))
        near = stack.enter_context(mounted("ext4", tmp_path / "near", size_mb=ROOM_MB))
        room = os.statvfs(far)
        if room.f_bavail * room.f_frsize < 6e9:
            pytest.skip("too little room for archives here")
        (near / "job").mkdir()
        environ.update(HOME=str(far), SLURM_JOB_ID="4711", SLURM_TMPDIR=str(near / "job"))
        places = find_places(environ)
        assert places == Places(
            cache=far / ".cache/envforge",
            tier=near / "job/envforge/tier",
            archives=far / ".cache/envforge/archives",
            keeps_archives=True,
        )
        assert (near / "job/envforge").stat().st_mode & 0o7777 == 0o700
        assert find_places(environ) == places
        # the next job on the same host
        (near / "next").mkdir()
        environ.update(SLURM_JOB_ID="4712", SLURM_TMPDIR=str(near / "next"))
        assert find_places(environ).tier == near / "next/envforge/tier"
        # and one whose scratch was taken away already
        (near / "next/envforge").rmdir()
        (near / "next").rmdir()
        assert find_places(environ).tier == far / ".cache/envforge/tier"


@pytest.fixture
def scratch(environ: dict[str, str], tmp_path: Path) -> Any:
    """A home that is full, and a scratch for everybody with room."""
    with ExitStack() as stack:
        home = stack.enter_context(mounted("ext4", tmp_path / "small", size_mb=40))
        place = stack.enter_context(mounted("ext4", tmp_path / "large", size_mb=ROOM_MB))
        place.chmod(0o1777)
        environ.update(HOME=str(home), SCRATCH=str(place))
        yield place


def test_a_place_for_everybody(environ: dict[str, str], scratch: Path) -> None:
    before = {entry.name for entry in scratch.iterdir()}
    places = find_places(environ)
    [made] = {entry.name for entry in scratch.iterdir()} - before
    assert made.startswith("envforge-")
    assert places.tier == scratch / made / "tier"
    assert (scratch / made).stat().st_mode & 0o7777 == 0o700


def test_what_somebody_has_laid_there_is_refused(
    environ: dict[str, str], scratch: Path, tmp_path: Path
) -> None:
    name = find_places(environ).tier.parent
    name.rmdir()
    (tmp_path / "trap").mkdir()
    name.symlink_to(tmp_path / "trap")
    assert find_places(environ).tier == cache_of(environ) / "tier"
    found = survey(environ, refresh=True)
    assert "link" in found.choice.reasons[str(name)]
    assert not list((tmp_path / "trap").iterdir())


def test_only_looking_makes_no_folder(environ: dict[str, str], scratch: Path) -> None:
    before = {entry.name for entry in scratch.iterdir()}
    found = survey(environ, settle=False, thorough=True)
    assert found.choice.tier is not None
    assert found.choice.tier.origin is Origin.SCRATCH
    assert {entry.name for entry in scratch.iterdir()} == before


def test_a_folder_that_cannot_be_made_is_chosen_only_once(
    environ: dict[str, str], scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        tiers, "fault_of_folders", lambda chosen: (chosen.folder, "refused") if chosen.is_guarded else None
    )
    found = survey(environ)
    assert found.choice.tier is not None
    assert found.choice.tier.origin is Origin.CACHE
    assert "refused" in found.choice.reasons.values()


def test_a_tier_stays_when_another_place_would_be_chosen_today(
    environ: dict[str, str], scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tiers.find_storage

    def with_full_home(*arguments: Any) -> Any:
        found = real(*arguments)
        return replace(
            found,
            places=tuple(
                replace(each, free_bytes=0) if each.origin is Origin.CACHE else each for each in found.places
            ),
        )

    same = ProbeResult(rates=Rates(create_s=2e-5, stat_s=2e-6), symlinks=True, hardlinks=True)
    monkeypatch.setattr(tiers, "measure", lambda folder: same)
    with mounted("ext4", tmp_path / "roomy", size_mb=ROOM_MB) as home:
        environ["HOME"] = str(home)
        with monkeypatch.context() as patch:
            patch.setattr(tiers, "find_storage", with_full_home)
            first = find_places(environ)
        assert first.tier.is_relative_to(scratch)
        again = survey(environ).choice.tier
        assert again is not None
        assert again.origin is Origin.SCRATCH
        assert find_places(environ).tier == first.tier
        refreshed = survey(environ, refresh=True).choice.tier
        assert refreshed is not None
        assert refreshed.origin is Origin.CACHE
        assert find_places(environ).tier == home / ".cache/envforge/tier"


def test_a_named_tier_that_goes_away_has_its_archives_elsewhere(
    environ: dict[str, str], tmp_path: Path
) -> None:
    with mounted("tmpfs", tmp_path / "memory") as memory:
        places = find_places(environ, tier=str(memory / "tier"))
        assert places.tier == memory / "tier"
        assert places.archives == cache_of(environ) / "archives"
        assert places.keeps_archives
        assert find_places({**environ, "ENVFORGE_TIER": str(memory)}).keeps_archives
        assert (
            find_places({"ENVFORGE_CACHE_DIR": str(memory / "c")}, tier=str(memory)).keeps_archives is False
        )
    with mounted("ext4", tmp_path / "disk", size_mb=50) as disk:
        assert not find_places(environ, tier=str(disk / "tier")).keeps_archives
        assert find_places({**environ, "SCRATCH": str(disk)}, tier=str(disk / "tier")).keeps_archives
    assert not find_places(environ, tier=str(tmp_path / "tier")).keeps_archives


def test_archives_beside_a_named_tier_go_where_they_went(
    environ: dict[str, str], scratch: Path, tmp_path: Path
) -> None:
    before = find_places(environ)
    assert find_places(environ, tier=str(tmp_path / "x")).archives == before.archives


def test_a_named_tier_whose_disk_is_not_mounted_today(environ: dict[str, str], tmp_path: Path) -> None:
    """It would be made on the disk that holds the empty folder."""
    cache = cache_of(environ)
    with mounted("ext4", tmp_path / "disk", size_mb=50) as disk:
        tier = disk / "envforge"
        find_places(environ, tier=str(tier))  # once is enough, and it has not been made yet
    with pytest.raises(HostError, match="nothing is mounted now") as caught:
        find_places({**environ, "ENVFORGE_TIER": str(tier)})
    assert str(disk) in caught.value.hints[0]
    find_places(environ, tier=str(tmp_path / "other"))
    check_mounted(tier, cache, forget=True)
    assert find_places(environ, tier=str(tier)).tier == tier


def test_a_home_that_cannot_be_written(environ: dict[str, str]) -> None:
    """The cache folder's error comes when something is written; looking must not fail."""
    environ["HOME"] = "/proc/of-nobody"
    assert find_places(environ).tier == Path("/proc/of-nobody/.cache/envforge/tier")


def test_the_write_strategy_is_that_of_what_was_measured(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = cache_of(environ)
    fast = ProbeResult(rates=Rates(stat_s=1e-6, write_bytes_per_s=3e8, direct_bytes_per_s=1e9))
    monkeypatch.setattr(tiers, "measure", lambda folder: fast)
    with mounted("ext4", tmp_path / "disk", size_mb=ROOM_MB) as disk:
        assert find_write_strategy(disk / "not/there", cache, environ).direct_from_bytes is None
        environ["SCRATCH"] = str(disk)
        survey(environ)
        assert find_write_strategy(disk / "not/there", cache, environ).direct_from_bytes == 1 << 20
    [file] = (cache / "storage").iterdir()
    file.write_text(file.read_text().replace("1000000000.0", '"fast"'))
    assert find_write_strategy(disk, cache, environ).direct_from_bytes is None


def test_a_named_tier_is_measured_before_much_is_written(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = cache_of(environ)
    folders: list[str] = []

    def measure(folder: str) -> ProbeResult:
        folders.append(folder)
        return ProbeResult(rates=Rates(stat_s=1e-6, write_bytes_per_s=3e8, direct_bytes_per_s=1e9))

    monkeypatch.setattr(tiers, "measure", measure)
    with mounted("ext4", tmp_path / "disk", size_mb=ROOM_MB) as disk:
        tier = disk / "not/there"
        assert find_write_strategy(tier, cache, environ, 999_999_999).direct_from_bytes is None
        assert not folders
        for _ in range(2):
            assert find_write_strategy(tier, cache, environ, 1_000_000_000).direct_from_bytes == 1 << 20
        assert [Path(folder).parent for folder in folders] == [disk]
        assert find_write_strategy(tier, cache, environ).direct_from_bytes == 1 << 20
    with mounted("tmpfs", tmp_path / "memory", size_mb=ROOM_MB) as memory:
        assert find_write_strategy(memory, cache, environ, 1_000_000_000) == BUFFERED
    assert len(folders) == 1


def test_a_disk_that_was_busy_for_a_moment_is_asked_twice(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first probe of the home meets somebody's flush."""
    good = ProbeResult(rates=Rates(create_s=2e-5, stat_s=2e-6, write_bytes_per_s=1e9, read_bytes_per_s=1e9))
    busy = replace(good, rates=replace(good.rates, write_bytes_per_s=1e7))
    answers = [busy, good, good, good]
    monkeypatch.setattr(tiers, "measure", lambda folder: answers.pop(0))
    with (
        mounted("ext4", tmp_path / "home-disk", size_mb=ROOM_MB) as home,
        mounted("ext4", tmp_path / "work-disk", size_mb=ROOM_MB) as work,
    ):
        environ.update(HOME=str(home), WORK=str(work))
        chosen = survey(environ).choice.tier
        assert chosen is not None
        assert chosen.origin is Origin.CACHE
        assert chosen.rates == good.rates
        assert not answers
        again = survey(environ).choice.tier
        assert again is not None
        assert (again.folder, again.rates) == (chosen.folder, chosen.rates)
