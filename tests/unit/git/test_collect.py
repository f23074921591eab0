"""Commits taken out of the cache, and what the killed leave."""

from __future__ import annotations

import os
import time
from pathlib import Path

from envforge.git.cache import GitCache, find_commit
from envforge.git.collect import drop_commit, list_commits, sweep_commits
from envforge.git.fetch import fetch_commit
from envforge.model.git import parse_remote

from support.git_repositories import GitRepository


def test_what_is_there_and_what_goes(repository: GitRepository, cache: GitCache) -> None:
    assert list(list_commits(cache.root)) == []
    remote = parse_remote(repository.url)
    kept = fetch_commit(remote, repository.head, cache)
    [listed] = list_commits(cache.root)
    assert listed.url == repository.url
    assert listed.label == f"{repository.url} at {repository.head[:12]}"
    assert listed.size_bytes > 0
    now_s = time.time()
    assert not drop_commit(cache.root, listed.name, now_s), "it was used just now"
    assert find_commit(remote, repository.head, cache) == kept
    assert drop_commit(cache.root, listed.name, now_s + 7200)
    assert find_commit(remote, repository.head, cache) is None
    assert not kept.repository.exists()
    assert fetch_commit(remote, repository.head, cache) == kept


def test_what_the_killed_leave_is_swept(repository: GitRepository, cache: GitCache) -> None:
    remote = parse_remote(repository.url)
    kept = fetch_commit(remote, repository.head, cache)
    folder = cache.folder(remote)
    host = next(place for place in [os.uname().nodename])
    aside = folder / f"{host}-00000000.999999999.1.aaaa.new"
    aside.mkdir()
    os.utime(aside, (0, 0))
    (folder / f"{'1' * 40}.git").mkdir()
    assert sweep_commits(cache.root) == 2
    assert sorted(place.name for place in folder.iterdir()) == [
        f"{kept.commit}.git",
        f"{kept.commit}.json",
    ]
    assert sweep_commits(cache.root) == 0
    assert sweep_commits(Path("/nowhere/at/all")) == 0
