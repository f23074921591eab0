"""Locks of packages that come from no index."""

from __future__ import annotations

import json

import pytest

from envforge.errors import LockError
from envforge.lock.conflict import parse_conflicted
from envforge.lock.consistency import find_faults
from envforge.lock.parse import parse_lock
from envforge.lock.write import format_lock
from envforge.model.lock import Lock
from envforge.model.release import IndexFile
from envforge.model.sources import ArchiveOrigin, FolderMode, FolderOrigin, Origin

from support.locks import index_file, lock_of, pin, resolution

URL = "https://data.example.org/far-1.0-py3-none-any.whl"


def direct(origin: Origin, filename: str = "lib-1.0.tar.gz", url: str = "file:///home/me/lib") -> IndexFile:
    return index_file(filename, index="")._replace(origin=origin, url=url)


def lock() -> Lock:
    here = "file:///home/me/wheels/near 1-1.0-py3-none-any.whl"
    return lock_of(
        resolution(
            "linux-64",
            [
                pin("app", "1.0", ["lib"], file=direct(FolderOrigin("./app", FolderMode.EDITABLE))),
                pin("far", "1.0", file=direct(ArchiveOrigin(URL), "far-1.0-py3-none-any.whl", URL)),
                pin("lib", "1.0", file=direct(FolderOrigin("../lib"))),
                pin("near", "1.0", file=direct(ArchiveOrigin("./near 1.zip", "python"), "near 1.zip", here)),
                pin("notes", "0", file=direct(FolderOrigin("./notes", FolderMode.VIRTUAL))),
                pin("six", "1.17.0"),
            ],
        )
    )


def test_a_lock_is_read_as_it_was_written():
    text = format_lock(lock())
    assert parse_lock(text) == lock()
    assert format_lock(parse_lock(text)) == text
    document = json.loads(text)
    assert document["version"] == 3
    assert {name: package.get("source") for name, package in document["packages"].items()} == {
        "app": {"editable": "./app"},
        "far": {"url": URL},
        "lib": {"folder": "../lib"},
        "near": {"path": "./near 1.zip", "subdirectory": "python"},
        "notes": {"virtual": "./notes"},
        "six": None,
    }
    assert "files" not in document["packages"]["lib"]
    assert document["packages"]["near"]["files"][0]["url"] == "./near%201.zip"
    assert "/home/me" not in text


def test_one_version_from_two_places_is_two_packages():
    both = lock_of(
        resolution("linux-64", [pin("lib", "1.0", file=direct(FolderOrigin("../lib")))]),
        resolution("osx-arm64", [pin("lib", "1.0")]),
    )
    assert set(both.packages) == {"lib@1.0@../lib", "lib@1.0@pypi"}
    assert parse_lock(format_lock(both)) == both


@pytest.mark.parametrize(
    ("name", "changes", "says"),
    [
        ("lib", {"source": {}}, "packages.lib.source: has to name one of git, url"),
        ("lib", {"source": {"folder": "a", "url": "b"}}, "packages.lib.source: has to name one of"),
        ("lib", {"source": {"folder": 1}}, "packages.lib.source.folder: has to be a text"),
        ("lib", {"source": {"folder": "lib"}}, "'lib' is neither an absolute URL nor a path"),
        ("lib", {"index": "pypi"}, "lib comes from index pypi, too"),
        ("far", {"files": []}, "an archive is one file"),
    ],
)
def test_a_damaged_source_is_told(name, changes, says):
    document = json.loads(format_lock(lock()))
    document["packages"][name] |= changes
    with pytest.raises(LockError) as caught:
        parse_lock(json.dumps(document))
    assert any(says in line for line in caught.value.context), caught.value.context


def test_a_folder_has_no_files():
    document = json.loads(format_lock(lock()))
    document["packages"]["lib"]["files"] = document["packages"]["far"]["files"]
    with pytest.raises(LockError) as caught:
        parse_lock(json.dumps(document))
    assert "packages.lib.source: a folder has no files" in caught.value.context


def test_an_older_format_has_no_sources():
    text = format_lock(lock()).replace('"version": 3', '"version": 1')
    with pytest.raises(LockError) as caught:
        parse_lock(text)
    assert "version: has to be 3, since there are direct sources" in caught.value.context


def test_both_sides_of_a_conflict_keep_what_comes_from_folders():
    text = format_lock(lock())
    conflicted = text.replace(
        ' "version": 3\n', '<<<<<<< ours\n "version": 3\n=======\n "version": 3\n>>>>>>> theirs\n'
    )
    assert conflicted != text
    ours, theirs = parse_conflicted(conflicted)
    assert ours == theirs == lock()
    assert find_faults(lock()) == []
