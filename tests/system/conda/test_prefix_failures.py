"""Prefixes that cannot be made: nothing is left, and what is said names package, place and way out."""

from __future__ import annotations

import os
import shutil
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from envforge.errors import ArchiveError, HashError, NetworkError, OfflineError, StoreError
from envforge.struct import replace

from support.conda_archives import make_archive
from support.conda_channel import ChannelServer
from support.prefix_forge import Forge
from support.scripted_server import Answer

pytestmark = pytest.mark.skipif(os.name == "nt", reason="paths and signals of POSIX")
AS_ROOT = os.name != "nt" and os.geteuid() == 0


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    return Forge(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "channel"


@pytest.fixture
def web(folder: Path) -> Iterator[ChannelServer]:
    """Serves the folder, empty so far."""
    with ChannelServer(main=folder) as server:
        yield server


def big_files(count: int = 200) -> dict[str, bytes]:
    return {f"share/big/{number}": os.urandom(20_000) for number in range(count)}


# What the server does


def test_the_archive_is_another_one(forge: Forge, folder: Path, web: ChannelServer) -> None:
    record = make_archive(folder, "a", {"share/a": "a"}, url=web.url)
    says = forge.fails(HashError, replace(record, sha256="0" * 64))
    assert "a 1.0 0 is not the archive that was locked" in says
    assert record.url in says
    assert "0" * 64 in says
    assert forge.make(record)


def test_the_archive_is_corrupt(forge: Forge, folder: Path, web: ChannelServer) -> None:
    record = make_archive(folder, "a", {"share/a": os.urandom(5000)}, url=web.url)
    web.corrupt("*/a-1.0*")
    says = forge.fails((HashError, ArchiveError), record)  # type: ignore[arg-type]
    assert "a 1.0 0" in says
    assert record.url in says
    web.heal()
    assert forge.make(record)


def test_the_connection_breaks(forge: Forge, folder: Path, web: ChannelServer) -> None:
    record = make_archive(folder, "a", {"share/a": os.urandom(50_000)}, url=web.url)
    web.truncate("*/a-1.0*", 1000)
    says = forge.fails(NetworkError, record)
    assert "a 1.0 0 cannot be fetched: the connection broke in the middle of an answer" in says
    assert record.url in says
    web.heal()
    assert forge.make(record)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (404, ["the server answers 404 Not Found", "envforge lock --upgrade"]),
        (503, ["the server answers 503 Service Unavailable", "again later"]),
        (403, ["the server answers 403 Forbidden", "credentials", "netrc"]),
    ],
)
def test_the_server_refuses(
    forge: Forge, folder: Path, web: ChannelServer, status: int, words: list[str]
) -> None:
    good = make_archive(folder, "good", big_files(), url=web.url)
    record = make_archive(folder, "a", {"share/a": "a"}, url=web.url)
    web.on("*/a-1.0*", Answer(status=status))
    says = forge.fails(NetworkError, good, record)
    for word in ["a 1.0 0 cannot be fetched", record.url, *words]:
        assert word in says


def test_a_login_page_is_no_archive(forge: Forge, folder: Path, web: ChannelServer) -> None:
    record = make_archive(folder, "a", {"share/a": "a"}, url=web.url)
    web.on("*/a-1.0*", b"<html>please log in</html>")
    says = forge.fails(ArchiveError, record)
    assert "not the archive of a 1.0 0" in says
    assert "a login page or a proxy" in says


def test_nobody_is_there(forge: Forge, folder: Path) -> None:
    with ChannelServer(main=folder) as web:
        record = make_archive(folder, "a", {"share/a": "a"}, url=web.url)
    says = forge.fails(NetworkError, record, retries=0)
    assert "a 1.0 0 cannot be fetched: nothing answers there (connection refused)" in says


def test_nothing_arrives_any_more(forge: Forge, folder: Path, web: ChannelServer) -> None:
    record = make_archive(folder, "a", {"share/a": "a"}, url=web.url)
    web.on("*/a-1.0*", Answer(wait_s=30))
    says = forge.fails(NetworkError, record, timeout_s=0.5)
    assert "nothing arrives any more" in says


# Who is let in


