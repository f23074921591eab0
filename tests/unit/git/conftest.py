"""A cache for commits, and a repository to fetch from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from envforge.events import Event
from envforge.git.cache import GitCache
from envforge.net.settings import NetworkSettings

from support.git_repositories import GitRepository


class Listener:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def report(self, event: Event) -> None:
        self.events.append(event)


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def cache(tmp_path: Path, listener: Listener) -> GitCache:
    home = tmp_path / "home"
    home.mkdir()
    environ = {"PATH": os.environ["PATH"], "HOME": str(home)}
    settings = NetworkSettings(timeout_s=5, retries=0)
    return GitCache(root=tmp_path / "cache" / "git", network=settings, environ=environ, reporter=listener)


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    repository = GitRepository(tmp_path / "served" / "lib")
    repository.commit({"a.txt": "one"})
    return repository
