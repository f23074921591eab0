"""Channels over HTTP: caches, shards, credentials, servers that fail; server and rattler are real."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from envforge.errors import NetworkError, OfflineError, PackageIndexError
from envforge.index.conda_source import ChannelLocation, CondaChannels
from envforge.model.conda import CondaQuestion
from envforge.net.settings import NetworkSettings

from support.conda_channel import ChannelServer, built_channel, write_channel
from support.projects import MINOR
from support.scripted_server import Answer, ScriptedServer

LINUX = "linux-64"
Open = Callable[..., CondaChannels]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_channel(
        tmp_path / "served",
        [
            {"name": "x", "version": "1.0", "depends": ["y"]},
            {"name": "y", "version": "2.0", "subdir": "noarch"},
        ],
    )


@pytest.fixture
def server(folder: Path) -> Iterator[ChannelServer]:
    with ChannelServer(main=folder) as running:
        running.shards = running.zst = False
        yield running


@pytest.fixture
def open_channels(tmp_path: Path, server: ChannelServer) -> Iterator[Open]:
    """Opens the server's channel, or ``urls``; one cache for all of a test."""
    with ExitStack() as stack:

        def open_all(
            *urls: str, environ: dict[str, str] | None = None, cache: str = "cache", **settings: Any
        ) -> CondaChannels:
            locations = [
                ChannelLocation(name=f"c{number}", url=url) for number, url in enumerate(urls or [server.url])
            ]
            network = NetworkSettings(**{"retries": 0, "timeout_s": 20.0, **settings})
            return stack.enter_context(CondaChannels(locations, network, environ or {}, tmp_path / cache))

        yield open_all


def _solve(channels: CondaChannels, *specs: str) -> list[str]:
    return [str(record) for record in channels.solve(CondaQuestion(platform=LINUX, specs=specs))]


def _told(error: Exception) -> str:
    assert isinstance(error, (NetworkError, PackageIndexError))
    return "\n".join([error.message, *error.context, *error.hints])


@pytest.mark.parametrize("form", ["shards", "zst", "plain"])
def test_every_form_of_repodata(open_channels: Open, form: str, tmp_path: Path) -> None:
    with ChannelServer(real=built_channel()) as real:
        real.shards, real.zst = form == "shards", form != "plain"
        channels = open_channels(real.url)
        assert set(channels.versions("python_abi", LINUX)) >= {MINOR}
        record = channels.solve(CondaQuestion(platform=LINUX, specs=("python_abi",)))[0]
        assert record.url.startswith(f"{real.url}/noarch/python_abi-")
        assert len(record.sha256) == 64
        assert "python_abi" in channels.names(LINUX)
        asked = real.paths()
        assert any("/shards/" in path for path in asked) == (form == "shards")
        assert not any(path.endswith("repodata.json") for path in asked) or form == "plain"
        channels.versions("python_abi", LINUX)
        assert real.paths() == asked, "one gateway keeps what it has read"


def test_the_cache_is_asked_whether_it_still_holds(open_channels: Open, server: ChannelServer) -> None:
    _solve(open_channels(), "x")
    server.asked.clear()
    _solve(open_channels(), "x")
    asked = [asked for asked in server.asked if asked.path.endswith("repodata.json")]
    assert len(asked) == 2
    assert all("if-none-match" in request.headers for request in asked)


def test_what_is_fresh_is_not_asked_for(open_channels: Open, server: ChannelServer) -> None:
    server.cache_control = "public, max-age=3600"
    _solve(open_channels(), "x")
    server.asked.clear()
    _solve(open_channels(), "x")
    assert server.paths() == []
    _solve(open_channels(refresh=True), "x")
    assert "/main/noarch/repodata.json" in server.paths()


def test_offline(open_channels: Open, server: ChannelServer) -> None:
    with pytest.raises(OfflineError, match="channel 'c0' is not cached, and --offline forbids") as caught:
        _solve(open_channels(offline=True), "x")
    assert f"url: {server.url}/" in _told(caught.value)
    _solve(open_channels(), "x")
    server.asked.clear()
    assert _solve(open_channels(offline=True), "x") == ["x 1.0 0", "y 2.0 0"]
    assert server.paths() == []


