"""Packages from git in a lock: written, read back, and refused where they cannot be meant."""

from __future__ import annotations

import json

import pytest

from envforge.errors import LockError
from envforge.lock.diff import diff_locks, format_diff
from envforge.lock.parse import parse_lock
from envforge.lock.write import format_lock
from envforge.model.git import DEFAULT_BRANCH, GitReference, ReferenceKind
from envforge.model.lock import Lock
from envforge.model.sources import GitOrigin
from envforge.struct import replace

from support.locks import simple_lock

COMMIT = "12ab" * 10
LOCK = simple_lock({"numpy": "2.5.0", "lib": "1.0"})


def with_origin(origin: GitOrigin) -> Lock:
    lib = replace(LOCK.packages["lib"], index="", files=(), origin=origin)
    return replace(LOCK, packages={**LOCK.packages, "lib": lib})


@pytest.mark.parametrize(
    "origin",
    [
        GitOrigin("https://host/lib", COMMIT),
        GitOrigin("git@host:lib.git", COMMIT, GitReference(ReferenceKind.BRANCH, "main"), "python/lib"),
        GitOrigin("file:///srv/lib", COMMIT, GitReference(ReferenceKind.TAG, "v1"), lfs=True),
        GitOrigin("ssh://git@host/x", COMMIT, GitReference(ReferenceKind.REV, COMMIT), "", False, False),
    ],
)
def test_what_is_written_is_read(origin: GitOrigin) -> None:
    lock = with_origin(origin)
    text = format_lock(lock)
    assert json.loads(text)["version"] == 3
    assert parse_lock(text, "envforge.lock") == lock


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"commit": "main"}, "source.commit: has to be 40 lower-case hexadecimal digits"),
        ({"commit": COMMIT.upper()}, "source.commit: has to be 40"),
        ({"git": "ext::sh -c x"}, "source.git: has characters"),
        ({"git": "https://anne:secret@host/lib"}, "source.git: has credentials"),
        ({"git": "/srv/lib"}, "source.git: is not the address"),
        ({"branch": "--upload-pack=x"}, "cannot be the name of a branch"),
        ({"branch": "a", "tag": "b"}, "source: has to have one of branch, tag"),
        ({"subdirectory": "../../etc"}, "is no folder inside a repository"),
        ({"subdirectory": "/etc"}, "is no folder inside a repository"),
        ({"lfs": "yes"}, "source.lfs: has to be true or false"),
        ({"submodules": 3}, "source.submodules: has to be true or false"),
    ],
)
def test_what_cannot_be_meant(changes: dict[str, object], fault: str) -> None:
    document = json.loads(format_lock(with_origin(GitOrigin("https://host/lib", COMMIT))))
    document["packages"]["lib"]["source"].update(changes)
    with pytest.raises(LockError) as caught:
        parse_lock(json.dumps(document), "envforge.lock")
    told = "\n".join(caught.value.context)
    assert fault in told
    assert "secret" not in told


def test_a_commit_has_no_files() -> None:
    lock = with_origin(GitOrigin("https://host/lib", COMMIT))
    document = json.loads(format_lock(lock))
    document["packages"]["lib"]["files"] = json.loads(format_lock(LOCK))["packages"]["lib"]["files"]
    with pytest.raises(LockError) as caught:
        parse_lock(json.dumps(document), "envforge.lock")
    assert "packages.lib.source: a commit has no files" in caught.value.context[0]


def test_a_commit_that_moves_is_a_change() -> None:
    old = with_origin(GitOrigin("https://host/lib", COMMIT, DEFAULT_BRANCH))
    new = with_origin(GitOrigin("https://host/lib", "cd" * 20, DEFAULT_BRANCH))
    assert list(format_diff(diff_locks(old, new))) == ["~ lib 1.0 (12ab12ab12ab) → 1.0 (cdcdcdcdcdcd)"]
    assert not diff_locks(old, old)
