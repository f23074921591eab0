"""Who has noted a use does not lose the thing; what was not used for long can be taken away."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from envforge.events import SilentReporter
from envforge.model.tree import Tree
from envforge.store.collect import drop_bundle, drop_tree, list_bundles, list_trees
from envforge.store.store import Store
from envforge.store.uses import (
    GRACE_S,
    NOTED_S,
    SNAPSHOT_S,
    aside_path,
    file_system_time_s,
    note_use,
    withdraw,
)

from support.ages import HOUR_S, let_pass, make_older

Plant = Callable[..., Tree]
SILENT = SilentReporter()


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    place = tmp_path / "thing.json"
    place.write_text("{}")
    return place


def taken(marker: Path) -> bool:
    return withdraw(marker, aside_path(marker.parent), time.time())


def test_the_times_leave_room_for_clocks_that_differ() -> None:
    assert GRACE_S - NOTED_S - SNAPSHOT_S >= 1200


def test_a_use_protects_and_ends(marker: Path) -> None:
    make_older(marker)
    assert note_use(str(marker))
    assert not taken(marker)
    assert marker.exists()
    make_older(marker, GRACE_S + 60)
    assert taken(marker)
    assert not marker.exists()
    assert not note_use(str(marker))
    assert not taken(marker)


def test_a_young_use_is_not_noted_again(marker: Path) -> None:
    make_older(marker, NOTED_S - 100)
    before = marker.stat().st_mtime_ns
    assert note_use(str(marker))
    assert marker.stat().st_mtime_ns == before
    assert not taken(marker)


@pytest.mark.parametrize("ahead_s, protects", [(300.0, True), (400 * 24 * HOUR_S, False)])
def test_a_time_from_the_future(marker: Path, ahead_s: float, protects: bool) -> None:
    os.utime(marker, (time.time() + ahead_s,) * 2)
    assert taken(marker) is not protects


def test_a_time_from_the_future_is_corrected_by_a_use(marker: Path) -> None:
    os.utime(marker, (time.time() + 400 * 24 * HOUR_S,) * 2)
    assert note_use(str(marker))
    assert abs(marker.stat().st_mtime - time.time()) < 60
    assert not taken(marker)


def test_what_is_not_there_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert not note_use(str(tmp_path / "missing"))
    assert not note_use(str(tmp_path / "file" / "below"))


def test_the_clock_of_a_file_system(tmp_path: Path) -> None:
    assert abs(file_system_time_s(tmp_path / "probe") - time.time()) < 5
    assert list(tmp_path.iterdir()) == []


def test_of_a_user_and_a_remover_at_once_one_gives_way(tmp_path: Path) -> None:
    """Thousands of times both at the same moment: never has a user found what the remover takes."""
    rounds = int(os.environ.get("ENVFORGE_RACE_ROUNDS", "1500"))
    meeting = threading.Barrier(2)
    found: list[bool] = []
    gone: list[bool] = []
    marker = tmp_path / "thing.json"

    def use() -> None:
        for _ in range(rounds):
            meeting.wait()
            found.append(note_use(str(marker)))
            meeting.wait()

    user = threading.Thread(target=use)
    user.start()
    old_s = time.time() - 2 * GRACE_S
    for _ in range(rounds):
        marker.write_text("{}")
        os.utime(marker, (old_s, old_s))
        meeting.wait()
        gone.append(taken(marker))
        meeting.wait()
    user.join()
    both = [number for number in range(rounds) if found[number] and gone[number]]
    assert not both
    assert any(found) or any(gone)


def test_a_tree_goes_with_its_bundles(store: Store, plant: Plant) -> None:
    one, two = plant("one", {"lib/one/a.py": b"1"}), plant("two", {"lib/two/b.py": b"2"})
    bundle = store.ensure_bundle([one, two], SILENT)
    assert {stored.tree.name for stored in list_trees(store)} == {"one", "two"}
    assert [(found.id, found.trees) for found in list_bundles(store)] == [(bundle, {one.id, two.id})]
    now_s = time.time()
    assert not drop_tree(store, one.id, now_s), "it was stored just now"
    let_pass(store.root)
    assert drop_tree(store, one.id, now_s)
    assert not store.tree_path(one.id).exists()
    assert list(list_bundles(store)) == []
    assert list(store.bundles.iterdir()) == []
    assert store.find_tree(two.sha256) == two
    assert not drop_tree(store, one.id, now_s)
    assert list(store.tmp.iterdir()) == list(store.guards.iterdir()) == []


def test_what_was_found_just_now_is_not_dropped(store: Store, plant: Plant) -> None:
    tree = plant("one", {"lib/one/a.py": b"1"})
    bundle = store.ensure_bundle([tree, plant("two", {"lib/two/b.py": b""})], SILENT)
    let_pass(store.root)
    assert store.find_tree(tree.sha256) == tree
    assert store.has_bundle(bundle)
    assert not drop_tree(store, tree.id, time.time())
    assert not drop_bundle(store, bundle, time.time())
    assert store.verify_tree(tree) == []


def test_what_somebody_is_at_is_not_dropped(store: Store, plant: Plant) -> None:
    tree = plant("one", {"lib/one/a.py": b"1"})
    let_pass(store.root)
    with store.guard(tree.id).hold(SILENT, "one"):
        assert not drop_tree(store, tree.id, time.time())
    assert drop_tree(store, tree.id, time.time())


def test_a_bundle_goes_alone(store: Store, plant: Plant) -> None:
    trees = [plant("one", {"lib/one/a.py": b"1"}), plant("two", {"lib/two/b.py": b"2"})]
    bundle = store.ensure_bundle(trees, SILENT)
    let_pass(store.root)
    assert drop_bundle(store, bundle, time.time())
    assert list(store.bundles.iterdir()) == []
    assert all(store.find_tree(tree.sha256) == tree for tree in trees)
    assert store.ensure_bundle(trees, SILENT) == bundle


def test_a_removal_that_was_killed_is_finished_by_the_sweep(store: Store, plant: Plant) -> None:
    trees = [plant("one", {"lib/one/a.py": b"1"}), plant("two", {"lib/two/b.py": b"2"})]
    bundle = store.ensure_bundle(trees, SILENT)
    (store.trees / f"{trees[0].id}.json").rename(store.tmp / "host-0.1.2.abc.withdrawn")
    (store.bundles / f"{bundle}.json").unlink()
    store.sweep()
    assert not store.tree_path(trees[0].id).exists()
    assert not (store.bundles / bundle).exists()
    assert store.find_tree(trees[1].sha256) == trees[1]
