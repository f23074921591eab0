"""What a user is told about a changed lock."""

from __future__ import annotations

from collections.abc import Sequence

from envforge.lock.diff import LockDiff, diff_locks, format_diff
from envforge.model.conda import CondaRecord
from envforge.model.lock import Lock
from envforge.struct import replace

from support.locks import conda_python, conda_record, lock_of, pin, resolution, simple_lock

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


def with_conda(
    *records: CondaRecord, osx: Sequence[CondaRecord] | None = None, python: str = "3.12.8"
) -> Lock:
    """The records on Linux, and on macOS others or the same."""
    mac = [replace(record, subdir="osx-arm64") for record in (records if osx is None else osx)]
    return lock_of(
        resolution("linux-64", [pin("six", "1")], conda=[conda_python(python), *records]),
        resolution("osx-arm64", [pin("six", "1")], conda=[conda_python(python, subdir="osx-arm64"), *mac]),
    )


FFMPEG = conda_record("ffmpeg", "7.1", build="h1_0")


def test_conda_packages_that_come_and_go():
    diff = diff_locks(with_conda(conda_record("old", "1")), with_conda(FFMPEG))
    assert lines(diff) == ["+ ffmpeg 7.1 (conda)", "- old 1 (conda)"]
    assert diff and not diff.packages


def test_conda_packages_that_move():
    assert lines(diff_locks(with_conda(FFMPEG), with_conda(conda_record("ffmpeg", "8.0")))) == [
        "~ ffmpeg 7.1 → 8.0 (conda)"
    ]


def test_a_build_is_told_where_only_it_moved():
    rebuilt = replace(FFMPEG, build="h2_1")
    assert lines(diff_locks(with_conda(FFMPEG), with_conda(rebuilt))) == [
        "~ ffmpeg 7.1 h1_0 → 7.1 h2_1 (conda)"
    ]
    assert lines(diff_locks(with_conda(FFMPEG), with_conda(rebuilt, osx=[FFMPEG]))) == [
        "~ ffmpeg 7.1 h1_0 → 7.1 h2_1 (conda) (linux-64 only)"
    ]


def test_a_record_that_was_mended_is_no_difference_of_packages():
    assert not diff_locks(with_conda(FFMPEG), with_conda(replace(FFMPEG, depends=("x264",))))


def test_a_project_that_moves_to_conda():
    before = lock_of(resolution("linux-64", [pin("numpy", "2.1.0")], python="3.12.8"))
    after = lock_of(
        resolution("linux-64", [], conda=[conda_python(), conda_record("numpy", "2.1.0", pypi="numpy")])
    )
    assert lines(diff_locks(before, after)) == [
        "- numpy 2.1.0",
        "+ numpy 2.1.0 (conda)",
        "+ python 3.12.8 (conda)",
    ]


def test_pythons_patch_is_told_as_package_and_target():
    assert lines(diff_locks(with_conda(), with_conda(python="3.12.9"))) == [
        "~ python 3.12.8 → 3.12.9 (conda)",
        "~ target linux-64 · Python 3.12.8 → 3.12.9",
        "~ target osx-arm64 · Python 3.12.8 → 3.12.9",
    ]
