"""Locks that git could not merge, made by git itself."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from envforge.errors import LockError
from envforge.lock.conflict import parse_conflicted
from envforge.lock.consistency import find_faults
from envforge.lock.parse import has_conflict_markers, parse_lock
from envforge.lock.write import format_lock
from envforge.model.lock import Lock
from envforge.struct import replace

from support.locks import PYPI, lock_of, pin, resolution, simple_lock

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

BASE = {f"p{number:02}": "1.0" for number in range(0, 40, 2)}
STYLES = ("merge", "diff3", "zdiff3")
Merge = Callable[..., str]


def locked(
    changes: Mapping[str, str | None], inputs: str = "", platforms: tuple[str, ...] = ("linux-64",)
) -> Lock:
    versions = {name: version for name, version in {**BASE, **changes}.items() if version is not None}
    return simple_lock(versions, platforms, inputs=f"sha256:{inputs or 'base'}")


def merged(merge: Merge, ours: Lock, theirs: Lock, base: Lock, style: str = "merge") -> str:
    return merge(format_lock(ours), format_lock(base), format_lock(theirs), style)


def versions(lock: Lock | None) -> dict[str, str]:
    assert lock is not None
    return dict(lock.preferences())


def conflict_count(text: str) -> int:
    return sum(line.startswith("<<<<<<< ") for line in text.splitlines())


@pytest.mark.parametrize("style", STYLES)
def test_two_branches_add_different_packages(merge: Merge, style: str):
    """Only the digest of the inputs is in conflict: nobody has resolved the two together yet."""
    text = merged(merge, locked({"p05": "5"}, "o"), locked({"p31": "6"}, "t"), locked({}), style)
    assert conflict_count(text) == 1
    assert has_conflict_markers(text)
    ours, theirs = parse_conflicted(text)
    both = {**BASE, "p05": "5", "p31": "6"}
    assert versions(ours) == versions(theirs) == both
    assert ours is not None and theirs is not None
    assert (ours.inputs, theirs.inputs) == ("sha256:o", "sha256:t")
    assert set(ours.targets[0].groups["project"]) == both.keys()


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("pair", [("p05", "p05x"), ("p41", "p42"), ("a1", "a2")])
def test_neighbours_conflict_and_both_are_kept(merge: Merge, style: str, pair: tuple[str, str]):
    """In the middle, at the end and at the start, where a comma moves."""
    first, second = pair
    text = merged(merge, locked({first: "5"}, "o"), locked({second: "6"}, "t"), locked({}), style)
    ours, theirs = parse_conflicted(text)
    assert versions(ours)[first] == "5"
    assert versions(theirs)[second] == "6"
    assert versions(ours).keys() >= BASE.keys() <= versions(theirs).keys()


@pytest.mark.parametrize("style", STYLES)
def test_two_branches_move_one_package(merge: Merge, style: str):
    text = merged(merge, locked({"p10": "2"}, "o"), locked({"p10": "3"}, "t"), locked({}), style)
    ours, theirs = parse_conflicted(text)
    assert versions(ours) == {**BASE, "p10": "2"}
    assert versions(theirs) == {**BASE, "p10": "3"}


@pytest.mark.parametrize("style", STYLES)
def test_one_branch_removes_what_the_other_moves(merge: Merge, style: str):
    text = merged(merge, locked({"p10": None}, "o"), locked({"p10": "3"}, "t"), locked({}), style)
    ours, theirs = parse_conflicted(text)
    assert "p10" not in versions(ours)
    assert versions(theirs)["p10"] == "3"


@pytest.mark.parametrize("style", STYLES)
def test_one_branch_adds_a_platform_the_other_a_package(merge: Merge, style: str):
    wide = locked({}, "o", ("linux-64", "win-64"))
    text = merged(merge, wide, locked({"p05": "5"}, "t"), locked({}), style)
    ours, theirs = parse_conflicted(text)
    assert ours is not None and [target.id for target in ours.targets] == ["linux-64", "win-64"]
    assert versions(theirs)["p05"] == "5"


def test_both_add_a_lock(merge: Merge):
    text = merge(format_lock(locked({}, "o")), "", format_lock(locked({"p05": "5"}, "t")))
    ours, theirs = parse_conflicted(text)
    assert (versions(ours), versions(theirs)) == (BASE, {**BASE, "p05": "5"})


def test_loose_ends_are_left_out_and_the_rest_is_kept():
    """A group may have been merged where the package itself is in a conflict."""
    text = format_lock(locked({}))
    start, end = text.index('  "p10": {'), text.index('  "p12": {')
    broken = f"{text[:start]}<<<<<<< HEAD\n=======\n{text[start:end]}>>>>>>> theirs\n{text[end:]}"
    ours, theirs = parse_conflicted(broken)
    assert ours is not None and find_faults(ours) == []
    assert "p10" not in versions(ours) and "p10" not in ours.targets[0].groups["project"]
    assert len(versions(ours)) == len(BASE) - 1
    assert versions(theirs) == BASE


def test_a_conflict_within_the_common_ancestor():
    """Where branches were merged crosswise, git shows a conflict in the ancestor, with longer markers."""
    lines = format_lock(locked({})).splitlines()
    place = next(number for number, line in enumerate(lines) if '"inputs"' in line)
    lines[place : place + 1] = [
        "<<<<<<< HEAD",
        ' "inputs": "sha256:o",',
        "||||||| merged common ancestors",
        "<<<<<<<<< Temporary merge branch 1",
        ' "inputs": "sha256:x",',
        "||||||||| base",
        ' "inputs": "sha256:y",',
        "=========",
        ' "inputs": "sha256:z",',
        ">>>>>>>>> Temporary merge branch 2",
        "=======",
        ' "inputs": "sha256:t",',
        ">>>>>>> theirs",
    ]
    for end in ("\n", "\r\n"):
        ours, theirs = parse_conflicted(end.join(lines))
        assert ours == replace(locked({}), inputs="sha256:o")
        assert theirs == replace(locked({}), inputs="sha256:t")


def test_a_side_that_is_no_lock_is_none():
    good = format_lock(locked({}))
    assert parse_conflicted(f"<<<<<<< HEAD\n{good}=======\nnonsense\n>>>>>>> theirs\n") == (locked({}), None)
    assert parse_conflicted(f"<<<<<<< HEAD\n=======\n{good}>>>>>>> theirs\n") == (None, locked({}))
    newer = good.replace('"version": 1\n', '"version": 4\n')
    assert parse_conflicted(f"<<<<<<< HEAD\n{newer}=======\n{good}>>>>>>> theirs\n") == (None, locked({}))
    contradictory = format_lock(replace(locked({}), indexes=(PYPI, PYPI)))
    assert parse_conflicted(f"<<<<<<< HEAD\n{contradictory}=======\n[]\n>>>>>>> theirs\n") == (None, None)


@pytest.mark.parametrize("end", ["\x85", "\u2028", "\x1c"])
def test_a_line_end_of_other_worlds_within_a_value(end: str):
    lock = replace(locked({}), inputs=f"a{end}=======")
    text = format_lock(lock)
    assert parse_conflicted(f"<<<<<<< HEAD\n{text}=======\n{text}>>>>>>> theirs\n") == (lock, lock)


def test_a_file_that_is_cut_off_in_a_conflict():
    text = format_lock(locked({}))
    assert parse_conflicted(f"<<<<<<< HEAD\n{text}") == (locked({}), None)


def test_different_additions_rarely_conflict(merge: Merge):
    """Of 25 pairs of branches that each add three packages to 175, on four platforms.

    The digest always is in conflict. Beyond it, only what stands side by side is.
    """
    chance = random.Random(7)
    platforms = ("linux-64", "linux-aarch64", "osx-arm64", "win-64")
    names = [f"n{number:03}" for number in range(175)]
    base = dict.fromkeys(names, "1.0")
    base_text = format_lock(simple_lock(base, platforms))
    clean = 0
    for _ in range(25):
        added = [{f"{chance.choice(names)}{side}": "1.0" for _ in range(3)} for side in "ot"]
        texts = [
            format_lock(simple_lock({**base, **extra}, platforms, inputs=f"sha256:{side}"))
            for extra, side in zip(added, "ot", strict=True)
        ]
        text = merge(texts[0], base_text, texts[1])
        clean += conflict_count(text) == 1
        ours, theirs = parse_conflicted(text)
        assert versions(ours).keys() >= {*base, *added[0]}
        assert versions(theirs).keys() >= {*base, *added[1]}
    assert clean >= 20


@pytest.mark.parametrize("style", STYLES)
def test_a_real_merge_in_a_repository(tmp_path: Path, style: str):
    environment = {
        **os.environ,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        **{
            f"GIT_{who}_{what}": "x@example.org"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        },
    }

    def git(*arguments: str) -> int:
        done = subprocess.run(
            ["git", *arguments], cwd=tmp_path, env=environment, capture_output=True, check=False
        )
        return done.returncode

    def commit(lock: Lock) -> None:
        path.write_text(format_lock(lock), encoding="utf-8")
        assert git("add", ".") == 0
        assert git("commit", "-qm", "lock") == 0

    path = tmp_path / "envforge.lock"
    assert git("init", "-q") == 0
    commit(locked({}))
    assert git("checkout", "-qb", "theirs") == 0
    commit(locked({"p05": "5", "p20": "2"}, "t"))
    assert git("checkout", "-q", "-") == 0
    commit(locked({"p31": "6", "p20": "3"}, "o"))
    assert git("-c", f"merge.conflictStyle={style}", "merge", "-q", "theirs") == 1
    text = path.read_text(encoding="utf-8")
    ours, theirs = parse_conflicted(text)
    assert versions(ours) == {**BASE, "p31": "6", "p05": "5", "p20": "3"}
    assert versions(theirs) == {**BASE, "p31": "6", "p05": "5", "p20": "2"}


def test_without_a_conflict_the_merge_is_a_good_lock(merge: Merge):
    """Two branches that upgrade different packages have the same inputs, and merge without a conflict."""
    text = merged(merge, locked({"p04": "2"}), locked({"p30": "3"}), locked({}))
    assert not has_conflict_markers(text)
    assert parse_lock(text) == locked({"p04": "2", "p30": "3"})


def test_what_git_made_of_two_halves_is_left_out(merge: Merge):
    """One branch splits a package by target, the other upgrades it. Git sees lines, and no conflict."""
    platforms = ("linux-64", "osx-arm64")
    base = simple_lock(BASE, platforms)
    pins = [pin(name, version) for name, version in BASE.items() if name != "p10"]
    split = lock_of(
        resolution("linux-64", [*pins, pin("p10", "2")]), resolution("osx-arm64", [*pins, pin("p10", "1.0")])
    )
    upgraded = simple_lock({**BASE, "p10": "3"}, platforms)
    text = merged(merge, split, upgraded, base)
    assert not has_conflict_markers(text)
    with pytest.raises(LockError) as caught:
        parse_lock(text)
    assert caught.value.context == ("packages.p10@1.0: its id has to be p10 or p10@3",)
    side, _ = parse_conflicted(text)
    assert side is not None
    assert side.packages.keys() == {*BASE, "p10@2"} - {"p10"}
    assert "p10@1.0" not in side.targets[1].groups["project"]
