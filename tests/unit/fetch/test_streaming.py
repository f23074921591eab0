"""Archives that are unpacked while they arrive: whatever servers do, the right tree is there or none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from envforge.errors import ArchiveError, HashError, NetworkError
from envforge.events import DownloadFinished, DownloadProgressed, DownloadStarted, Event
from envforge.fetch import delivery as delivery_module
from envforge.fetch import sources as sources_module
from envforge.fetch.fetch import fetch_trees
from envforge.fetch.request import FetchRequest
from envforge.model.tree import Tree
from envforge.net import transfer as transfer_module
from envforge.net.settings import NetworkSettings
from envforge.store.layout import tree_id
from envforge.store.sealing import remove_sealed
from envforge.store.store import Store

from support.archive_server import ArchiveServer, Behaviour
from support.wheels import RawEntry, raw_wheel, wheel_bytes, wheel_files, zip_bytes

SETTINGS = NetworkSettings(retries=2, connections=4, timeout_s=5)
NAME = "demo-1.0-py3-none-any.whl"
FILES = {
    "demo/__init__.py": b"x = 1\n",
    "demo/noise": os.urandom(700_000),
    "demo/zeros": bytes(3_000_000),
    **{f"demo/sub/{number}.py": b"y" * number for number in range(200)},
}
WHEEL = wheel_bytes(files=FILES)


def another_wheel() -> bytes:
    """One of the same length, which depends on how well RECORD can be compressed."""
    while True:
        other = wheel_bytes(files={**FILES, "demo/noise": os.urandom(700_000)})
        if len(other) == len(WHEEL):
            return other


OTHER = another_wheel()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small archives are large ones here, and arrive in many pieces."""
    monkeypatch.setattr(transfer_module, "_FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(transfer_module, "PIECE_BYTES", 10_007)
    monkeypatch.setattr(transfer_module, "_PROGRESS_BYTES", 20_000)
    monkeypatch.setattr(delivery_module, "SMALL_BYTES", 1000)
    monkeypatch.setattr(sources_module, "_LOOK_BYTES", 4096)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


class Site:
    """A server with one wheel, and a store."""

    def __init__(self, server: ArchiveServer, folder: Path) -> None:
        self.server = server
        self.store = Store(folder / "tier")
        self.archives = folder / "archives"
        self.events: list[Event] = []

    def report(self, event: Event) -> None:
        self.events.append(event)

    def fetch(
        self,
        behaviour: Behaviour,
        *,
        locked: bytes = WHEEL,
        path: str = f"/{NAME}",
        size_known: bool = True,
        keep: bool = False,
    ) -> Tree:
        self.server.files.setdefault(f"/{NAME}", behaviour)
        request = FetchRequest(
            name="demo",
            version="1.0",
            url=self.server.url + path,
            sha256=sha256(locked).hexdigest(),
            size_bytes=len(locked) if size_known else None,
        )
        return fetch_trees([request], self.store, SETTINGS, self, archives=self.archives, keep=keep)[
            request.sha256
        ]

    def check_tree(self, tree: Tree) -> None:
        assert self.store.verify_tree(tree) == []
        place = self.store.tree_path(tree.id) / "lib"
        assert {name: (place / name).read_bytes() for name in FILES} == FILES
        self.check_clean()

    def check_clean(self) -> None:
        """Nothing of the work is left."""
        folders = [self.store.tmp, self.store.guards, self.archives]
        assert [path for folder in folders if folder.is_dir() for path in folder.iterdir()] == []

    def check_nothing_visible(self) -> None:
        self.check_clean()
        assert list(self.store.trees.glob("*")) == []

    @property
    def asked(self) -> tuple[int, int]:
        """How often the file was asked for, and how often a part of it was looked at."""
        ranges = [asked for _, asked in self.server.requests]
        looks = sum(bool(asked) and not asked.endswith("-") for asked in ranges)
        return len(ranges) - looks, looks


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with ArchiveServer() as server:
        yield Site(server, tmp_path)
    remove_sealed(tmp_path / "tier")


@pytest.mark.parametrize("size_known", [True, False])
def test_a_large_wheel_is_received_once(site: Site, size_known: bool) -> None:
    site.check_tree(site.fetch(Behaviour(body=WHEEL), size_known=size_known))
    downloads, looks = site.asked
    assert downloads == 1
    assert 1 <= looks <= 4
    progress = sum(e.received_bytes for e in site.events if isinstance(e, DownloadProgressed))
    assert progress == len(WHEEL)
    assert sum(isinstance(event, DownloadStarted) for event in site.events) == 1
    assert sum(isinstance(event, DownloadFinished) for event in site.events) == 1


def test_a_small_wheel_needs_no_look(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery_module, "SMALL_BYTES", len(WHEEL))
    site.check_tree(site.fetch(Behaviour(body=WHEEL)))
    assert site.asked == (1, 0)


def test_the_archive_is_not_on_disk_meanwhile(site: Site) -> None:
    class Watching(Site):
        largest = 0

        def report(self, event: Event) -> None:
            found = [path.stat().st_size for path in self.archives.glob("*.whl*")]
            self.largest = max([self.largest, *found])

    watching = Watching(site.server, site.archives.parent)
    watching.check_tree(watching.fetch(Behaviour(body=WHEEL)))
    assert watching.largest == 0


@pytest.mark.parametrize("etag", ["", '"one"'])
def test_what_breaks_off_goes_on(site: Site, etag: str) -> None:
    behaviour = Behaviour(body=WHEEL, cut_after=[200_000, 250_000, 100, None], etag=etag)
    site.check_tree(site.fetch(behaviour))
    starts = [asked for _, asked in site.server.requests if asked.endswith("-")]
    assert len(starts) == 3
    assert [int(asked[len("bytes=") : -1]) > 100_000 for asked in starts] == [True] * 3


def test_an_error_of_the_server_in_the_middle(site: Site) -> None:
    behaviour = Behaviour(body=WHEEL, cut_after=[300_000, None])

    class Failing(Site):
        def report(self, event: Event) -> None:
            self.events.append(event)
            if len(self.events) == 20:  # somewhere in the first answer, after all looks
                behaviour.statuses = [503]

    failing = Failing(site.server, site.archives.parent)
    failing.check_tree(failing.fetch(behaviour))
    assert failing.asked[0] == 3


def test_a_server_that_breaks_off_again_and_again(site: Site) -> None:
    with pytest.raises(NetworkError, match="cannot be downloaded"):
        site.fetch(Behaviour(body=WHEEL, cut_after=[1_000] * 40))
    site.check_nothing_visible()


@pytest.mark.parametrize("options", [{"ranges": False}, {"looks": False}])
def test_a_server_without_ranges(site: Site, options: dict[str, bool]) -> None:
    """The archive goes to disk first."""
    site.check_tree(site.fetch(Behaviour(body=WHEEL, **options)))


def test_a_server_without_ranges_that_breaks_off(site: Site) -> None:
    behaviour = Behaviour(body=WHEEL, ranges=False, cut_after=[None, None, 300_000, 200_000, None])
    site.check_tree(site.fetch(behaviour))


def test_a_redirect(site: Site) -> None:
    site.server.files["/start/" + NAME] = Behaviour(redirect=f"{site.server.url}/{NAME}")
    site.check_tree(site.fetch(Behaviour(body=WHEEL), path=f"/start/{NAME}"))


def test_a_slow_server(site: Site) -> None:
    site.check_tree(site.fetch(Behaviour(body=WHEEL, pause_s=0.02)))


def test_a_server_that_says_no_length(site: Site) -> None:
    site.check_tree(site.fetch(Behaviour(body=WHEEL, length=False)))
    assert site.asked[0] == 1


def test_no_length_at_all(site: Site) -> None:
    site.check_tree(site.fetch(Behaviour(body=WHEEL, length=False), size_known=False))


def test_a_coded_body(site: Site) -> None:
    import gzip

    behaviour = Behaviour(body=gzip.compress(WHEEL), headers={"Content-Encoding": "gzip"}, ranges=False)
    site.check_tree(site.fetch(behaviour))


@pytest.mark.parametrize("size_known", [True, False])
@pytest.mark.parametrize(
    "body",
    [
        OTHER,
        WHEEL[:-200_000] + bytes(200_000),
        bytes(50_000) + WHEEL[50_000:],
        WHEEL[:400_000],
        WHEEL + b"x",
        b"<html>" * 40_000,
    ],
)
def test_another_file(site: Site, body: bytes, size_known: bool) -> None:
    """A good wheel, or one that is damaged: it is not the locked one, and nothing of it is seen."""
    with pytest.raises(HashError, match="not the file that was locked"):
        site.fetch(Behaviour(body=body), size_known=size_known)
    site.check_nothing_visible()


@pytest.mark.parametrize("keep", [True, False])
def test_a_look_at_another_file(site: Site, keep: bool) -> None:
    """The directory was another archive's: the locked one is had from disk."""
    tree = site.fetch(Behaviour(body=WHEEL, look_body=OTHER), keep=keep)
    assert site.store.verify_tree(tree) == []
    assert (site.store.tree_path(tree.id) / "lib/demo/noise").read_bytes() == FILES["demo/noise"]


def test_a_look_that_would_hide_a_file(site: Site) -> None:
    """A directory that differs only in names and modes fits the data; it is noticed all the same."""
    hidden = zip_bytes(wheel_files(files=FILES), {"demo/noise": 0o755})
    assert len(hidden) == len(WHEEL)
    tree = site.fetch(Behaviour(body=WHEEL, look_body=hidden))
    files = {file.path: file.executable for file in site.store.tree_files(tree.id)}
    assert files["lib/demo/noise"] is False


def test_the_right_look_and_another_file(site: Site) -> None:
    with pytest.raises(HashError):
        site.fetch(Behaviour(body=OTHER, look_body=WHEEL))
    site.check_nothing_visible()


def test_the_file_changes_in_the_middle(site: Site) -> None:
    behaviour = Behaviour(body=OTHER, look_body=WHEEL, cut_after=[300_000, None, None], etag='"old"')

    class Changing(Site):
        def report(self, event: Event) -> None:
            if len(behaviour.cut_after) == 2:
                behaviour.body, behaviour.etag = WHEEL, '"new"'

    changing = Changing(site.server, site.archives.parent)
    changing.check_tree(changing.fetch(behaviour))


NOISE = os.urandom(100_000)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (raw_wheel(RawEntry(name=b"demo/x", data=NOISE)), "RECORD does not list"),
        (raw_wheel(RawEntry(name=b"../x", data=NOISE)), "'..' as part of its name"),
        (raw_wheel(RawEntry(name=b"demo/__init__.py", data=NOISE)), "two entries have one name"),
        (zip_bytes(wheel_files(files={"a": NOISE}, record="a,sha256=AAAA,100000\n")), "RECORD"),
        (WHEEL[: len(WHEEL) // 2], "no zip archive"),
        (NOISE, "no zip archive"),
        (wheel_bytes("other", files={"a": NOISE}), "other"),
    ],
)  # fmt: skip
def test_the_locked_archive_itself_is_bad(site: Site, content: bytes, words: str) -> None:
    """All of it is received to see whose fault it is: the archive's."""
    with pytest.raises(ArchiveError, match=words) as caught:
        site.fetch(Behaviour(body=content), locked=content)
    assert not isinstance(caught.value, HashError)
    site.check_nothing_visible()


def bad_crc() -> bytes:
    """A wheel of which a file in the middle is damaged, locked like this."""
    whole = bytearray(zip_bytes(wheel_files(files={"demo/first": NOISE, "demo/noise": NOISE})))
    at = whole.index(NOISE[:64], whole.index(NOISE[:64]) + 1)
    whole[at + 50_000] ^= 1
    return bytes(whole)


def test_a_file_with_the_wrong_checksum(site: Site) -> None:
    content = bad_crc()
    with pytest.raises(ArchiveError, match=r"CRC-32|inflated|wrong length") as caught:
        site.fetch(Behaviour(body=content), locked=content)
    assert caught.value.context == ("entry: 'demo/noise'",)
    site.check_nothing_visible()


def test_half_an_archive_of_an_earlier_run(site: Site) -> None:
    site.archives.mkdir()
    identity = tree_id(sha256(WHEEL).hexdigest())
    part = site.archives / f"{identity}.whl.part"
    part.write_bytes(WHEEL[:300_000])
    site.check_tree(site.fetch(Behaviour(body=WHEEL)))
    assert ("/" + NAME, "bytes=300000-") in site.server.requests
    assert site.asked[0] == 1


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("left", [OTHER[:300_000], OTHER, OTHER + b"x", WHEEL, b""])
def test_something_of_an_earlier_run(site: Site, left: bytes, keep: bool) -> None:
    site.archives.mkdir()
    identity = tree_id(sha256(WHEEL).hexdigest())
    part = site.archives / f"{identity}.whl.part"
    part.write_bytes(left)
    tree = site.fetch(Behaviour(body=WHEEL), keep=keep)
    assert site.store.verify_tree(tree) == []
    assert [path.name for path in site.archives.iterdir()] == [f"{identity}.whl"] * keep
