"""What a host remembers of its storage: when it holds, and what happens to a file that is damaged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from envforge.host.storage_memory import (
    LIFETIME_S,
    ChosenTier,
    StorageMemory,
    choice_key,
    find_remembered,
)
from envforge.host.storage_probe import FOLDER_START

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX folders")
NOW_S = 1_800_000_000.0


def chosen(folder: Path, *, guarded: bool = False) -> ChosenTier:
    return ChosenTier(str(folder), str(folder), False, guarded, guarded)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "place" / "envforge"
    folder.mkdir(parents=True)
    return folder


def remember(cache: Path, key: Mapping[str, str], place: Path, *, now_s: float = NOW_S) -> Path:
    """The file."""
    memory = StorageMemory(cache, now_s)
    memory.remember_choice(key, chosen(place), str(place))
    memory.remember_fact("probe", "8:1 ext4 /dev/sda1 /", {"x": 1})
    memory.save()
    [file] = (cache / "storage").iterdir()
    return file


def test_a_choice_is_found_again(cache: Path, place: Path) -> None:
    key = {"WORK": "/w", "user": "1"}
    remember(cache, key, place)
    memory = StorageMemory(cache, NOW_S + 60)
    assert memory.find_choice(key) == chosen(place)
    assert memory.find_fact("probe", "8:1 ext4 /dev/sda1 /") == {"x": 1}
    assert memory.find_fact("quota", "8:1 ext4 /dev/sda1 /") is None
    assert memory.find_fact("probe", "8:1 ext4 /dev/sda1 /", 30) is None


def test_the_file_has_the_name_of_the_host(cache: Path, place: Path) -> None:
    assert remember(cache, {}, place).stem == os.uname().nodename


def test_another_setting_is_another_choice(cache: Path, place: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    remember(cache, {"WORK": "/w"}, place)
    remember(cache, {"WORK": "/x"}, other)
    memory = StorageMemory(cache, NOW_S)
    assert memory.find_choice({"WORK": "/w"}) == chosen(place)
    assert memory.find_choice({"WORK": "/x"}) == chosen(other)
    assert memory.find_choice({}) is None


@pytest.mark.parametrize("age_s", [LIFETIME_S + 1, -60])
def test_a_week_later_it_is_looked_at_again(cache: Path, place: Path, age_s: float) -> None:
    remember(cache, {}, place)
    memory = StorageMemory(cache, NOW_S + age_s)
    assert memory.find_choice({}) is None
    assert memory.previous_folder({}) == str(place)
    assert memory.find_fact("probe", "8:1 ext4 /dev/sda1 /") is None


def test_a_place_that_is_gone(cache: Path, place: Path) -> None:
    remember(cache, {}, place)
    place.rmdir()
    assert StorageMemory(cache, NOW_S).find_choice({}) is None


def changed(file: Path, *path: object, value: object) -> None:
    content = part = json.loads(file.read_text())
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = value
    file.write_text(json.dumps(content))


def test_another_file_system_in_its_place(cache: Path, place: Path) -> None:
    file = remember(cache, {}, place)
    changed(file, "choices", 0, "device", value=12345)
    assert StorageMemory(cache, NOW_S).find_choice({}) is None


def test_after_a_boot_it_is_only_a_preference(cache: Path, place: Path) -> None:
    file = remember(cache, {}, place)
    changed(file, "boot", value="another")
    memory = StorageMemory(cache, NOW_S)
    assert memory.find_choice({}) is None
    assert memory.previous_folder({}) == str(place)
    assert memory.find_fact("probe", "8:1 ext4 /dev/sda1 /") is None


def test_where_a_named_tier_was_is_true_after_a_boot_too(cache: Path, place: Path) -> None:
    file = remember(cache, {}, place)
    memory = StorageMemory(cache, NOW_S)
    memory.remember_named("/mnt/fast/envforge", "/mnt/fast")
    memory.remember_named("/mnt/slow/envforge", "/mnt/slow")
    memory.save()
    changed(file, "boot", value="another")
    memory = StorageMemory(cache, NOW_S)
    assert memory.mount_of_named("/mnt/fast/envforge") == "/mnt/fast"
    memory.remember_named("/mnt/fast/envforge", "")
    assert memory.mount_of_named("/mnt/fast/envforge") == ""
    assert memory.mount_of_named("/mnt/slow/envforge") == "/mnt/slow"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        "1",
        '{"format": 2}',
        '{"format": 1, "boot": "", "facts": [], "choices": []}',
        '{"format": 1, "boot": "", "facts": {}, "choices": {}}',
        '{"format": 1, "boot": "", "facts": {}, "choices": [{}]}',
        '{"format": 1, "facts": {"probe x": 7, "quota": null}, "choices": []}',
    ],
)
def test_a_damaged_file_is_no_file(cache: Path, place: Path, content: str) -> None:
    file = remember(cache, {}, place)
    file.write_text(content)
    memory = StorageMemory(cache, NOW_S)
    assert memory.find_choice({}) is None
    assert memory.find_fact("probe", "x") is None
    memory.remember_choice({}, chosen(place), str(place))
    memory.save()
    assert StorageMemory(cache, NOW_S).find_choice({}) == chosen(place)


@pytest.mark.parametrize("name", ["folder", "archives_folder", "base", "key", "at", "device"])
def test_a_damaged_choice_is_no_choice(cache: Path, place: Path, name: str) -> None:
    file = remember(cache, {}, place)
    changed(file, "choices", 0, name, value=["x"])
    assert StorageMemory(cache, NOW_S).find_choice({}) is None


def test_facts_that_are_damaged(cache: Path, place: Path) -> None:
    file = remember(cache, {}, place)
    for value in (7, None, [], {"at": "x"}, {"at": NOW_S}):
        changed(file, "facts", "probe 8:1 ext4 /dev/sda1 /", value=value)
        memory = StorageMemory(cache, NOW_S)
        assert memory.find_fact("probe", "8:1 ext4 /dev/sda1 /") is None
        memory.save()


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    memory = StorageMemory(tmp_path / "file", NOW_S)
    with memory.claim(["/x"]) as is_first:
        assert is_first
        memory.remember_choice({}, chosen(tmp_path), str(tmp_path))
        memory.save()


def test_only_so_many_choices_and_hosts_are_kept(cache: Path, place: Path) -> None:
    (cache / "storage").mkdir(parents=True)
    old = cache / "storage" / "node-of-last-year.json"
    old.write_text("{}")
    os.utime(old, (NOW_S - 1e7, NOW_S - 1e7))
    memory = StorageMemory(cache, NOW_S)
    for number in range(40):
        memory.remember_choice({"job": str(number)}, chosen(place), str(place))
    memory.save()
    [file] = (cache / "storage").iterdir()
    assert len(json.loads(file.read_text())["choices"]) == 16


def test_what_a_choice_depends_on(tmp_path: Path) -> None:
    environ = {"HOME": "/h", "SLURM_TMPDIR": "/j", "SLURM_JOB_ID": "4711", "EDITOR": "vi"}
    key = choice_key(environ, tmp_path, None)
    assert key == choice_key({**environ, "SLURM_JOB_ID": "4712", "EDITOR": "ed"}, tmp_path, tmp_path)
    assert key != choice_key({**environ, "SLURM_TMPDIR": "/k"}, tmp_path, None)
    assert key != choice_key({"HOME": "/h", "SLURM_TMPDIR": "/j"}, tmp_path, None)
    assert key != choice_key(environ, tmp_path / "cache", None)


def test_our_folder_is_made_again_and_checked(cache: Path, tmp_path: Path) -> None:
    """A purge took it; or somebody laid another in its place meanwhile."""
    base = tmp_path / "scratch"
    base.mkdir()
    folder = base / "envforge-me"
    environ = {"HOME": "/h"}
    key = choice_key(environ, cache, None)
    memory = StorageMemory(cache, time.time())
    memory.remember_choice(key, chosen(folder, guarded=True), str(base))
    memory.save()
    found = find_remembered(environ, cache, None)
    assert found is not None
    assert folder.stat().st_mode & 0o7777 == 0o700
    folder.rmdir()
    folder.symlink_to(tmp_path)
    assert find_remembered(environ, cache, None) is None


def test_it_costs_less_than_a_millisecond(cache: Path, place: Path) -> None:
    environ = {"HOME": "/h"}
    remember(cache, choice_key(environ, cache, place), place, now_s=time.time())
    times = []
    for _ in range(20):
        before_s = time.perf_counter()
        assert find_remembered(environ, cache, place) is not None
        times.append(time.perf_counter() - before_s)
    assert min(times) < 0.001


def test_who_was_done_before_the_claim_was_asked_for_counts(cache: Path, place: Path) -> None:
    late = StorageMemory(cache, time.time())
    remember(cache, {}, place, now_s=time.time())
    with late.claim([]) as is_first:
        assert not is_first
        assert late.find_choice({}) is not None


def test_a_killed_process_leaves_a_claim_and_a_probe(cache: Path, tmp_path: Path) -> None:
    probe = tmp_path / f"{FOLDER_START}1-x"
    dear = tmp_path / "dear"
    for folder in (probe, dear):
        folder.mkdir()
        (folder / "f0").write_text("")
    old = StorageMemory(cache, time.time() - 60)
    holder = old.claim([str(probe), str(dear)])
    holder.__enter__()
    with StorageMemory(cache, time.time()).claim([]) as is_first:
        assert is_first
        assert not probe.exists()
        assert dear.exists(), "only what is named like a probe is removed"
    assert not list((cache / "storage").glob("*.probing"))


def test_a_claim_that_cannot_be_removed_keeps_nobody_waiting(cache: Path) -> None:
    with StorageMemory(cache, time.time()).claim([]):
        [place] = (cache / "storage").iterdir()
    place.mkdir()  # as little to be removed as a file in a folder that became read-only
    with StorageMemory(cache, time.time()).claim([]) as is_first:
        assert is_first


def test_a_claim_of_a_process_that_was_killed_holds_nobody_up(cache: Path) -> None:
    code = """
