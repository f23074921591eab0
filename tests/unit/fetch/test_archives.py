"""The folder of archives: what is kept, and what nobody needs any more."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from envforge.errors import StoreError
from envforge.fetch.archives import (
    archive_guard,
    archive_path,
    kept_archives,
    mark_used,
    part_path,
    sweep_archives,
)
from envforge.store.store import Store


def test_sweep(tmp_path: Path) -> None:
    store, archives = Store(tmp_path / "tier"), tmp_path / "archives"
    assert sweep_archives(archives, store) == 0
    assert not archives.exists()
    archives.mkdir()
    store.trees.mkdir(parents=True)
    for name in ("stored", "busy", "needed", "old"):
        part_path(archives, name).write_text("")
        archive_path(archives, name).write_text("kept")
    for name in ("stored", "busy"):
        (store.trees / f"{name}.json").write_text("{}")
    os.utime(part_path(archives, "old"), (0, 0))
    os.utime(archive_path(archives, "old"), (0, 0))
    (archives / "gone.guard").write_text("aa nobody.1.1\n")
    os.utime(archives / "gone.guard", (0, 0))
    (archives / "something-else").write_text("")
    with archive_guard(archives, "busy").try_hold() as mine:
        assert mine
        assert sweep_archives(archives, store) == 3
    kept = [f"{name}.whl" for name in ("stored", "busy", "needed", "old")]
    expected = sorted([*kept, "busy.whl.part", "needed.whl.part", "something-else"])
    assert sorted(path.name for path in archives.iterdir()) == expected


def test_kept_archives(tmp_path: Path) -> None:
    assert kept_archives(tmp_path / "none") == []
    for name, size_bytes in (("b", 3), ("a", 5)):
        archive_path(tmp_path, name).write_bytes(bytes(size_bytes))
    part_path(tmp_path, "c").write_text("half")
    (tmp_path / "d.guard").write_text("")
    (tmp_path / "e.whl").mkdir()
    os.utime(archive_path(tmp_path, "b"), (0, 1000))
    mark_used(archive_path(tmp_path, "a"))
    mark_used(archive_path(tmp_path, "gone"))
    first, second = kept_archives(tmp_path)
    assert (first.tree_id, first.path, first.size_bytes) == ("a", tmp_path / "a.whl", 5)
    assert abs(first.used_s - time.time()) < 60
    assert (second.tree_id, second.size_bytes, second.used_s) == ("b", 3, 1000)


def test_a_folder_for_archives_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "archives").write_text("")
    with pytest.raises(StoreError, match="read the folder for archives"):
        kept_archives(tmp_path / "archives")
