"""What a user is told about a changed lock."""

from __future__ import annotations

from dataclasses import replace

from envforge.lock.diff import LockDiff, diff_locks, format_diff

from support.locks import lock_of, pin, resolution, simple_lock

BOTH = ("linux-64", "osx-arm64")


def lines(diff: LockDiff) -> list[str]:
    return list(format_diff(diff))


def test_the_same_lock_has_no_difference():
    lock = simple_lock({"numpy": "2.5.0"})
    assert not diff_locks(lock, lock)
    assert lines(diff_locks(lock, lock)) == []


def test_what_only_the_digest_tells_is_no_difference():
    assert not diff_locks(
        simple_lock({"a": "1"}, inputs="sha256:1"), simple_lock({"a": "1"}, inputs="sha256:2")
    )


def test_a_first_lock_adds_everything():
    diff = diff_locks(None, simple_lock({"torch": "2.15.0", "numpy": "2.5.0"}))
    assert diff
    assert lines(diff) == [
        "+ numpy 2.5.0",
        "+ torch 2.15.0",
        "+ target linux-64 · Python 3.12",
        "+ target osx-arm64 · Python 3.12",
    ]


def test_added_removed_and_changed_by_name():
    old = simple_lock({"numpy": "2.4.0", "x": "1.0", "same": "1"})
    new = simple_lock({"numpy": "2.5.5", "torch": "2.15.0", "same": "1"})
    assert lines(diff_locks(old, new)) == ["~ numpy 2.4.0 → 2.5.5", "+ torch 2.15.0", "- x 1.0"]


def test_a_change_on_one_platform_says_so():
    old = simple_lock({"numpy": "2.4.0"}, BOTH)
    new = lock_of(
        resolution("linux-64", [pin("numpy", "2.5.5")]), resolution("osx-arm64", [pin("numpy", "2.4.0")])
    )
    assert lines(diff_locks(old, new)) == ["~ numpy 2.4.0 → 2.5.5 (linux-64 only)"]
    assert lines(diff_locks(new, old)) == ["~ numpy 2.5.5 → 2.4.0 (linux-64 only)"]


def test_a_package_that_comes_on_one_platform_only():
    old = lock_of(resolution("linux-64", [pin("a", "1")]), resolution("osx-arm64", []))
    new = lock_of(resolution("linux-64", [pin("a", "1")]), resolution("osx-arm64", [pin("a", "1")]))
    assert lines(diff_locks(old, new)) == ["+ a 1 (osx-arm64 only)"]
    assert lines(diff_locks(new, old)) == ["- a 1 (osx-arm64 only)"]


def test_where_only_one_platform_has_it_nothing_needs_to_be_said():
    def lock(version: str):
        return lock_of(resolution("linux-64", [pin("triton", version)]), resolution("osx-arm64", []))

    assert lines(diff_locks(lock("3.5"), lock("3.6"))) == ["~ triton 3.5 → 3.6"]


def test_different_versions_after():
    old = simple_lock({"a": "1"}, ("linux-64", "osx-arm64", "win-64"))
    new = lock_of(
        resolution("linux-64", [pin("a", "2")]),
        resolution("osx-arm64", [pin("a", "3")]),
        resolution("win-64", [pin("a", "1")]),
    )
    assert lines(diff_locks(old, new)) == ["~ a 1 → 2, 3 (linux-64, osx-arm64 only)"]


def test_a_new_platform_shows_only_what_it_brings():
    old = simple_lock({"numpy": "2.5.0", "torch": "2.15.0"}, ("linux-64",))
    new = lock_of(
        resolution("linux-64", [pin("numpy", "2.5.0"), pin("torch", "2.15.0")]),
        resolution("win-64", [pin("numpy", "2.5.0"), pin("torch", "2.14.0"), pin("pywin32", "311")]),
    )
    assert lines(diff_locks(old, new)) == [
        "+ pywin32 311",
        "+ torch 2.14.0 (win-64 only)",
        "+ target win-64 · Python 3.12",
    ]
    assert lines(diff_locks(new, old)) == [
        "- pywin32 311",
        "- torch 2.14.0 (win-64 only)",
        "- target win-64 · Python 3.12",
    ]


def test_another_python():
    old = simple_lock({"a": "1"}, BOTH, python="3.12")
    new = simple_lock({"a": "1"}, BOTH, python="3.13")
    diff = diff_locks(old, new)
    assert diff
    assert diff.targets_added == ("linux-64 · Python 3.13", "osx-arm64 · Python 3.13")
    assert diff.targets_removed == ("linux-64 · Python 3.12", "osx-arm64 · Python 3.12")
    assert lines(diff) == [
        "~ target linux-64 · Python 3.12 → 3.13",
        "~ target osx-arm64 · Python 3.12 → 3.13",
    ]


def test_groups_count_as_they_are_installed():
    """What no group reaches any more is gone, even if its entry is still there."""
    old = simple_lock({"a": "1", "b": "1"}, ("linux-64",))
    target = old.targets[0]
    new = replace(old, targets=(replace(target, groups={"project": ("a",)}),))
    assert lines(diff_locks(old, new)) == ["- b 1"]
