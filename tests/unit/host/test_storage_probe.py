"""Probes of real file systems, fast and slow, full, read-only and without links."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from envforge.host.storage import measure
from envforge.host.storage_probe import FOLDER_START, ProbeResult, probe_place, sweep_probe

from support.file_systems import mounted, remount

LIMIT_S = 0.2
"""For one place, on a machine that has nothing else to do; a busy one gets three attempts."""


def probed(place: Path) -> ProbeResult:
    """The quickest of three, as the machine may be busy."""
    results = [probe_place(f"{place}/{FOLDER_START}{number}") for number in range(3)]
    assert not [entry for entry in place.iterdir() if entry.name.startswith(FOLDER_START)]
    return min(results, key=lambda result: (result.is_cut_short, result.duration_s))


def test_a_local_disk_is_measured_in_full(tmp_path: Path) -> None:
    result = probed(tmp_path)
    rates = result.rates
    assert result.duration_s < LIMIT_S
    assert result.symlinks and result.hardlinks
    for seconds in (rates.create_s, rates.link_s, rates.symlink_s, rates.stat_s, rates.read_s):
        assert seconds is not None
        assert 0 < seconds < 0.1
    assert rates.write_bytes_per_s is not None
    assert rates.best_write_bytes_per_s is not None
    assert rates.best_write_bytes_per_s >= rates.write_bytes_per_s > 1e5


@pytest.mark.parametrize("kind", ["tmpfs", "ext4", "xfs", "btrfs", "overlay"])
def test_kinds_of_file_systems(kind: str, tmp_path: Path) -> None:
    with mounted(kind, tmp_path) as place:
        result = probed(place)
    assert result.symlinks and result.hardlinks
    assert result.rates.create_s is not None
    assert result.rates.write_bytes_per_s is not None
    assert result.duration_s < LIMIT_S


def test_without_links(tmp_path: Path) -> None:
    with mounted("linkless", tmp_path) as place:
        result = probed(place)
    assert (result.symlinks, result.hardlinks) == (False, False)
    assert result.rates.symlink_s is None
    assert result.rates.create_s is not None


def test_two_milliseconds_an_operation(tmp_path: Path) -> None:
    with mounted("slow", tmp_path) as place:
        result = probed(place)
    assert result.rates.create_s is not None
    assert result.rates.create_s > 0.004
    assert result.symlinks and result.hardlinks
    assert result.duration_s < LIMIT_S


def test_a_read_only_place(tmp_path: Path) -> None:
    with mounted("tmpfs", tmp_path) as place:
        remount(place, "ro")
        with pytest.raises(OSError):
            probe_place(f"{place}/{FOLDER_START}1")
        found = measure(f"{place}/{FOLDER_START}1")
    assert isinstance(found, str)
    assert "Read-only" in found


def test_a_full_place_leaves_nothing(tmp_path: Path) -> None:
    with mounted("tmpfs", tmp_path, size_mb=1) as place:
        (place / "all").write_bytes(bytes((1 << 20) - 20_000))
        found = measure(f"{place}/{FOLDER_START}1")
        assert isinstance(found, str)
        assert "No space" in found
        assert [entry.name for entry in place.iterdir()] == ["all"]


def test_a_place_without_inodes_leaves_nothing(tmp_path: Path) -> None:
    with mounted("tmpfs", tmp_path, size_mb=100, inode_count=8) as place:
        found = measure(f"{place}/{FOLDER_START}1")
        assert isinstance(found, str)
        assert not list(place.iterdir())


def test_a_place_that_is_not_there(tmp_path: Path) -> None:
    assert isinstance(measure(str(tmp_path / "gone" / "x")), str)


def test_nothing_that_is_there_is_used(tmp_path: Path) -> None:
    """Somebody may have laid it."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "probe").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        probe_place(str(tmp_path / "probe"))
    assert not list((tmp_path / "elsewhere").iterdir())


def test_sweeping_follows_no_links(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "work").write_text("dear")
    (tmp_path / "probe").symlink_to(tmp_path / "mine")
    sweep_probe(str(tmp_path / "probe"))
    assert (tmp_path / "mine" / "work").read_text() == "dear"
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "s0").symlink_to(tmp_path / "mine" / "work")
    sweep_probe(str(folder))
    assert not folder.exists()
    assert (tmp_path / "mine" / "work").exists()
    sweep_probe(str(tmp_path / "gone"))


def test_no_time_at_all(tmp_path: Path) -> None:
    result = probe_place(str(tmp_path / "probe"), budget_s=0.0)
    assert result.rates.create_s is not None
    assert result.rates.write_bytes_per_s is None
    assert result.symlinks is None
    assert not list(tmp_path.iterdir())


def test_a_place_that_hangs_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from envforge.host import storage

    monkeypatch.setattr(storage, "ANSWER_S", 0.1)
    monkeypatch.setattr(os, "mkdir", lambda *_: time.sleep(1))
    assert measure(str(tmp_path / "x")) == "it does not answer"