@pytest.mark.parametrize("where", ["url", "variable", "netrc"])
def test_credentials_are_sent_and_never_shown(
    forge: Forge, folder: Path, web: ChannelServer, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    record = make_archive(folder, "a", {"share/a": "a"}, url=web.url)
    web.password = "me:s3cret"
    forge.channels = [web.url]
    says = forge.fails(NetworkError, record)
    assert "401" in says
    assert "ENVFORGE_CHANNEL_MAIN_TOKEN" in says
    if where == "url":
        forge.channels = [web.url.replace("://", "://me:s3cret@")]
    elif where == "variable":
        login = {"ENVFORGE_CHANNEL_MAIN_USERNAME": "me", "ENVFORGE_CHANNEL_MAIN_PASSWORD": "s3cret"}
        forge.environ = {**os.environ, **login}
    else:
        netrc = folder / "netrc"
        netrc.write_text("machine 127.0.0.1 login me password s3cret\n")
        forge.environ = {**os.environ, "NETRC": str(netrc)}
    prefix = forge.make(record)
    written = [place for place in prefix.path.rglob("*") if place.is_file()]
    secrets = (b"s3cret", b64encode(b"me:s3cret"))
    assert not [place for place in written for secret in secrets if secret in place.read_bytes()]
    assert "s3cret" not in repr(forge.events)


def test_a_token_is_sent_and_never_shown(forge: Forge, folder: Path, web: ChannelServer) -> None:
    record = make_archive(folder, "a", {"share/a": "a"}, url=web.url)
    other = make_archive(folder, "b", {"share/b": "b"}, url=web.url)
    web.token = "tk-s3cret"
    forge.channels = [web.url]
    web.on("*/b-1.0*", Answer(status=404))
    says = forge.fails(NetworkError, other)
    assert "404" in says
    assert "s3cret" not in says
    prefix = forge.make(record)
    written = [place for place in prefix.path.rglob("*") if place.is_file()]
    assert not [place for place in written if b"s3cret" in place.read_bytes()]


def test_another_channel_gets_no_credentials(forge: Forge, folder: Path, web: ChannelServer) -> None:
    with ChannelServer(main=folder) as other:
        record = make_archive(folder, "a", {"share/a": "a"}, url=other.url)
        forge.channels = [web.url.replace("://", "://me:s3cret@")]
        forge.make(record)
        assert [asked.headers.get("authorization") for asked in other.asked] == [None]


# What is in the archive


@pytest.mark.parametrize("path", ["/absolute", "../../outside"])
def test_an_archive_that_would_leave_the_prefix(
    forge: Forge, folder: Path, tmp_path: Path, path: str
) -> None:
    record = make_archive(folder, "evil", {path: "boo", "share/good": "good"})
    forge.fails(ArchiveError, record)
    assert not list(tmp_path.rglob("outside"))


def test_an_archive_of_another_package(forge: Forge, folder: Path) -> None:
    record = make_archive(folder, "a", {"share/a": "a"})
    forge.fails(ArchiveError, replace(record, name="another"))


def test_a_record_that_py_rattler_cannot_read(forge: Forge, folder: Path) -> None:
    record = make_archive(folder, "a", {"share/a": "a"})
    says = forge.fails(ArchiveError, replace(record, version="!!"))
    assert "a !! 0 cannot be installed" in says
    assert "malformed version string" in says


# Where it stands


def test_a_path_that_is_longer_than_any_placeholder(forge: Forge, folder: Path, tmp_path: Path) -> None:
    record = make_archive(folder, "a", {"share/a": "a"})
    forge.folder = tmp_path / ("long" * 60) / "prefixes"
    says = forge.fails(StoreError, record)
    assert "too long" in says
    assert "--tier DIR" in says
    assert not forge.folder.exists()
    assert not forge.cache.exists()


def test_a_path_that_is_longer_than_one_placeholder(forge: Forge, folder: Path) -> None:
    binary = {"lib/short.so": b"\0/short/placeholder/lib\0"}
    record = make_archive(folder, "short", binary, placeholder="/short/placeholder")
    says = forge.fails(StoreError, record)
    assert "the path of the conda prefix is too long for short 1.0 0" in says
    assert "lib/short.so" in says
    assert "--tier DIR" in says


@contextmanager
def tmpfs(place: Path, options: str) -> Iterator[None]:
    """A file system of its own at a place."""
    place.mkdir(parents=True)
    if shutil.which("mount") is None or not AS_ROOT:
        pytest.skip("only root can mount")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=False)
    if mounted.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("which", ["prefix", "cache"])
def test_the_disk_is_full(forge: Forge, folder: Path, which: str) -> None:
    record = make_archive(folder, "big", big_files())
    place = forge.folder if which == "prefix" else forge.cache
    with tmpfs(place, "size=2m"):
        says = forge.fails(StoreError, record)
        doing = "install" if which == "prefix" else "unpack"
        assert f"cannot {doing} big 1.0 0: no space left" in says
        assert f"path: {place}" in says
        assert "free:" in says
        assert not (place / "big-1.0-0").exists()
    assert forge.make(record)


@pytest.mark.parametrize("which", ["prefix", "cache"])
def test_the_disk_is_read_only(forge: Forge, folder: Path, which: str) -> None:
    record = make_archive(folder, "a", {"share/a": "a"})
    place = forge.folder if which == "prefix" else forge.cache
    with tmpfs(place, "size=2m,ro"):
        says = forge.fails(StoreError, record)
        assert "read-only" in says
        assert str(place) in says


@pytest.mark.skipif(AS_ROOT, reason="root may write everywhere")
@pytest.mark.parametrize("which", ["prefix", "cache"])
def test_a_folder_that_one_may_not_write(forge: Forge, folder: Path, which: str) -> None:
    record = make_archive(folder, "a", {"share/a": "a"})
    place = forge.folder if which == "prefix" else forge.cache
    place.mkdir(parents=True)
    place.chmod(0o555)
    try:
        says = forge.fails(StoreError, record)
    finally:
        place.chmod(0o755)
    assert "permission denied" in says or "another user's" in says


def test_a_file_stands_where_the_prefixes_should(forge: Forge, folder: Path) -> None:
    record = make_archive(folder, "a", {"share/a": "a"})
    forge.folder.parent.mkdir(parents=True)
    forge.folder.write_text("")
    forge.fails(StoreError, record)


def test_offline_is_no_way_to_a_broken_network(forge: Forge, folder: Path) -> None:
    with ChannelServer(main=folder) as web:
        record = make_archive(folder, "a", {"share/a": "a"}, url=web.url)
    assert "a 1.0 0 from http://127.0.0.1" in forge.fails(OfflineError, record, offline=True)
