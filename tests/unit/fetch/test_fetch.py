"""Locked wheels become trees: in parallel, once, and all or nothing."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from hashlib import sha256
from pathlib import Path

import pytest

from envforge.errors import ArchiveError, EnvforgeError, HashError, NetworkError, OfflineError, StoreError
from envforge.events import DownloadStarted, Event, FetchPlanned, TreeStored, WaitingForOwner
from envforge.fetch import crew as crew_module
from envforge.fetch import pace as pace_module
from envforge.fetch.fetch import fetch_trees
from envforge.fetch.request import FetchRequest
from envforge.net import transfer as transfer_module
from envforge.net.settings import NetworkSettings
from envforge.store.layout import tree_id
from envforge.store.sealing import remove_sealed
from envforge.store.store import Store

from support.archive_server import ArchiveServer
from support.wheels import wheel_bytes
from support.workers import use_workers

SETTINGS = NetworkSettings(retries=2, connections=4, timeout_s=5)


class Notes:
    def __init__(self, react: Callable[[Event], None] = lambda event: None) -> None:
        self.events: list[Event] = []
        self.react = react

    def report(self, event: Event) -> None:
        self.events.append(event)
        self.react(event)


@pytest.fixture(autouse=True, params=["in threads", "in workers"])
def ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "in workers":
        use_workers(monkeypatch)
    monkeypatch.setattr(transfer_module, "_FIRST_PAUSE_S", 0.001)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def server() -> Iterator[ArchiveServer]:
    with ArchiveServer() as running:
        yield running


class Site:
    """A server with wheels, a store, and a folder for archives."""

    def __init__(self, server: ArchiveServer, folder: Path) -> None:
        self.server = server
        self.store = Store(folder / "tier")
        self.archives = folder / "archives"

    def offer(self, name: str, content: bytes | None = None, **behaviour: object) -> FetchRequest:
        return self.server.offer(name, wheel_bytes(name) if content is None else content, **behaviour)

    def fetch(
        self, *requests: FetchRequest, notes: Notes | None = None, settings: NetworkSettings = SETTINGS
    ):
        return fetch_trees(requests, self.store, settings, notes or Notes(), archives=self.archives)

    def is_clean(self) -> bool:
        """Nothing of the work is left."""
        folders = [self.store.tmp, self.store.guards, self.archives]
        return not [path for folder in folders if folder.is_dir() for path in folder.iterdir()]


@pytest.fixture
def site(server: ArchiveServer, tmp_path: Path) -> Iterator[Site]:
    yield Site(server, tmp_path)
    remove_sealed(tmp_path / "tier")


def test_many_wheels(site: Site) -> None:
    requests = [site.offer(f"demo{number}") for number in range(20)]
    notes = Notes()
    trees = site.fetch(*requests, *requests[:3], notes=notes)
    assert {tree.sha256: tree.name for tree in trees.values()} == {r.sha256: r.name for r in requests}
    assert set(trees) == {request.sha256 for request in requests}
    assert all(site.store.verify_tree(tree) == [] for tree in trees.values())
    assert all(site.store.find_tree(request.sha256) for request in requests)
    total = sum(request.size_bytes or 0 for request in requests)
    assert notes.events[0] == FetchPlanned(file_count=20, size_bytes=total)
    assert sum(isinstance(event, TreeStored) for event in notes.events) == 20
    assert len(site.server.requests) == 20
    assert site.is_clean()


def test_what_is_there_costs_nothing(site: Site) -> None:
    request = site.offer("demo")
    site.fetch(request)
    site.server.requests.clear()
    notes = Notes()
    assert site.fetch(request, notes=notes)[request.sha256].name == "demo"
    assert site.fetch(request, settings=NetworkSettings(offline=True))
    assert site.fetch() == {}
    assert site.server.requests == notes.events == []


def test_the_largest_come_first(site: Site) -> None:
    requests = [
        site.offer(f"demo{number}", wheel_bytes(f"demo{number}", files={"x": os.urandom(number * 5_000)}))
        for number in range(12)
    ]
    site.fetch(*requests, settings=NetworkSettings(connections=1))
    order = [int(path[len("/demo") :].partition("-")[0]) for path, _ in site.server.requests]
    # one connection, but a few threads that want it: the order is not strict
    assert min(order[:3]) > max(order[-3:])


class InHand:
    """Watches how many large archives are begun and not yet stored."""

    def __init__(self) -> None:
        self.most = 0
        self.stored: list[str] = []
        self._now = 0
        self._lock = threading.Lock()

    def report(self, event: Event) -> None:
        if isinstance(event, (DownloadStarted, TreeStored)) and event.filename.startswith("large"):
            with self._lock:
                self._now += 1 if isinstance(event, DownloadStarted) else -1
                self.most = max(self.most, self._now)
        if isinstance(event, TreeStored):
            self.stored.append(event.filename)


@pytest.fixture
def slow_ones(site: Site, monkeypatch: pytest.MonkeyPatch) -> list[FetchRequest]:
    """Eight large archives on a slow line, and four small ones."""
    monkeypatch.setattr(crew_module, "SMALL_BYTES", 100_000)
    monkeypatch.setattr(crew_module, "count_processors", lambda: 1)
    content = os.urandom(200_000)
    return [
        *(
            site.offer(f"large{n}", wheel_bytes(f"large{n}", files={"x": content}), pause_s=0.05)
            for n in range(8)
        ),
        *(site.offer(f"small{n}") for n in range(4)),
    ]


def test_few_large_archives_at_a_time_while_the_processors_are_busy(
    site: Site, slow_ones: list[FetchRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace_module, "_BUSY", 0.0)
    watch = InHand()
    settings = NetworkSettings(connections=8)
    fetch_trees(slow_ones, site.store, settings, watch, archives=site.archives)
    assert watch.most == 2
    assert len(watch.stored) == 12
    assert all(name.startswith("small") for name in watch.stored[:4]), "these do not wait for the large ones"


def test_more_of_them_while_the_processors_are_idle(
    site: Site, slow_ones: list[FetchRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace_module, "_LOOK_S", 0.01)
    monkeypatch.setattr(crew_module, "_LOOK_S", 0.01)
    monkeypatch.setattr(pace_module, "_BUSY", 100.0)
    watch = InHand()
    settings = NetworkSettings(connections=8)
    fetch_trees(slow_ones, site.store, settings, watch, archives=site.archives)
    assert watch.most > 4
    assert len(watch.stored) == 12


def test_file_urls(site: Site, tmp_path: Path) -> None:
    content = wheel_bytes()
    place = tmp_path / "with space & ü" / "demo-1.0-py3-none-any.whl"
    place.parent.mkdir()
    place.write_bytes(content)
    request = FetchRequest(name="demo", version="1.0", url=place.as_uri(), sha256=sha256(content).hexdigest())
    assert request.filename == place.name
    trees = site.fetch(request, settings=NetworkSettings(offline=True))
    assert site.store.verify_tree(trees[request.sha256]) == []
    assert place.read_bytes() == content
    assert site.is_clean()


def test_a_file_url_with_another_file(site: Site, tmp_path: Path) -> None:
    place = tmp_path / "demo-1.0-py3-none-any.whl"
    request = FetchRequest(name="demo", version="1.0", url=place.as_uri(), sha256="00" * 32)
    with pytest.raises(ArchiveError, match="cannot be read") as caught:
        site.fetch(request)
    assert caught.value.context == (f"path: {place}",)
    place.write_bytes(b"x")
    with pytest.raises(HashError, match="not the file that was locked"):
        site.fetch(request)
    assert place.exists()
    assert site.is_clean()


def test_a_half_finished_download_is_used(site: Site) -> None:
    content = wheel_bytes(files={"demo/x": os.urandom(300_000)})
    request = site.offer("demo", content)
    site.archives.mkdir()
    (site.archives / f"{tree_id(request.sha256)}.whl.part").write_bytes(content[:200_000])
    site.fetch(request)
    assert [asked for _, asked in site.server.requests] == ["bytes=200000-"]
    assert site.is_clean()


def test_offline_names_what_is_missing(site: Site) -> None:
    requests = [site.offer(f"demo{number}") for number in range(8)]
    site.fetch(requests[0])
    site.server.requests.clear()
    with pytest.raises(OfflineError, match="7 of the packages") as caught:
        site.fetch(*requests, settings=NetworkSettings(offline=True))
    assert caught.value.context == (*(f"demo{number} 1.0" for number in range(1, 6)), "and 2 more")
    assert caught.value.hints
    assert site.server.requests == []


@pytest.mark.parametrize(
    ("url", "error", "words"),
    [
        ("ftp://host/demo-1.0-py3-none-any.whl", NetworkError, "of a kind"),
        ("demo-1.0-py3-none-any.whl", NetworkError, "of a kind"),
        ("https://host/demo-1.0.tar.gz", ArchiveError, "no wheel"),
    ],
)
def test_what_cannot_be_fetched_is_refused_at_once(
    site: Site, url: str, error: type[EnvforgeError], words: str
) -> None:
    good = site.offer("good")
    bad = FetchRequest(name="demo", version="1.0", url=url, sha256="00" * 32)
    with pytest.raises(error, match=words):
        site.fetch(good, bad)
    assert site.server.requests == []


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        ({"statuses": [404]}, NetworkError),
        ({"statuses": [500] * 9}, NetworkError),
        ({"content": b"no wheel"}, ArchiveError),
        ({"content": wheel_bytes("other")}, ArchiveError),
        ({"content": wheel_bytes(files={"../evil": b""})}, ArchiveError),
    ],
)
def test_the_first_error_ends_it(site: Site, behaviour: dict, error: type[EnvforgeError]) -> None:
    good = [site.offer(f"good{number}") for number in range(5)]
    options = deepcopy(behaviour)  # the server takes away what it has answered
    bad = site.offer("bad", options.pop("content", None), **options)
    with pytest.raises(error, match=r"^bad-"):
        site.fetch(*good, bad)
    assert site.store.find_tree(bad.sha256) is None
    assert list(site.store.tmp.iterdir()) == list(site.store.guards.iterdir()) == []
    assert not list(site.archives.glob("*.guard"))
    trees = site.fetch(*good)
    assert all(site.store.verify_tree(tree) == [] for tree in trees.values())


def test_the_server_gives_another_file(site: Site) -> None:
    request = site.offer("demo")
    body = bytearray(site.server.files["/demo-1.0-py3-none-any.whl"].body)
    body[40] ^= 1
    site.server.files["/demo-1.0-py3-none-any.whl"].body = bytes(body)
    with pytest.raises(HashError):
        site.fetch(request)
    assert site.is_clean()


def test_what_else_failed_is_told(site: Site) -> None:
    barrier = threading.Barrier(2)

    class Late(Notes):
        """Both wheels are downloaded before either is unpacked, so both fail."""

        def report(self, event: Event) -> None:
            super().report(event)
            if type(event).__name__ == "DownloadFinished":
                barrier.wait(5)

    first, second = site.offer("first", b"no zip"), site.offer("second", b"no zip either")
    with pytest.raises(ArchiveError) as caught:
        site.fetch(first, second, notes=Late())
    shown = " ".join([caught.value.message, *caught.value.context])
    assert "first-1.0" in shown or "second-1.0" in shown
    # the other one was stopped, or it failed as well and is named
    others = [line for line in caught.value.context if line.startswith("also failed: ")]
    assert len(others) <= 1


def test_ctrl_c_stops_everything_soon(site: Site) -> None:
    """KeyboardInterrupt in the main thread while slow downloads run."""
    requests = [
        site.offer(
            f"slow{number}", wheel_bytes(f"slow{number}", files={"x": os.urandom(2_000_000)}), pause_s=0.2
        )
        for number in range(6)
    ]
    import _thread

    interrupted_s: list[float] = []

    def press_ctrl_c(event: Event) -> None:
        if isinstance(event, DownloadStarted) and not interrupted_s:
            interrupted_s.append(time.monotonic())
            _thread.interrupt_main()

    with pytest.raises(KeyboardInterrupt):
        site.fetch(*requests, notes=Notes(press_ctrl_c))
    assert time.monotonic() - interrupted_s[0] < 4
    assert not any(site.store.find_tree(request.sha256) for request in requests)
    end = time.monotonic() + 10
    while list(site.store.guards.iterdir()) and time.monotonic() < end:
        time.sleep(0.05)
    assert list(site.store.guards.iterdir()) == []


def test_another_process_is_waited_for_at_the_end(site: Site) -> None:
    """What somebody else is at comes last; its tree is then simply there."""
    held, free = site.offer("held"), site.offer("free")
    notes = Notes()
    done: list[object] = []
    with site.store.guard(tree_id(held.sha256)).try_hold() as mine:
        assert mine
        thread = threading.Thread(target=lambda: done.append(site.fetch(held, free, notes=notes)))
        thread.start()
        end = time.monotonic() + 10
        while (
            not any(isinstance(event, WaitingForOwner) for event in notes.events) and time.monotonic() < end
        ):
            time.sleep(0.01)
        assert not done
    thread.join()
    assert len(done[0]) == 2  # type: ignore[arg-type]
    assert site.is_clean()


def test_threads_of_one_process_fetch_once(site: Site) -> None:
    requests = [site.offer(f"demo{number}") for number in range(4)]
    results: list[int] = []
    threads = [threading.Thread(target=lambda: results.append(len(site.fetch(*requests)))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [4] * 5
    assert len(site.server.requests) == 4
    assert site.is_clean()


def test_two_stores_that_share_the_archives(site: Site, tmp_path: Path) -> None:
    request = site.offer("demo", wheel_bytes(files={"demo/x": os.urandom(500_000)}), pause_s=0.02)
    other = Site(site.server, tmp_path)
    other.store = Store(tmp_path / "other")
    threads = [threading.Thread(target=place.fetch, args=(request,)) for place in (site, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for place in (site, other):
        tree = place.store.find_tree(request.sha256)
        assert tree is not None
        assert place.store.verify_tree(tree) == []
        assert place.is_clean()
    remove_sealed(tmp_path / "other")


@pytest.mark.parametrize("where", ["tier", "archives"])
def test_a_place_that_cannot_be_written(site: Site, tmp_path: Path, where: str) -> None:
    (tmp_path / where).write_text("a file where a folder should be")
    with pytest.raises(StoreError) as caught:
        site.fetch(site.offer("demo"))
    assert str(tmp_path / where) in caught.value.context[0]
    assert caught.value.hints


def test_more_threads_than_work_leave_none_behind(site: Site) -> None:
    before = threading.active_count()
    site.fetch(site.offer("demo"))
    end = time.monotonic() + 5
    while threading.active_count() > before + 1 and time.monotonic() < end:
        time.sleep(0.01)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("fetch", "heartbeat"))]
