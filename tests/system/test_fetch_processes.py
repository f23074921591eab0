"""Fetching by real processes: many at once, and killed at any moment."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest

import envforge
from envforge.events import SilentReporter
from envforge.fetch.archives import kept_archives, sweep_archives
from envforge.fetch.fetch import fetch_trees
from envforge.fetch.request import FetchRequest
from envforge.net.settings import NetworkSettings
from envforge.store.layout import tree_id
from envforge.store.sealing import remove_sealed
from envforge.store.store import Store

from support.archive_server import ArchiveServer
from support.wheels import wheel_bytes

ROUNDS = 3 * int(os.environ.get("ENVFORGE_TEST_SCALE", "1"))
"""How often a fetch that keeps archives is killed."""

FETCHER = """
import json, sys
from pathlib import Path
from envforge.events import SilentReporter
from envforge.fetch.fetch import fetch_trees
from envforge.fetch.request import FetchRequest
from envforge.net.settings import NetworkSettings
from envforge.store.layout import tree_id
from envforge.store.store import Store
folder = Path(sys.argv[1])
if "workers" in sys.argv:
    from envforge.fetch import crew
    crew.SMALL_BYTES, crew._WORTH_WORKERS_BYTES = -1, 0
requests = [FetchRequest(**fields) for fields in json.loads((folder / "requests.json").read_text())]
trees = fetch_trees(
    requests, Store(folder / "tier"), NetworkSettings(connections=4), SilentReporter(),
    archives=folder / "archives", keep="keep" in sys.argv,
)
print(sorted(tree.name for tree in trees.values()))
"""


class Site:
    def __init__(self, server: ArchiveServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.store = Store(folder / "tier")
        self.requests: list[FetchRequest] = []

    def offer(self, name: str, file_count: int, size_bytes: int, pause_s: float = 0.0) -> None:
        """A wheel of ``file_count`` files with ``size_bytes`` random bytes altogether."""
        each = size_bytes // file_count
        files = {f"{name}/{number % 7}/{number}.py": os.urandom(each) for number in range(file_count)}
        content = wheel_bytes(name, files=files)
        self.requests.append(self.server.offer(name, content, pause_s=pause_s))
        written = [
            {slot: getattr(request, slot) for slot in FetchRequest.__slots__} for request in self.requests
        ]
        (self.folder / "requests.json").write_text(json.dumps(written))

    def start(self, *options: str) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "PYTHONPATH": str(Path(envforge.__file__).parents[1]),
            "NO_PROXY": "127.0.0.1",
            "TEST_FOLDER": str(self.folder),
        }
        return subprocess.Popen(
            [sys.executable, "-c", FETCHER, str(self.folder), *options],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait_for_requests(self, count: int) -> None:
        end = time.monotonic() + 20
        while len(self.server.requests) < count and time.monotonic() < end:
            time.sleep(0.01)

    def processes(self) -> list[str]:
        """The command lines of all processes that work on this store."""
        mark = f"TEST_FOLDER={self.folder}".encode()
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if mark in (place / "environ").read_bytes():
                    found.append((place / "cmdline").read_text())
        return found

    def kill(self, process: subprocess.Popen[str], *, all_end_within_s: float) -> None:
        """Kill a process, and see that none of those that it has started is left after a while."""
        process.send_signal(signal.SIGKILL)
        process.wait()
        end = time.monotonic() + all_end_within_s
        while self.processes() and time.monotonic() < end:
            time.sleep(0.02)
        assert self.processes() == []
        process.communicate()

    def check_visible(self) -> int:
        """Whatever is visible is whole; returns how many trees are."""
        trees = [tree for request in self.requests if (tree := self.store.find_tree(request.sha256))]
        for tree in trees:
            assert self.store.verify_tree(tree) == []
        return len(trees)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with ArchiveServer() as server:
        yield Site(server, tmp_path)
    remove_sealed(tmp_path / "tier")


def test_twenty_processes_do_the_work_once(site: Site) -> None:
    for number in range(3):
        site.offer(f"demo{number}", 50, 400_000, pause_s=0.01)
    processes = [site.start() for _ in range(20)]
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert (process.returncode, out, err) == (0, "['demo0', 'demo1', 'demo2']\n", "")
    assert sorted(path for path, _ in site.server.requests) == sorted(
        f"/{request.name}-1.0-py3-none-any.whl" for request in site.requests
    )
    assert site.check_visible() == 3
    assert list(site.store.tmp.iterdir()) == list(site.store.guards.iterdir()) == []
    assert list((site.folder / "archives").iterdir()) == []


@pytest.mark.parametrize("options", [[], ["workers"]])
def test_killed_at_twenty_moments(site: Site, options: list[str]) -> None:
    """Each process is killed somewhere on its way; the last one finds nothing that is half, and finishes."""
    for number in range(6):
        site.offer(f"demo{number}", 120, 600_000, pause_s=0.005)
    started = time.monotonic()
    process = site.start(*options)
    process.communicate(timeout=120)
    duration_s = time.monotonic() - started
    chance = random.Random(7)
    for round_number in range(20):
        if round_number % 4 == 0:
            remove_sealed(site.folder / "tier")
            site.store = Store(site.folder / "tier")
        process = site.start(*options)
        time.sleep(chance.uniform(0.1, 1.0) * duration_s)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        site.check_visible()
    process = site.start(*options)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert out == "['demo0', 'demo1', 'demo2', 'demo3', 'demo4', 'demo5']\n"
    assert site.check_visible() == 6
    assert site.processes() == []
    site.store.sweep()
    assert list(site.store.tmp.iterdir()) == list(site.store.guards.iterdir()) == []
    names = {path.name.partition(".")[0] for path in site.store.trees.iterdir()}
    assert len(names) == 6
    sweep_archives(site.folder / "archives", site.store)
    assert list((site.folder / "archives").iterdir()) == []


def test_killed_while_archives_are_kept(site: Site) -> None:
    """What had arrived is gone on with; what is kept is whole at every moment."""
    site.offer("large", 100, 4_000_000, pause_s=0.01)
    for number in range(4):
        site.offer(f"demo{number}", 20, 200_000)
    archives = site.folder / "archives"
    digests = {tree_id(request.sha256): request.sha256 for request in site.requests}
    chance = random.Random(11)
    for round_number in range(ROUNDS):
        if round_number % 4 == 0:
            remove_sealed(site.folder / "tier")
            site.store = Store(site.folder / "tier")
        if round_number % 8 == 0:
            remove_sealed(archives)
        process = site.start("keep")
        time.sleep(chance.uniform(0.2, 1.2))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        site.check_visible()
        for archive in kept_archives(archives):
            assert sha256(archive.path.read_bytes()).hexdigest() == digests[archive.tree_id]
    out, err = site.start("keep").communicate(timeout=120)
    assert (out, err) == ("['demo0', 'demo1', 'demo2', 'demo3', 'large']\n", "")
    assert site.check_visible() == 5
    # an archive whose tree was there before its owner could name it is not kept: it can be had again
    remove_sealed(site.folder / "tier")
    site.store = Store(site.folder / "tier")
    out, err = site.start("keep").communicate(timeout=120)
    assert err == ""
    assert [archive.tree_id for archive in kept_archives(archives)] == sorted(digests)
    site.server.requests.clear()
    remove_sealed(site.folder / "tier")
    site.store = Store(site.folder / "tier")
    out, err = site.start("keep").communicate(timeout=120)
    assert err == ""
    assert site.server.requests == []
    assert site.check_visible() == 5
    sweep_archives(archives, site.store)
    assert sorted(path.name for path in archives.iterdir()) == [f"{name}.whl" for name in sorted(digests)]


def test_an_owner_killed_while_others_wait(site: Site) -> None:
    site.offer("demo", 20, 2_000_000, pause_s=0.05)
    owner = site.start()
    site.wait_for_requests(1)
    waiters = [site.start() for _ in range(3)]
    time.sleep(0.5)
    owner.send_signal(signal.SIGKILL)
    owner.communicate()
    for waiter in waiters:
        out, err = waiter.communicate(timeout=60)
        assert (waiter.returncode, out, err) == (0, "['demo']\n", "")
    assert site.check_visible() == 1
    # the one who took over went on where the dead one had stopped, or started again if that was nothing
    assert len(site.server.requests) == 2


def test_workers_do_not_outlive_the_one_who_started_them(site: Site) -> None:
    for number in range(2):
        site.offer(f"demo{number}", 20, 5_000_000, pause_s=0.1)
    process = site.start("workers")
    site.wait_for_requests(2)
    end = time.monotonic() + 20
    while not list(site.folder.glob("tier/tmp/*")) and time.monotonic() < end:
        time.sleep(0.01)
    assert len(site.processes()) == 3
    site.kill(process, all_end_within_s=10)
    assert site.check_visible() == 0
    assert list(site.store.guards.iterdir()) == list(site.store.tmp.iterdir()) == [], "they end in good order"


def test_nor_while_a_server_is_silent(site: Site) -> None:
    for number in range(2):
        site.offer(f"demo{number}", 20, 5_000_000, pause_s=20)
    process = site.start("workers")
    site.wait_for_requests(2)
    site.kill(process, all_end_within_s=5)


@pytest.mark.parametrize("options", [[], ["workers"]])
def test_ctrl_c_at_the_terminal(site: Site, options: list[str]) -> None:
    """The terminal sends it to all processes of the group."""
    site.offer("demo", 20, 5_000_000, pause_s=0.2)
    process = site.start(*options)
    site.wait_for_requests(1)
    before = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert time.monotonic() - before < 5
    assert site.processes() == []
    assert err.rstrip().endswith("KeyboardInterrupt")
    assert process.returncode in (1, -signal.SIGINT)
    assert site.check_visible() == 0


@pytest.mark.skipif(os.getuid() != 0, reason="mounts a small tmpfs")
def test_a_full_disk_then_room(site: Site) -> None:
    tier = site.folder / "tier"
    tier.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", tier]).returncode:
        pytest.skip("may not mount")
    try:
        site.offer("small", 10, 100_000)
        site.offer("large", 10, 5_000_000)
        out, err = site.start().communicate(timeout=60)
        assert out == ""
        assert "StoreError: cannot " in err
        assert "no space left" in err
        assert site.store.find_tree(site.requests[1].sha256) is None
        subprocess.run(["mount", "-o", "remount,size=30m", tier], check=True)
        settings = NetworkSettings()
        assert fetch_trees(
            site.requests, Store(tier), settings, SilentReporter(), archives=site.folder / "archives"
        )
        assert site.check_visible() == 2
        assert list(site.store.tmp.iterdir()) == []
    finally:
        subprocess.run(["umount", tier], check=True)
