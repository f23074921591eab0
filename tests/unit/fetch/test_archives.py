"""Archives that nobody needs any more."""

from __future__ import annotations

import os
from pathlib import Path

from envforge.fetch.archives import archive_guard, archive_path, sweep_archives
from envforge.store.store import Store


def test_sweep(tmp_path: Path) -> None:
    store, archives = Store(tmp_path / "tier"), tmp_path / "archives"
    assert sweep_archives(archives, store) == 0
    assert not archives.exists()
    archives.mkdir()
    store.trees.mkdir(parents=True)
    for name in ("stored", "busy", "needed", "old"):
        archive_path(archives, name).write_text("")
    for name in ("stored", "busy"):
        (store.trees / f"{name}.json").write_text("{}")
    half = archives / "stored.whl.part"
    half.write_text("")
    os.utime(archive_path(archives, "old"), (0, 0))
    (archives / "gone.guard").write_text("aa nobody.1.1\n")
    os.utime(archives / "gone.guard", (0, 0))
    (archives / "something-else").write_text("")
    with archive_guard(archives, "busy").try_hold() as mine:
        assert mine
        assert sweep_archives(archives, store) == 4
    assert sorted(path.name for path in archives.iterdir()) == ["busy.whl", "needed.whl", "something-else"]
