"""Downloads: whole and verified, or not there; resumed where servers allow it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from envforge.errors import HashError, NetworkError, OfflineError
from envforge.events import DownloadFinished, DownloadProgressed, DownloadStarted, Event
from envforge.net import transfer as transfer_module
from envforge.net.download import download
from envforge.net.pools import ConnectionPools
from envforge.net.settings import NetworkSettings

from support.archive_server import ArchiveServer, Behaviour

BODY = os.urandom(3_500_000)
DIGEST = sha256(BODY).hexdigest()


class Notes:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def report(self, event: Event) -> None:
        self.events.append(event)

    @property
    def progress_bytes(self) -> int:
        return sum(event.received_bytes for event in self.events if isinstance(event, DownloadProgressed))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer_module, "_FIRST_PAUSE_S", 0.001)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("NETRC", "/nonexistent")


@pytest.fixture
def server() -> Iterator[ArchiveServer]:
    with ArchiveServer() as running:
        yield running


@pytest.fixture
def notes() -> Notes:
    return Notes()


Fetch = Callable[..., Path]


@pytest.fixture
def fetch(server: ArchiveServer, tmp_path: Path, notes: Notes) -> Fetch:
    """Serve ``behaviour`` and download it to ``tmp_path/file``."""

    def run(
        behaviour: Behaviour | None = None,
        *,
        digest: str = DIGEST,
        size_bytes: int | None = len(BODY),
        url: str = "",
        retries: int = 3,
        timeout_s: float = 5.0,
        check: Callable[[], None] = lambda: None,
        **options: str,
    ) -> Path:
        if behaviour is not None:
            server.files["/file"] = behaviour
        settings = NetworkSettings(retries=retries, timeout_s=timeout_s)
        with ConnectionPools(settings) as pools:
            download(
                url or f"{server.url}/file",
                tmp_path / "file",
                sha256=digest,
                size_bytes=size_bytes,
                filename="file.whl",
                pools=pools,
                settings=settings,
                reporter=notes,
                check=check,
                **options,
            )
        return tmp_path / "file"

    return run


def nothing_left(folder: Path) -> bool:
    return list(folder.iterdir()) == []


@pytest.mark.parametrize("size_bytes", [len(BODY), None])
@pytest.mark.parametrize("length", [True, False])
def test_a_download(
    fetch: Fetch, server: ArchiveServer, notes: Notes, size_bytes: int | None, length: bool
) -> None:
    assert fetch(Behaviour(body=BODY, length=length), size_bytes=size_bytes).read_bytes() == BODY
    assert [type(event) for event in (notes.events[0], notes.events[-1])] == [
        DownloadStarted,
        DownloadFinished,
    ]
    assert notes.progress_bytes == len(BODY)
    assert server.requests == [("/file", "")]


@pytest.mark.parametrize("body", [b"", b"x", b"x" * (1 << 20)])
def test_small_files(fetch: Fetch, body: bytes) -> None:
    place = fetch(Behaviour(body=body), digest=sha256(body).hexdigest(), size_bytes=None)
    assert place.read_bytes() == body


@pytest.mark.parametrize("etag", ["", '"one"', 'W/"weak"'])
@pytest.mark.parametrize("size_bytes", [len(BODY), None])
def test_a_broken_connection_is_resumed(
    fetch: Fetch, server: ArchiveServer, notes: Notes, etag: str, size_bytes: int | None
) -> None:
    behaviour = Behaviour(body=BODY, cut_after=[1_000_000, 1_500_000, None], etag=etag)
    assert fetch(behaviour, size_bytes=size_bytes).read_bytes() == BODY
    ranges = [asked for _, asked in server.requests]
    assert ranges[0] == ""
    assert len(ranges) == 3
    assert all(0 < int(asked[len("bytes=") : -1]) <= 2_500_000 for asked in ranges[1:])
    assert notes.progress_bytes == len(BODY)


def test_a_server_without_ranges_sends_the_beginning_again(fetch: Fetch, notes: Notes) -> None:
    behaviour = Behaviour(body=BODY, cut_after=[1_200_000, None], ranges=False)
    assert fetch(behaviour).read_bytes() == BODY
    assert notes.progress_bytes == len(BODY)
    # it is compared and left out, not counted twice
    assert all(event.received_bytes > 0 for event in notes.events if isinstance(event, DownloadProgressed))


def test_a_server_without_ranges_that_breaks_off_while_it_repeats(fetch: Fetch, notes: Notes) -> None:
    behaviour = Behaviour(body=BODY, cut_after=[1_200_000, 500_000, None], ranges=False)
    assert fetch(behaviour).read_bytes() == BODY
    assert notes.progress_bytes == len(BODY)


def test_a_server_that_sends_another_range(fetch: Fetch) -> None:
    """It is not asked for a range again, because the file is started anew."""
    behaviour = Behaviour(
        body=BODY, cut_after=[1_200_000], headers={"Content-Range": f"bytes 7-8/{len(BODY)}"}
    )
    assert fetch(behaviour).read_bytes() == BODY


def test_a_server_that_never_sends_the_same(fetch: Fetch, tmp_path: Path, server: ArchiveServer) -> None:
    behaviour = Behaviour(body=BODY, cut_after=[1_000_000] * 40, etag='"0"')

    def check() -> None:
        behaviour.body, behaviour.etag = os.urandom(len(BODY)), f'"{len(server.requests)}"'

    with pytest.raises(NetworkError, match="cannot be downloaded"):
        fetch(behaviour, retries=2, check=check)
    assert not (tmp_path / "file").exists()


def test_a_file_that_changes_between_two_tries(fetch: Fetch, server: ArchiveServer) -> None:
    """The entity tag of the second try is another: If-Range gives the whole new file."""
    behaviour = Behaviour(body=os.urandom(len(BODY)), cut_after=[2_000_000, None], etag='"old"')

    def check() -> None:
        if len(server.requests) == 1 and not behaviour.cut_after[0]:
            behaviour.body, behaviour.etag = BODY, '"new"'

    assert fetch(behaviour, check=check).read_bytes() == BODY


def test_a_part_of_an_earlier_run_is_used(
    fetch: Fetch, server: ArchiveServer, tmp_path: Path, notes: Notes
) -> None:
    (tmp_path / "file.part").write_bytes(BODY[:2_000_000])
    assert fetch(Behaviour(body=BODY)).read_bytes() == BODY
    assert server.requests == [("/file", "bytes=2000000-")]
    assert notes.progress_bytes == len(BODY)


@pytest.mark.parametrize("size_bytes", [len(BODY), None])
def test_a_whole_part_of_an_earlier_run(
    fetch: Fetch, server: ArchiveServer, tmp_path: Path, size_bytes: int | None
) -> None:
    (tmp_path / "file.part").write_bytes(BODY)
    assert fetch(Behaviour(body=BODY), size_bytes=size_bytes).read_bytes() == BODY
    assert server.requests == ([] if size_bytes else [("/file", f"bytes={len(BODY)}-")])


@pytest.mark.parametrize("rest", [os.urandom(1_000_000), os.urandom(len(BODY)), os.urandom(len(BODY) + 5)])
@pytest.mark.parametrize("size_bytes", [len(BODY), None])
def test_a_part_of_another_file_is_thrown_away(
    fetch: Fetch, tmp_path: Path, notes: Notes, rest: bytes, size_bytes: int | None
) -> None:
    (tmp_path / "file.part").write_bytes(rest)
    assert fetch(Behaviour(body=BODY), size_bytes=size_bytes).read_bytes() == BODY
    assert notes.progress_bytes == len(BODY)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_transient_answers_are_tried_again(fetch: Fetch, server: ArchiveServer, status: int) -> None:
    assert fetch(Behaviour(body=BODY, statuses=[status, status])).read_bytes() == BODY
    assert len(server.requests) == 3


def test_the_server_may_ask_for_time(fetch: Fetch) -> None:
    import time

    before = time.monotonic()
    fetch(Behaviour(body=BODY, statuses=[503], headers={"Retry-After": "1"}))
    assert time.monotonic() - before >= 1


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        (400, "connection"),
        (401, "credentials"),
        (403, "credentials"),
        (404, "lock again"),
        (410, "lock again"),
    ],
)
def test_final_answers_are_not(
    fetch: Fetch, server: ArchiveServer, tmp_path: Path, status: int, hint: str
) -> None:
    with pytest.raises(
        NetworkError, match=f"file.whl cannot be downloaded: the server answers {status}"
    ) as caught:
        fetch(Behaviour(body=BODY, statuses=[status] * 9))
    assert hint in caught.value.hints[0]
    assert len(server.requests) == 1
    assert not (tmp_path / "file").exists()


def test_tries_come_to_an_end(fetch: Fetch, server: ArchiveServer, tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="the server answers 500") as caught:
        fetch(Behaviour(body=BODY, statuses=[500] * 9), retries=2)
    assert f"url: {server.url}/file" in caught.value.context
    assert len(server.requests) == 3
    assert not (tmp_path / "file").exists()


def test_progress_gives_new_tries(fetch: Fetch, server: ArchiveServer) -> None:
    behaviour = Behaviour(body=BODY, cut_after=[1_200_000, 1_200_000, 1_000_000, None])
    assert fetch(behaviour, retries=1).read_bytes() == BODY
    assert len(server.requests) == 4


def test_a_connection_that_always_breaks(fetch: Fetch, tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="cannot be downloaded"):
        fetch(Behaviour(body=BODY, cut_after=[10] * 9))
    assert not (tmp_path / "file").exists()
    assert (tmp_path / "file.part").stat().st_size > 0  # the next run goes on from here


def test_nobody_listens(fetch: Fetch) -> None:
    with pytest.raises(NetworkError, match="refused") as caught:
        fetch(url="http://user:secret@127.0.0.1:9/file.whl", retries=1)
    shown = " ".join([caught.value.message, *caught.value.context, *caught.value.hints])
    assert "secret" not in shown
    assert "user" not in shown


def test_a_name_that_does_not_exist(fetch: Fetch) -> None:
    with pytest.raises(NetworkError, match="cannot be downloaded"):
        fetch(url="http://does-not-exist.invalid/file.whl", retries=0)


def test_a_server_that_falls_silent(fetch: Fetch) -> None:
    with pytest.raises(NetworkError, match="cannot be downloaded"):
        fetch(Behaviour(body=BODY, pause_s=5), timeout_s=0.1, retries=1)


@pytest.mark.parametrize("length", [True, False])
@pytest.mark.parametrize(
    ("body", "size_bytes"),
    [
        (os.urandom(len(BODY)), len(BODY)),
        (BODY + b"x", len(BODY)),
        (BODY[:-1], len(BODY)),
        (BODY + b"x", None),
    ],
)
def test_the_wrong_file(
    fetch: Fetch, tmp_path: Path, server: ArchiveServer, body: bytes, size_bytes: int | None, length: bool
) -> None:
    if not length and size_bytes and len(body) < size_bytes:
        return  # a cut connection looks the same
    with pytest.raises(HashError, match="is not the file that was locked") as caught:
        fetch(Behaviour(body=body, length=length), size_bytes=size_bytes)
    expected, got, url = caught.value.context
    assert DIGEST in expected
    assert got.startswith("got: ")
    assert url == f"url: {server.url}/file"
    assert nothing_left(tmp_path)


def test_the_wrong_end_of_the_right_file(fetch: Fetch, tmp_path: Path) -> None:
    """The part of an earlier run was right, the server's file is not: nothing may be left of the mixture."""
    (tmp_path / "file.part").write_bytes(BODY[:1_000_000])
    with pytest.raises(HashError):
        fetch(Behaviour(body=os.urandom(len(BODY))))
    assert nothing_left(tmp_path)