import os, sys, time
from pathlib import Path
from envforge.host.storage_memory import StorageMemory
with StorageMemory(Path(sys.argv[1]), time.time()).claim([]):
    os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", code, str(cache)]).returncode == -9
    assert list((cache / "storage").glob("*.probing"))
    start_s = time.monotonic()
    with StorageMemory(cache, time.time()).claim([]) as is_first:
        assert is_first
    assert time.monotonic() - start_s < 1


def test_a_claim_that_cannot_be_read_is_swept(cache: Path) -> None:
    (cache / "storage").mkdir(parents=True)
    place = cache / "storage" / f"{os.uname().nodename}.probing"
    for content in ("{", "[]", "7", '{"at": "x"}', '{"at": 1e99, "pid": 1}', f'{{"at": {time.time()}}}'):
        place.write_text(content)
        with StorageMemory(cache, time.time()).claim([]):
            pass
    place.write_text("")
    os.utime(place, (1, 1))
    with StorageMemory(cache, time.time()).claim([]):
        pass


WAITER = """
import sys, time
from pathlib import Path
from envforge.host.storage_memory import ChosenTier, StorageMemory
cache, place = Path(sys.argv[1]), sys.argv[2]
memory = StorageMemory(cache, time.time())
with memory.claim([]) as is_first:
    if memory.find_choice({}) is None:
        time.sleep(0.2)
        memory.remember_choice({}, ChosenTier(place, place, False, False, False), place)
        memory.save()
        print("measured")
    else:
        print("found")
"""


def test_of_many_processes_one_measures(cache: Path, place: Path) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", WAITER, str(cache), str(place)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(6)
    ]
    said = sorted(process.communicate(timeout=30)[0].strip() for process in started)
    assert said == ["found"] * 5 + ["measured"]