def test_offline_without_a_shard(open_channels: Open) -> None:
    with ChannelServer(real=built_channel()) as real:
        open_channels(real.url).versions("python", LINUX)
        offline = open_channels(real.url, offline=True)
        assert offline.versions("python", LINUX)
        with pytest.raises(OfflineError, match="package 'python_abi' of channel 'c0' is not cached"):
            offline.versions("python_abi", LINUX)


def test_a_server_that_is_gone(folder: Path, open_channels: Open) -> None:
    with ChannelServer(main=folder) as gone:
        url = gone.url
        _solve(open_channels(url, cache="full"), "x")
    with pytest.raises(NetworkError, match="channel 'c0' cannot be used: nothing answers there") as caught:
        _solve(open_channels(url, cache="empty"), "x")
    assert url in _told(caught.value)
    assert "--offline" not in _told(caught.value), "nothing is cached"
    with pytest.raises(NetworkError) as caught:
        _solve(open_channels(url, cache="full"), "x")
    assert "it is cached: with --offline what is there is used" in _told(caught.value)
    assert _solve(open_channels(url, cache="full", offline=True), "x")


def test_a_name_that_nobody_knows(open_channels: Open) -> None:
    with pytest.raises(NetworkError, match="its name cannot be resolved"):
        _solve(open_channels("http://no-such-host.invalid/c"), "x")


def test_a_server_that_never_answers(open_channels: Open, server: ChannelServer) -> None:
    server.delay_s = 3.0
    with pytest.raises(NetworkError, match="channel 'c0' cannot be reached") as caught:
        _solve(open_channels(timeout_s=0.2), "x")
    assert "does not answer in time" in _told(caught.value)


def test_a_slow_server_is_waited_for(open_channels: Open, server: ChannelServer) -> None:
    server.on("*/repodata.json", Answer(body=json.dumps({"packages": {}}).encode(), wait_s=1.0))
    assert open_channels(timeout_s=0.3).versions("x", LINUX) == ()


@pytest.mark.parametrize("status", [500, 503])
def test_a_server_with_a_problem(open_channels: Open, server: ChannelServer, status: int) -> None:
    server.on("*/repodata.json", Answer(status=status))
    with pytest.raises(NetworkError, match=f"the server answers {status}") as caught:
        _solve(open_channels(), "x")
    assert server.url in _told(caught.value)


def test_a_problem_that_passes(open_channels: Open, server: ChannelServer, folder: Path) -> None:
    content = (folder / "noarch" / "repodata.json").read_bytes()
    server.on("*/noarch/repodata.json", Answer(status=503), Answer(body=content))
    assert _solve(open_channels(retries=2), "x")


def test_a_connection_that_breaks(open_channels: Open, server: ChannelServer) -> None:
    server.truncate("*/repodata.json", 100)
    with pytest.raises(NetworkError, match="the connection broke") as caught:
        _solve(open_channels(), "x")
    assert server.url in _told(caught.value)


def test_no_channel_is_there(open_channels: Open, server: ChannelServer) -> None:
    with pytest.raises(PackageIndexError, match="there is no conda channel 'c0'") as caught:
        _solve(open_channels(f"{server.root}/nope"), "x")
    assert f"url: {server.root}/nope/noarch" in caught.value.context
    assert any("ENVFORGE_CHANNEL_C0_TOKEN" in hint for hint in caught.value.hints)


def test_the_second_of_two_channels_is_the_faulty_one(open_channels: Open, server: ChannelServer) -> None:
    with pytest.raises(PackageIndexError, match="there is no conda channel 'c1'"):
        _solve(open_channels(server.url, f"{server.root}/nope"), "x")


@pytest.mark.parametrize(
    "body", [b'{"packages": 3', b"<html>log in</html>", b'{"packages": {"x.conda": {"name": 3}}}']
)
def test_repodata_that_is_none(open_channels: Open, server: ChannelServer, body: bytes) -> None:
    server.on("*/linux-64/repodata.json", Answer(body=body))
    with pytest.raises(PackageIndexError, match="repodata of channel 'c0' cannot be read") as caught:
        _solve(open_channels(), "x")
    assert f"url: {server.url}/linux-64" in caught.value.context
    assert "fetched twice" in _told(caught.value)