def test_a_coded_body(fetch: Fetch, server: ArchiveServer) -> None:
    """Some servers compress although they are asked not to; the cut file has to start again."""
    import gzip

    coded = gzip.compress(BODY)
    behaviour = Behaviour(
        body=coded, headers={"Content-Encoding": "gzip"}, cut_after=[1_500_000, None], ranges=False
    )
    assert fetch(behaviour).read_bytes() == BODY


def test_a_redirect(fetch: Fetch, server: ArchiveServer) -> None:
    server.files["/real"] = Behaviour(body=BODY)
    assert fetch(Behaviour(redirect=f"{server.url}/real")).read_bytes() == BODY


def test_redirects_in_a_circle(fetch: Fetch, server: ArchiveServer) -> None:
    with pytest.raises(NetworkError, match="cannot be downloaded"):
        fetch(Behaviour(redirect=f"{server.url}/file"), retries=0)


def test_credentials_in_the_url(fetch: Fetch, server: ArchiveServer) -> None:
    behaviour = Behaviour(body=BODY, password="me:s3cr%t")
    url = server.url.replace("//", "//me:s3cr%25t@") + "/file"
    assert fetch(behaviour, url=url).read_bytes() == BODY


def test_credentials_of_the_index(
    fetch: Fetch, server: ArchiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVFORGE_INDEX_PRIVATE_USERNAME", "me")
    monkeypatch.setenv("ENVFORGE_INDEX_PRIVATE_PASSWORD", "secret")
    behaviour = Behaviour(body=BODY, password="me:secret")
    options = {"index_name": "private", "index_url": f"{server.url}/simple/"}
    assert fetch(behaviour, **options).read_bytes() == BODY


def test_credentials_do_not_follow_to_another_host(fetch: Fetch, server: ArchiveServer) -> None:
    with ArchiveServer() as other:
        other.files["/file"] = Behaviour(body=BODY)
        server.files["/start"] = Behaviour(redirect=f"{other.url.replace('127.0.0.1', 'localhost')}/file")
        fetch(url=server.url.replace("//", "//me:secret@") + "/start")
        assert server.authorizations[0].startswith("Basic ")
        assert other.authorizations == [""]


def test_a_proxy_from_the_environment(
    fetch: Fetch, server: ArchiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("http_proxy", server.url.replace("//", "//me:secret@"))
    server.files["http://files.invalid/x.whl"] = Behaviour(body=BODY)
    assert fetch(url="http://files.invalid/x.whl").read_bytes() == BODY
    assert server.requests == [("http://files.invalid/x.whl", "")]


def test_offline(server: ArchiveServer, tmp_path: Path, notes: Notes) -> None:
    settings = NetworkSettings(offline=True)
    with ConnectionPools(settings) as pools, pytest.raises(OfflineError, match=r"file\.whl is not here"):
        download(
            "http://me:secret@127.0.0.1/file",
            tmp_path / "file",
            sha256=DIGEST,
            size_bytes=None,
            filename="file.whl",
            pools=pools,
            settings=settings,
            reporter=notes,
        )
    assert server.requests == []
    assert nothing_left(tmp_path)


def test_it_can_be_stopped_and_goes_on_later(fetch: Fetch, server: ArchiveServer, tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    calls = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise StopError

    with pytest.raises(StopError):
        fetch(Behaviour(body=BODY), check=check)
    assert not (tmp_path / "file").exists()
    assert (tmp_path / "file.part").stat().st_size == 2 << 18
    assert fetch().read_bytes() == BODY
    assert server.requests[-1] == ("/file", f"bytes={2 << 18}-")


def test_a_full_disk_is_the_callers_error(fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        fetch(Behaviour(body=BODY))


def test_connections_are_used_again(server: ArchiveServer, tmp_path: Path, notes: Notes) -> None:
    server.files["/file"] = Behaviour(body=b"x")
    settings = NetworkSettings()
    with ConnectionPools(settings) as pools:
        for number in range(5):
            download(
                f"{server.url}/file",
                tmp_path / str(number),
                sha256=sha256(b"x").hexdigest(),
                size_bytes=1,
                filename="x",
                pools=pools,
                settings=settings,
                reporter=notes,
            )
        [manager] = pools._managers.values()
        pool = manager.connection_from_url(server.url)
        assert (pool.num_connections, pool.num_requests) == (1, 5)
