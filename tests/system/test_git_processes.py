"""The cache of git under many processes, and under kills: one fetches, and what is there is whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.git_repositories import GitHttpServer, GitRepository, git
from support.projects import CHECKOUT

PROCESSES = int(os.environ.get("ENVFORGE_TEST_PROCESSES", "8"))
KILLS = int(os.environ.get("ENVFORGE_TEST_KILLS", "6"))

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are POSIX here")

FETCH = """
import os, sys
from pathlib import Path
from envforge.events import SilentReporter
from envforge.git.cache import GitCache
from envforge.git.checkout import CheckoutOptions, check_out
from envforge.git.fetch import fetch_commit
from envforge.model.git import parse_remote
from envforge.net.settings import NetworkSettings

root, url, commit, out = sys.argv[1:]
cache = GitCache(root=Path(root), network=NetworkSettings(), environ=os.environ, reporter=SilentReporter())
check_out(fetch_commit(parse_remote(url), commit, cache), Path(out), cache, CheckoutOptions())
"""


def start(cache: Path, url: str, commit: str, out: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", FETCH, str(cache), url, commit, str(out)],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), "NO_PROXY": "127.0.0.1"},
        stderr=subprocess.PIPE,
    )


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    repository = GitRepository(tmp_path / "served" / "lib")
    repository.commit({"a.txt": "one", "large.bin": os.urandom(2_000_000)})
    return repository


def test_many_processes_fetch_once(repository: GitRepository, tmp_path: Path) -> None:
    with GitHttpServer(repository.folder.parent) as server:
        url = f"{server.url}/lib/.git"
        running = [
            start(tmp_path / "cache", url, repository.head, tmp_path / f"out{number}")
            for number in range(PROCESSES)
        ]
        for process in running:
            _, said = process.communicate(timeout=120)
            assert process.returncode == 0, said.decode()
        packs = server.requests["/lib/.git/git-upload-pack"]
    # protocol 2 asks for the references, then for the pack
    assert packs <= 2, "more than one has fetched"
    for number in range(PROCESSES):
        assert (tmp_path / f"out{number}" / "a.txt").read_text() == "one"
    assert not list((tmp_path / "cache" / "guards").iterdir())


def test_killed_at_any_moment_the_next_is_right(repository: GitRepository, tmp_path: Path) -> None:
    cache, url = tmp_path / "cache", repository.url
    start_s = time.monotonic()
    with start(tmp_path / "measured", url, repository.head, tmp_path / "first") as process:
        assert process.wait(60) == 0
    took_s = time.monotonic() - start_s
    killed = 0
    for number in range(KILLS):
        commit = repository.commit({"a.txt": str(number), f"{number}.bin": os.urandom(500_000)})
        process = start(cache, url, commit, tmp_path / f"killed{number}")
        time.sleep(took_s * (number + 0.5) / KILLS)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.communicate()
        with start(cache, url, commit, tmp_path / f"next{number}") as again:
            _, said = again.communicate(timeout=60)
        assert again.returncode == 0, said.decode()
        assert (tmp_path / f"next{number}" / "a.txt").read_text() == str(number)
        assert git(tmp_path / f"next{number}", "status", "--porcelain") == ""
    assert killed
