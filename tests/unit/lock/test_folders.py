"""Channels that are folders: a lock says what the manifest says, whoever made it."""

from __future__ import annotations

import pytest

from envforge.lock.folders import with_folders_named, with_folders_placed
from envforge.lock.parse import parse_lock
from envforge.lock.write import format_lock
from envforge.model.lock import Lock

from support.locks import CONDA_FORGE, conda_python, conda_record, lock_of, resolution, simple_lock

HERE = "file:///home/me/my%20project/channel"
FOLDERS = {"./channel": HERE}


def used_lock(channel: str = HERE, *, twice: bool = False) -> Lock:
    """As a resolution gives it: the manifest's channels, and records with absolute URLs."""
    records = [
        conda_python(),
        conda_record("tool", "1.0", ["python"], channel=channel),
        conda_record("data", "1", channel=channel, subdir="noarch", noarch="generic"),
    ]
    resolutions = [resolution("linux-64", [], conda=records)]
    if twice:
        mac = conda_record("data", "1", subdir="noarch", noarch="generic")
        resolutions.append(resolution("osx-arm64", [], conda=[conda_python(subdir="osx-arm64"), mac]))
    return lock_of(*resolutions, channels=["./channel", CONDA_FORGE])


@pytest.mark.parametrize("twice", [False, True], ids=["ids are names", "ids are URLs"])
def test_there_and_back(twice: bool):
    used = used_lock(twice=twice)
    text = format_lock(with_folders_named(used, FOLDERS))
    assert "file://" not in text
    assert "./channel/linux-64/tool-1.0-h0_0.conda" in text
    assert with_folders_placed(parse_lock(text), FOLDERS) == used


def test_the_text_is_the_same_wherever_the_project_is():
    texts = {
        format_lock(with_folders_named(used_lock(place, twice=True), {"./channel": place}))
        for place in (HERE, "file:///C:/p/channel", "file:///p/channel")
    }
    assert len(texts) == 1


def test_another_folder_that_begins_alike_stays():
    used = used_lock(f"{HERE}-2")
    assert with_folders_named(used, FOLDERS) == used


def test_without_folders_nothing_is_made_anew():
    lock = simple_lock({"six": "1.17.0"})
    assert with_folders_placed(lock, {}) is lock
    assert with_folders_named(lock, FOLDERS) is lock
