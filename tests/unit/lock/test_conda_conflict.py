"""Locks with conda packages that git merged, or could not: what is kept of both sides."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Mapping

import pytest

from envforge.lock.conflict import parse_conflicted
from envforge.lock.consistency import find_faults
from envforge.lock.parse import has_conflict_markers, parse_lock
from envforge.lock.write import format_lock
from envforge.model.lock import Lock
from envforge.model.resolution import Pin

from support.locks import conda_python, conda_record, lock_of, pin, resolution

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

STYLES = ("merge", "diff3", "zdiff3")
Merge = Callable[..., str]
BASE = {f"lib{number:02}": "1.0" for number in range(0, 30, 2)}
PLATFORMS = ("linux-64", "osx-arm64")


def pins(*names: str) -> list[Pin]:
    return [pin(name, "1.0") for name in sorted({"aa", "mm", "rr", "zz", *names})]


def locked(
    changes: Mapping[str, str | None], inputs: str = "base", *, python: str = "3.12.8", pypi: str = ""
) -> Lock:
    versions = {name: version for name, version in {**BASE, **changes}.items() if version is not None}
    return lock_of(
        *(
            resolution(
                platform,
                pins(pypi) if pypi else pins(),
                conda=[
                    conda_python(python, subdir=platform),
                    *(conda_record(name, each, subdir=platform) for name, each in versions.items()),
                ],
            )
            for platform in PLATFORMS
        ),
        inputs=f"sha256:{inputs}",
    )


def conda_versions(lock: Lock | None, platform: str = "linux-64") -> dict[str, str]:
    assert lock is not None
    target = lock.target_for(platform)
    assert target is not None
    return {record.name: record.version for record in lock.conda_records(target)}


def merged(merge: Merge, ours: Lock, theirs: Lock, style: str = "merge") -> str:
    return merge(format_lock(ours), format_lock(locked({})), format_lock(theirs), style)


@pytest.mark.parametrize("style", STYLES)
def test_two_branches_move_one_package(merge: Merge, style: str):
    text = merged(merge, locked({"lib10": "2"}, "o"), locked({"lib10": "3"}, "t"), style)
    assert has_conflict_markers(text)
    ours, theirs = parse_conflicted(text)
    assert conda_versions(ours) == {**BASE, "python": "3.12.8", "lib10": "2"}
    assert conda_versions(theirs, "osx-arm64") == {**BASE, "python": "3.12.8", "lib10": "3"}


@pytest.mark.parametrize("style", STYLES)
def test_one_branch_moves_python_the_other_its_neighbours(merge: Merge, style: str):
    """Python's version stands in the target too, where git merges it into both sides."""
    ours_before = locked({"pyzz": "1", "pyaa": "1"}, "o")
    text = merged(merge, ours_before, locked({"lib02": "7"}, "t", python="3.13.1"), style)
    ours, theirs = parse_conflicted(text)
    assert conda_versions(ours).items() >= {**BASE, "lib02": "7", "pyzz": "1"}.items()
    assert conda_versions(theirs)["python"] == "3.13.1"
    assert conda_versions(theirs).items() >= {**BASE, "lib02": "7"}.items()


def test_a_side_without_the_python_of_its_packages_still_has_the_packages():
    text = format_lock(locked({}))
    start = text.index('  "linux-64/python-3.12.8-h0_0_cpython.conda": {')
    end = text.index('  "osx-arm64/lib00')
    broken = f"{text[:start]}<<<<<<< HEAD\n=======\n{text[start:end]}>>>>>>> theirs\n{text[end:]}"
    ours, theirs = parse_conflicted(broken)
    assert conda_versions(ours) == BASE
    assert conda_versions(theirs) == {**BASE, "python": "3.12.8"}


def test_one_branch_takes_a_package_from_conda_the_other_from_pypi(merge: Merge):
    """The project would be there twice: the side has it from conda, and remembers PyPI's version."""
    from_conda = lock_of(
        *(
            resolution(
                platform,
                pins(),
                conda=[
                    conda_python(subdir=platform),
                    *(conda_record(name, each, subdir=platform) for name, each in BASE.items()),
                    conda_record("tool", "2.0", subdir=platform, pypi="tool"),
                ],
            )
            for platform in PLATFORMS
        ),
        inputs="sha256:o",
    )
    text = merged(merge, from_conda, locked({}, "t", pypi="tool"))
    for side in parse_conflicted(text):
        assert side is not None
        assert find_faults(side, whole=False) == []
    ours, _ = parse_conflicted(text)
    assert conda_versions(ours)["tool"] == "2.0"
    assert ours is not None
    assert ours.targets[0].groups["project"] == ("aa", "mm", "rr", "zz")
    assert dict(ours.preferences())["tool"] == "1.0"


def test_without_a_conflict_the_merge_is_a_good_lock(merge: Merge):
    text = merged(merge, locked({"lib04": "2"}), locked({"lib26": "3"}))
    assert not has_conflict_markers(text)
    assert parse_lock(text) == locked({"lib04": "2", "lib26": "3"})


@pytest.mark.parametrize("seed", range(12))
def test_whatever_two_branches_do_both_sides_are_kept(merge: Merge, seed: int):
    """A branch's own moves are in its side, unless the other branch moved the same."""
    chance = random.Random(seed)

    def changes() -> dict[str, str | None]:
        names = chance.sample([*BASE, "lib01", "lib07", "new"], 4)
        return {name: chance.choice(["2", "3", "4", None]) for name in names}

    mine, yours = changes(), changes()
    text = merged(
        merge,
        locked(mine, "o"),
        locked(yours, "t", python=chance.choice(["3.12.8", "3.12.9"])),
        chance.choice(STYLES),
    )
    for side, own in zip(parse_conflicted(text), (mine, yours), strict=True):
        found = conda_versions(side)
        for name, version in own.items():
            assert name not in found or version is None or found[name] == version
        untouched = BASE.keys() - mine.keys() - yours.keys()
        assert found.keys() >= untouched
