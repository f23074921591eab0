"""What is remembered of a host: whole or not there, and the group's where the cache is."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from envforge.host.memory_file import write_memory

pytestmark = pytest.mark.skipif(os.name == "nt", reason="modes are POSIX")


@pytest.mark.parametrize("umask", [0o077, 0o022, 0o002])
@pytest.mark.parametrize("shared", [True, False])
def test_it_belongs_to_the_group_where_the_cache_does(tmp_path: Path, umask: int, shared: bool) -> None:
    tmp_path.chmod(0o2770 if shared else 0o700)
    file = tmp_path / "hosts/node.json"
    before = os.umask(umask)
    try:
        assert write_memory(file, {"is": 1})
        assert write_memory(file, {"is": 2})
    finally:
        os.umask(before)
    assert json.loads(file.read_text()) == {"is": 2}
    assert os.listdir(file.parent) == ["node.json"]
    folder_mode, file_mode = file.parent.stat().st_mode, file.stat().st_mode
    if shared:
        assert folder_mode & (stat.S_ISGID | stat.S_IRWXG) == stat.S_ISGID | stat.S_IRWXG
        assert file_mode & stat.S_IRGRP
    else:
        assert stat.S_IMODE(folder_mode) == 0o777 & ~umask
        assert stat.S_IMODE(file_mode) == 0o666 & ~umask


def test_failures_are_silent_and_leave_nothing(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("no folder")
    assert not write_memory(tmp_path / "hosts/node.json", {})
    (tmp_path / "storage/node.json/below").mkdir(parents=True)
    assert not write_memory(tmp_path / "storage/node.json", {})
    assert os.listdir(tmp_path / "storage") == ["node.json"]
