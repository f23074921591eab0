"""Processes that take archives off a fetch: what they do is the same, and how they end is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from envforge.errors import ArchiveError, HostError
from envforge.events import DownloadFinished, DownloadProgressed, DownloadStarted, Event, TreeStored
from envforge.fetch import crew as crew_module
from envforge.fetch import pace as pace_module
from envforge.fetch import workers as workers_module
from envforge.fetch.fetch import fetch_trees
from envforge.fetch.request import FetchRequest
from envforge.model.tree import Tree
from envforge.net.settings import NetworkSettings
from envforge.store.sealing import remove_sealed
from envforge.store.store import Store
from envforge.struct import replace

from support.archive_server import ArchiveServer
from support.wheels import wheel_bytes
from support.workers import use_workers

SETTINGS = NetworkSettings(retries=1, connections=4, timeout_s=5)


class Site:
    """A server with wheels, and a store."""

    def __init__(self, server: ArchiveServer, folder: Path) -> None:
        self.server = server
        self.store = Store(folder / "tier")
        self.archives = folder / "archives"
        self.events: list[Event] = []
        self.react: Callable[[Event], None] = lambda event: None

    def report(self, event: Event) -> None:
        self.events.append(event)
        self.react(event)

    def offer(self, name: str, size_bytes: int = 300_000, **behaviour: object) -> FetchRequest:
        content = wheel_bytes(name, files={f"{name}/noise": os.urandom(size_bytes)})
        return self.server.offer(name, content, **behaviour)

    def fetch(self, *requests: FetchRequest) -> dict[str, Tree]:
        found = fetch_trees(requests, self.store, SETTINGS, self, archives=self.archives)
        assert all(self.store.verify_tree(tree) == [] for tree in found.values())
        return found

    def is_clean(self) -> bool:
        """Nothing of the work is left."""
        folders = [self.store.tmp, self.store.guards, self.archives]
        return not [path for folder in folders if folder.is_dir() for path in folder.iterdir()]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    use_workers(monkeypatch)
    with ArchiveServer() as server:
        yield Site(server, tmp_path)
    remove_sealed(tmp_path)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """The processes of all workers."""
    found: list[subprocess.Popen[bytes]] = []
    start = workers_module._start

    def note() -> subprocess.Popen[bytes]:
        found.append(start())
        return found[-1]

    monkeypatch.setattr(workers_module, "_start", note)
    return found


def test_what_happens_in_them_is_told(site: Site, started: list[subprocess.Popen[bytes]]) -> None:
    requests = [site.offer(f"demo{number}", 1_000_000) for number in range(5)]
    trees = site.fetch(*requests)
    assert set(trees) == {request.sha256 for request in requests}
    for request in requests:
        told = [event for event in site.events if getattr(event, "filename", "") == request.filename]
        assert isinstance(told[0], DownloadStarted)
        assert [type(event) for event in told[-2:]] == [DownloadFinished, TreeStored]
        received = sum(event.received_bytes for event in told if isinstance(event, DownloadProgressed))
        assert received == request.size_bytes
    assert 0 < len(started) <= crew_module.count_processors() + 1
    assert all(process.returncode == 0 for process in started)
    assert site.is_clean()


def test_progress_is_told_while_it_goes_on(site: Site) -> None:
    request = site.offer("slow", 2_000_000, pause_s=0.03)
    times: list[float] = []
    site.react = lambda event: (
        times.append(time.monotonic()) if isinstance(event, DownloadProgressed) else None
    )
    site.fetch(request)
    assert len(times) >= 4
    assert times[-1] - times[0] > 0.3


def test_there_is_none_for_little(
    site: Site, started: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = [site.offer(f"demo{number}") for number in range(3)]
    monkeypatch.setattr(crew_module, "_WORTH_WORKERS_BYTES", 10_000_000)
    assert len(site.fetch(*requests)) == 3
    assert started == []


def test_many_processors_do_not_start_one_each(
    site: Site, started: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew_module, "count_processors", lambda: 64)
    monkeypatch.setattr(crew_module, "_MOST_WORKERS", 2)
    requests = [site.offer(f"demo{number}", 300_000, pause_s=0.1) for number in range(4)]
    assert len(site.fetch(*requests)) == 4
    assert len(started) == 2, "threads do the others"


def test_one_that_is_killed_is_an_error_that_says_so(
    site: Site, started: list[subprocess.Popen[bytes]]
) -> None:
    request = site.offer("demo", 2_000_000, pause_s=0.05)

    def kill(event: Event) -> None:
        if isinstance(event, DownloadProgressed):
            started[0].kill()

    site.react = kill
    with pytest.raises(HostError) as caught:
        site.fetch(request)
    assert caught.value.message == f"the process that unpacked {request.filename} ended with signal 9"
    assert "memory" in caught.value.hints[0]
    assert site.store.find_tree(request.sha256) is None
    site.react = lambda event: None
    assert site.fetch(request), "the dead one's guards are taken over"
    site.store.sweep()
    assert list(site.store.tmp.iterdir()) == []


def test_one_that_stands_still_is_killed_when_the_fetch_ends(
    site: Site, started: list[subprocess.Popen[bytes]]
) -> None:
    slow = site.offer("slow", 2_000_000, pause_s=0.05)
    is_stopped = threading.Event()
    before = time.monotonic()

    def stop_all(event: Event) -> None:
        if isinstance(event, DownloadProgressed) and event.filename == slow.filename:
            for process in started:
                process.send_signal(signal.SIGSTOP)
            threading.Timer(0.1, is_stopped.set).start()

    site.react = stop_all

    def check() -> None:
        if is_stopped.is_set():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_trees([slow], site.store, SETTINGS, site, archives=site.archives, check=check)
    assert time.monotonic() - before < 8
    assert [process.returncode for process in started] == [-signal.SIGKILL]


def test_errors_are_the_same(site: Site) -> None:
    content = wheel_bytes("evil", files={"../evil": b""})
    request = site.offer("evil")
    site.server.files["/evil-1.0-py3-none-any.whl"].body = content
    request = FetchRequest(name="evil", version="1.0", url=request.url, sha256=sha256(content).hexdigest())
    with pytest.raises(ArchiveError) as caught:
        site.fetch(request)
    assert caught.value.message.startswith("evil-1.0-py3-none-any.whl is refused: ")
    assert caught.value.context == ("entry: '../evil'",)
    assert caught.value.hints


def test_a_bug_keeps_its_traceback(site: Site) -> None:
    request = site.offer("demo")
    broken = replace(request, version=None)
    with pytest.raises(RuntimeError) as caught:
        site.fetch(broken)
    assert "Traceback (most recent call last)" in str(caught.value)
    assert "unpack.py" in str(caught.value)


@pytest.mark.parametrize("python", ["/nonexistent/python", "/bin/false", "", None])
def test_an_interpreter_that_cannot_start_another(
    site: Site, python: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", python)
    requests = [site.offer(f"demo{number}") for number in range(4)]
    assert len(site.fetch(*requests)) == 4
    assert site.is_clean()


def test_one_that_talks_nonsense_is_done_without(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    nonsense = "import time; print('hello', flush=True); time.sleep(60)"
    monkeypatch.setattr(
        workers_module, "child_command", lambda *_, **__: [sys.executable, "-I", "-c", nonsense]
    )
    before = time.monotonic()
    assert site.fetch(site.offer("demo"))
    assert time.monotonic() - before < 5


def test_their_time_counts_from_the_start(
    site: Site, started: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the processors would look idle, and more archives would be begun."""
    spent: list[float] = []
    crew_spent = crew_module.Crew._spent_s

    def note(crew: crew_module.Crew) -> float:
        spent.append(crew_spent(crew) - time.process_time())
        return spent[-1] + time.process_time()

    monkeypatch.setattr(crew_module.Crew, "_spent_s", note)
    monkeypatch.setattr(pace_module, "_LOOK_S", 0.0)
    monkeypatch.setattr(crew_module, "_LOOK_S", 0.01)
    requests = [site.offer(f"demo{number}", 2_000_000, pause_s=0.02) for number in range(6)]
    settings = replace(SETTINGS, connections=2)
    fetch_trees(requests, site.store, settings, site, archives=site.archives)
    assert max(spent) > 0.1


def test_what_lies_in_the_current_folder_is_not_imported(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("json", "pickle", "signal", "urllib3", "msgspec"):
        (folder / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nraise SystemExit(3)\n")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    assert site.fetch(site.offer("demo"))
    assert not (tmp_path / "ran").exists()


def test_credentials_reach_the_server_and_no_command_line(
    site: Site, started: list[subprocess.Popen[bytes]]
) -> None:
    request = site.offer("demo", password="user:secret4711", pause_s=0.05)
    own = request.url.replace("http://", "http://user:secret4711@")
    commands: list[bytes] = []
    site.react = lambda event: commands.extend(
        Path(f"/proc/{process.pid}/cmdline").read_bytes() for process in started if process.poll() is None
    )
    assert site.fetch(replace(request, url=own))
    if Path("/proc/self/cmdline").exists():
        assert commands
    assert not any(b"secret4711" in command for command in commands)