def test_a_damaged_copy_is_mended(open_channels: Open, server: ChannelServer, folder: Path) -> None:
    """The ETag of a file that was damaged on its way is right: without help the server says for ever that
    nothing has changed."""
    content = (folder / LINUX / "repodata.json").read_bytes()
    server.on("*/linux-64/repodata.json", Answer(body=content[:-9], etag='"1"'))
    with pytest.raises(PackageIndexError):
        _solve(open_channels(), "x")
    server.on("*/linux-64/repodata.json", Answer(body=content, etag='"1"'))
    assert _solve(open_channels(), "x")
    server.on(
        "*/linux-64/repodata.json", Answer(body=content[:-9], etag='"2"'), Answer(body=content, etag='"2"')
    )
    assert _solve(open_channels(), "x"), "within one run"


def test_a_damaged_copy_offline(open_channels: Open, server: ChannelServer) -> None:
    open_channels().names("noarch")  # the first failure may end its download, and it would be missing offline
    server.on("*/linux-64/repodata.json", b'{"packages": 3')
    with pytest.raises(PackageIndexError):
        _solve(open_channels(), "x")
    with pytest.raises(PackageIndexError, match="cannot be read") as caught:
        _solve(open_channels(offline=True), "x")
    assert "run without --offline once" in _told(caught.value)
    server.heal()
    assert _solve(open_channels(), "x")


