"""What benchmarks remove outside the clock."""

import sys
from pathlib import Path

import pytest

from benchmarks.disk import free_bytes, remove, wait_until_quiet

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the benchmarks need a POSIX system")


def test_folders_files_and_links_go_and_what_links_lead_to_stays(tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    (tmp_path / "folder" / "below").mkdir(parents=True)
    (tmp_path / "link").symlink_to(kept)
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "file").touch()
    remove(*(tmp_path / name for name in ("folder", "link", "broken", "file", "not there")))
    assert list(tmp_path.iterdir()) == [kept]


def test_what_is_free_is_about_what_the_system_says(tmp_path):
    assert free_bytes(tmp_path) > 0


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel's counters")
def test_memory_is_no_disk_to_wait_for():
    assert wait_until_quiet(Path("/proc/self")) == 0.0
