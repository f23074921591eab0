"""Archives that stay: taken from their folder without network, verified, fetched again when damaged."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from envforge.errors import ArchiveError, HashError, OfflineError, StoreError
from envforge.events import Event, FetchPlanned, Warned
from envforge.fetch import delivery as delivery_module
from envforge.fetch.archives import archive_path, is_kept, kept_archives, part_path
from envforge.fetch.fetch import fetch_trees
from envforge.fetch.request import FetchRequest
from envforge.model.tree import Tree
from envforge.net import transfer as transfer_module
from envforge.net.settings import NetworkSettings
from envforge.store.layout import tree_id
from envforge.store.sealing import remove_sealed
from envforge.store.store import Store
from envforge.struct import replace

from support.archive_server import ArchiveServer, Behaviour
from support.wheels import wheel_bytes, wheel_files, zip_bytes
from support.workers import use_workers

ONLINE = NetworkSettings(retries=1, connections=4, timeout_s=5)
OFFLINE = NetworkSettings(offline=True)


class Node:
    """A host with a store of its own, and a folder for archives that it shares."""

    def __init__(self, root: Path, archives: Path) -> None:
        self.store = Store(root / "tier")
        self.archives = archives
        self.events: list[Event] = []

    def report(self, event: Event) -> None:
        self.events.append(event)

    def fetch(
        self, *requests: FetchRequest, settings: NetworkSettings = ONLINE, keep: bool = True
    ) -> dict[str, Tree]:
        found = fetch_trees(requests, self.store, settings, self, archives=self.archives, keep=keep)
        assert all(self.store.verify_tree(tree) == [] for tree in found.values())
        return found

    @property
    def warnings(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, Warned)]


class Site:
    def __init__(self, server: ArchiveServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.archives = folder / "archives"

    def node(self, name: str = "node") -> Node:
        return Node(self.folder / name, self.archives)

    def offer(self, name: str = "demo", size_bytes: int = 500_000, **behaviour: object) -> FetchRequest:
        content = wheel_bytes(name, files={f"{name}/noise": os.urandom(size_bytes)})
        return replace(self.server.offer(name, content, **behaviour), size_bytes=None, index="pypi")

    def place(self, request: FetchRequest) -> Path:
        return archive_path(self.archives, tree_id(request.sha256))


@pytest.fixture(autouse=True, params=["small", "large", "in workers"])
def sizes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer_module, "_FIRST_PAUSE_S", 0.001)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    if request.param == "large":
        monkeypatch.setattr(delivery_module, "SMALL_BYTES", 1000)
    if request.param == "in workers":
        use_workers(monkeypatch)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with ArchiveServer() as server:
        yield Site(server, tmp_path)
    remove_sealed(tmp_path)


def test_the_next_node_needs_no_network(site: Site) -> None:
    requests = [site.offer(f"demo{number}") for number in range(6)]
    site.node("first").fetch(*requests)
    assert {archive.tree_id for archive in kept_archives(site.archives)} == {
        tree_id(request.sha256) for request in requests
    }
    for request in requests:
        body = site.server.files[f"/{request.filename}"].body
        assert site.place(request).read_bytes() == body
    site.server.requests.clear()
    second = site.node("second")
    assert len(second.fetch(*requests, settings=OFFLINE)) == 6
    assert site.server.requests == []
    assert second.events[0] == FetchPlanned(file_count=0, size_bytes=0)
    assert sorted(path.suffix for path in site.archives.iterdir()) == [".whl"] * 6


def test_nothing_stays_where_it_is_not_wanted(site: Site) -> None:
    site.node().fetch(site.offer(), keep=False)
    assert list(site.archives.iterdir()) == []


def test_what_is_kept_is_used_and_left_also_where_nothing_new_stays(site: Site) -> None:
    request = site.offer()
    site.node("first").fetch(request)
    site.node("second").fetch(request, keep=False, settings=OFFLINE)
    assert site.place(request).exists()


def test_use_is_noted(site: Site) -> None:
    request = site.offer()
    site.node("first").fetch(request)
    os.utime(site.place(request), (1000, 1000))
    site.node("second").fetch(request, settings=OFFLINE)
    assert kept_archives(site.archives)[0].used_s > 1_000_000


def damage(place: Path, how: str) -> None:
    content = bytearray(place.read_bytes())
    if how == "cut":
        del content[-1000:]
    elif how == "longer":
        content += b"x"
    elif how == "empty":
        content.clear()
    elif how == "flipped":
        content[len(content) // 2] ^= 1
    elif how == "flipped in the directory":
        content[-30] ^= 1
    place.write_bytes(content)


DAMAGES = ["cut", "longer", "empty", "flipped", "flipped in the directory"]


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_one_is_fetched_again(site: Site, how: str) -> None:
    request = site.offer()
    site.node("first").fetch(request)
    whole = site.place(request).read_bytes()
    damage(site.place(request), how)
    second = site.node("second")
    second.fetch(request)
    assert second.warnings == [f"the kept archive of {request.filename} is damaged and is downloaded again"]
    assert site.place(request).read_bytes() == whole
    assert [path.name for path in site.archives.iterdir()] == [site.place(request).name]
    assert list(second.store.tmp.iterdir()) == list(second.store.guards.iterdir()) == []


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_one_without_network(site: Site, how: str) -> None:
    request = site.offer()
    site.node("first").fetch(request)
    damage(site.place(request), how)
    second = site.node("second")
    with pytest.raises(OfflineError, match="is damaged, and the network is forbidden") as caught:
        second.fetch(request, settings=OFFLINE)
    assert caught.value.context == (f"path: {site.place(request)}",)
    assert second.store.find_tree(request.sha256) is None
    assert site.place(request).exists()


def test_offline_names_only_what_is_not_kept(site: Site) -> None:
    kept, other = site.offer("kept"), site.offer("other")
    site.node("first").fetch(kept)
    with pytest.raises(OfflineError, match="1 of the packages") as caught:
        site.node("second").fetch(kept, other, settings=OFFLINE)
    assert caught.value.context == ("other 1.0",)


def test_the_wrong_file_is_not_kept(site: Site) -> None:
    request = site.offer()
    site.server.files[f"/{request.filename}"].body = wheel_bytes(files={"demo/noise": os.urandom(500_000)})
    with pytest.raises(HashError):
        site.node().fetch(request)
    assert list(site.archives.iterdir()) == []


def test_a_bad_archive_is_not_kept(site: Site) -> None:
    content = wheel_bytes("other", files={"a": os.urandom(100_000)})
    site.server.files["/demo-1.0-py3-none-any.whl"] = Behaviour(body=content)
    request = FetchRequest(
        name="demo", version="1.0", url=f"{site.server.url}/demo-1.0-py3-none-any.whl",
        sha256=sha256(content).hexdigest(),
    )  # fmt: skip
    with pytest.raises(ArchiveError, match="other"):
        site.node().fetch(request)
    assert list(site.archives.iterdir()) == []


def lying_wheel() -> bytes:
    """Its RECORD has another digest for one of its files."""
    files = wheel_files(files={"demo/noise": os.urandom(500_000), "demo/told.py": b"told = 1\n"})
    files["demo/told.py"] = b"told = 2\n"
    return zip_bytes(files)


def test_one_with_a_wrong_record_is_not_kept(site: Site) -> None:
    request = site.offer()
    content = lying_wheel()
    site.server.files[f"/{request.filename}"].body = content
    with pytest.raises(ArchiveError, match="not the digest that RECORD says"):
        site.node().fetch(replace(request, sha256=sha256(content).hexdigest()))
    assert list(site.archives.iterdir()) == []


def test_the_record_of_one_that_was_kept_without_unpacking_is_compared(site: Site) -> None:
    """A wheel at a URL is kept while it is locked."""
    content = lying_wheel()
    request = replace(site.offer(), sha256=sha256(content).hexdigest(), index="")
    site.archives.mkdir()
    site.place(request).write_bytes(content)
    with pytest.raises(ArchiveError, match="not the digest that RECORD says"):
        site.node().fetch(request, settings=OFFLINE)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_kept_one_gives_the_same_tree(site: Site, algorithm: str) -> None:
    content = wheel_bytes(files={"demo/noise": os.urandom(500_000)}, algorithm=algorithm)
    request = replace(site.offer(), sha256=sha256(content).hexdigest())
    site.server.files[f"/{request.filename}"].body = content
    first, second = site.node("first"), site.node("second")
    assert first.fetch(request) == second.fetch(request, settings=OFFLINE)
    [one], [other] = ([*node.store.trees.glob("*.files*")] for node in (first, second))
    assert one.read_bytes() == other.read_bytes()


def test_what_broke_off_goes_on_in_the_next_run(site: Site) -> None:
    request = site.offer(cut_after=[300_000] + [0] * 10)
    with pytest.raises(Exception, match="cannot be downloaded"):
        site.node().fetch(request)
    part = part_path(site.archives, tree_id(request.sha256))
    arrived = part.stat().st_size
    assert arrived > 0
    assert kept_archives(site.archives) == []
    site.server.files[f"/{request.filename}"].cut_after = []
    site.server.requests.clear()
    site.node().fetch(request)
    assert (f"/{request.filename}", f"bytes={arrived}-") in site.server.requests
    assert site.place(request).read_bytes() == site.server.files[f"/{request.filename}"].body


def test_many_nodes_at_once_download_once_in_all(site: Site) -> None:
    requests = [site.offer(f"demo{number}", pause_s=0.01) for number in range(4)]
    nodes = [site.node(str(number)) for number in range(6)]
    results: list[int] = []
    threads = [
        threading.Thread(target=lambda node=node: results.append(len(node.fetch(*requests))))
        for node in nodes
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [4] * 6
    downloads = [path for path, asked in site.server.requests if not asked]
    assert sorted(downloads) == sorted(f"/{request.filename}" for request in requests)
    assert sorted(path.suffix for path in site.archives.iterdir()) == [".whl"] * 4


def test_many_nodes_find_one_damaged_archive(site: Site) -> None:
    request = site.offer(pause_s=0.01)
    site.node("first").fetch(request)
    damage(site.place(request), "flipped")
    site.server.requests.clear()
    nodes = [site.node(str(number)) for number in range(5)]
    threads = [threading.Thread(target=node.fetch, args=(request,)) for node in nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(node.store.find_tree(request.sha256) for node in nodes)
    assert len([path for path, asked in site.server.requests if not asked]) == 1


def test_an_archive_that_goes_between_the_look_and_the_opening(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = site.offer()
    site.node("first").fetch(request)

    def go_after(archives: Path, identity: str) -> bool:
        was_kept = is_kept(archives, identity)
        site.place(request).unlink(missing_ok=True)
        return was_kept

    monkeypatch.setattr(delivery_module, "is_kept", go_after)
    assert site.node("second").fetch(request)
    assert site.place(request).exists()


@pytest.mark.skipif(os.getuid() != 0, reason="mounts a small tmpfs")
def test_no_room_for_archives(site: Site) -> None:
    """The environment is more important than what the next one could use."""
    site.archives.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", site.archives]).returncode:
        pytest.skip("may not mount")
    try:
        request = site.offer()
        node = site.node()
        node.fetch(request)
        assert node.warnings == [f"an archive cannot be kept in {site.archives}: No space left on device"]
        assert list(site.archives.iterdir()) == []
    finally:
        subprocess.run(["umount", site.archives], check=True)


def test_a_group_shares_the_folder(site: Site) -> None:
    site.archives.mkdir()
    site.archives.chmod(0o2775)
    before = os.umask(0o077)
    try:
        request = site.offer()
        site.node().fetch(request)
    finally:
        os.umask(before)
    assert site.place(request).stat().st_mode & 0o060 == 0o060


def test_a_folder_that_is_a_file(site: Site) -> None:
    site.archives.write_text("")
    with pytest.raises(StoreError):
        site.node().fetch(site.offer())