def test_a_cache_that_cannot_be_written(server: ChannelServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    location = ChannelLocation(name="c0", url=server.url)
    with CondaChannels([location], NetworkSettings(retries=0), {}, tmp_path / "file") as channels:
        assert _solve(channels, "x")


class TestCredentials:
    @pytest.fixture(autouse=True)
    def no_keyring(self, monkeypatch: pytest.MonkeyPatch) -> None:
        keyring = pytest.importorskip("keyring")
        from keyring.backends.null import Keyring

        monkeypatch.setattr(keyring.core, "_keyring_backend", Keyring())

    def test_in_the_url(self, open_channels: Open, server: ChannelServer, tmp_path: Path) -> None:
        server.password = "me:s3cret/%"
        host = server.url.removeprefix("http://")
        channels = open_channels(f"http://me:s3cret%2F%25@{host}")
        records = channels.solve(CondaQuestion(platform=LINUX, specs=("x",)))
        assert {record.channel for record in records} == {server.url}
        assert "s3cret" not in repr(records)
        cached = [path.read_bytes() for path in (tmp_path / "cache").rglob("*") if path.is_file()]
        assert cached
        assert not any(b"s3cret" in content for content in cached)

    def test_in_variables(self, open_channels: Open, server: ChannelServer) -> None:
        server.password = "me:pw"
        environ = {"ENVFORGE_CHANNEL_C0_USERNAME": "me", "ENVFORGE_CHANNEL_C0_PASSWORD": "pw"}
        assert _solve(open_channels(environ=environ), "x")

    def test_a_token_in_a_variable(self, open_channels: Open, server: ChannelServer) -> None:
        server.bearer = "abc"
        assert _solve(open_channels(environ={"ENVFORGE_CHANNEL_C0_TOKEN": "abc"}), "x")

    def test_a_token_in_the_path(self, open_channels: Open, server: ChannelServer) -> None:
        public = server.url
        server.token = "tk-123"
        records = open_channels(server.url).solve(CondaQuestion(platform=LINUX, specs=("x",)))
        assert {record.channel for record in records} == {public}
        assert all(record.url.startswith(f"{public}/") for record in records)

    def test_a_wrong_token_in_the_path_is_not_shown(self, open_channels: Open, server: ChannelServer) -> None:
        server.token = "right"
        with pytest.raises(NetworkError, match="401") as caught:
            _solve(open_channels(server.url.replace("right", "wr0ng")), "x")
        assert "wr0ng" not in _told(caught.value)

    def test_in_netrc(
        self, open_channels: Open, server: ChannelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server.password = "me:pw"
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login me password pw\n")
        netrc.chmod(0o600)
        monkeypatch.setenv("NETRC", str(netrc))
        assert _solve(open_channels(), "x")

    def test_in_a_file_of_rattler(
        self, open_channels: Open, server: ChannelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server.bearer = "abc"
        store = tmp_path / "credentials.json"
        store.write_text(json.dumps({"127.0.0.1": {"BearerToken": "abc"}}))
        monkeypatch.setenv("RATTLER_AUTH_FILE", str(store))
        assert _solve(open_channels(environ={"RATTLER_AUTH_FILE": str(store)}), "x")

    def test_in_keyring_after_a_refusal(
        self, open_channels: Open, server: ChannelServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from keyring import core
        from keyring.backend import KeyringBackend
        from keyring.credentials import SimpleCredential

        class One(KeyringBackend):
            priority = 1  # type: ignore[assignment]

            def get_password(self, service: str, username: str) -> None:
                return None

            def set_password(self, service: str, username: str, password: str) -> None:
                raise NotImplementedError

            def get_credential(self, service: str, username: str | None) -> SimpleCredential | None:
                return SimpleCredential("me", "pw") if service == server.url else None

        monkeypatch.setattr(core, "_keyring_backend", One())
        server.password = "me:pw"
        assert _solve(open_channels(), "x")

    def test_none_at_all(self, open_channels: Open, server: ChannelServer) -> None:
        server.password = "me:pw"
        with pytest.raises(NetworkError, match="'c0' cannot be used: the server answers 401") as caught:
            _solve(open_channels(), "x")
        told = _told(caught.value)
        assert "ENVFORGE_CHANNEL_C0_TOKEN: not set" in told
        assert "netrc: no file" in told
        assert "set ENVFORGE_CHANNEL_C0_TOKEN, or ENVFORGE_CHANNEL_C0_USERNAME and" in told

    def test_wrong_ones_are_not_shown(self, open_channels: Open, server: ChannelServer) -> None:
        server.password = "me:pw"
        host = server.url.removeprefix("http://")
        with pytest.raises(NetworkError) as caught:
            _solve(open_channels(f"http://me:wr0ng@{host}"), "x")
        assert "URL of channel 'c0': has credentials" in _told(caught.value)
        assert "wr0ng" not in _told(caught.value)

    def test_those_of_one_channel_are_not_sent_to_another(
        self, open_channels: Open, server: ChannelServer, folder: Path
    ) -> None:
        server.channels = {"main": folder, "other": folder}
        host = server.root.removeprefix("http://")
        _solve(open_channels(f"http://me:pw@{host}/main", f"{server.root}/other"), "x")
        sent = {asked.path.split("/")[1]: asked.headers.get("authorization", "") for asked in server.asked}
        assert sent["main"].startswith("Basic ")
        assert sent["other"] == ""

    def test_none_where_two_servers_look_alike(self, open_channels: Open, folder: Path) -> None:
        """rattler tells host and path of a request, not the port."""
        with ChannelServer(main=folder) as one, ChannelServer(main=folder) as two:
            host = one.root.removeprefix("http://")
            _solve(open_channels(f"http://me:pw@{host}/main", two.url), "x")
            assert not any("authorization" in asked.headers for asked in (*one.asked, *two.asked))


def test_a_proxy(open_channels: Open, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = (folder / LINUX / "repodata.json").read_bytes()
    with ScriptedServer() as proxy:
        for subdir in (LINUX, "noarch"):
            proxy.on(f"http://far.invalid/c/{subdir}/repodata.json", content)
        monkeypatch.setenv("HTTP_PROXY", proxy.url.replace("http://", "http://me:pw@"))
        channels = open_channels("http://far.invalid/c")
        assert set(channels.versions("x", LINUX)) == {"1.0"}
        assert proxy.asked
        assert {asked.headers.get("proxy-authorization") for asked in proxy.asked} == {"Basic bWU6cHc="}


def test_who_asks(open_channels: Open, server: ChannelServer) -> None:
    open_channels().versions("x", LINUX)
    assert {asked.headers["user-agent"].split("/")[0] for asked in server.asked} == {"envforge"}
