"""The server for channels does what its knobs say, as rattler sees it."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from support.conda_channel import ChannelServer, write_channel
from support.scripted_server import Answer

Solve = Callable[..., list[Any]]


def _names(records: list[Any]) -> set[str]:
    return {record.name.normalized for record in records}


def _get(url: str, **headers: str) -> tuple[int, bytes]:
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


@pytest.mark.parametrize(
    ("zst", "shards", "asked"),
    [(True, True, "/shards/"), (True, False, "/repodata.json.zst"), (False, False, "/repodata.json")],
)
def test_every_form_of_the_repodata_is_read(
    server: ChannelServer, rattler_solve: Solve, zst: bool, shards: bool, asked: str
) -> None:
    server.zst, server.shards = zst, shards
    assert _names(rattler_solve("greet", source=server.url)) == {"greet", "libgreet"}
    sent = [path for path in server.paths() if asked in path]
    assert sent
    if asked.endswith(".json"):
        assert any(path.endswith("/linux-64/repodata.json") for path in server.paths())


def test_archives_that_are_sent_are_counted(
    server: ChannelServer, rattler_solve: Solve, rattler_install: Any
) -> None:
    prefix = rattler_install(rattler_solve("greet=1", source=server.url))
    assert (prefix / "bin" / "greet").is_file()
    assert server.downloads() == ["greet-1.0-h0000000_0.conda", "libgreet-1.2-h0000000_0.conda"]


def test_a_corrupt_archive_has_its_length_and_another_hash(
    server: ChannelServer, rattler_solve: Solve
) -> None:
    record = rattler_solve("libgreet=1.2", source=server.url)[0]
    assert sha256(_get(record.url)[1]).digest() == record.sha256
    server.corrupt("*/libgreet-1.2-*")
    content = _get(record.url)[1]
    assert len(content) == record.size
    assert sha256(content).digest() != record.sha256


def test_a_broken_connection_is_noticed(server: ChannelServer) -> None:
    server.truncate("*/linux-64/repodata.json", 100)
    with pytest.raises(Exception, match="IncompleteRead"):
        _get(f"{server.url}/linux-64/repodata.json")
    server.heal()
    assert json.loads(_get(f"{server.url}/linux-64/repodata.json")[1])["packages.conda"]


def test_answers_come_in_turn(server: ChannelServer) -> None:
    server.on("*/noarch/repodata.json", Answer(status=503), b"{}")
    answers = [_get(f"{server.url}/noarch/repodata.json") for _ in range(3)]
    assert answers == [(503, b""), (200, b"{}"), (200, b"{}")]
    assert _get(f"{server.url}/linux-64/repodata.json")[0] == 200


def test_credentials_of_every_kind_are_asked_for(server: ChannelServer) -> None:
    page = "/linux-64/repodata.json"
    server.password = "me:secret"
    assert _get(server.url + page)[0] == 401
    assert _get(server.url + page, Authorization="Basic bWU6c2VjcmV0")[0] == 200
    server.password, server.bearer = "", "abc"
    assert _get(server.url + page, Authorization="Basic bWU6c2VjcmV0")[0] == 401
    assert _get(server.url + page, Authorization="Bearer abc")[0] == 200
    server.bearer = ""
    bare = server.url
    server.token = "tk-1"
    assert server.url == bare.replace("/main", "/t/tk-1/main")
    assert _get(bare + page)[0] == 401
    assert _get(server.url + page)[0] == 200


def test_an_unchanged_page_is_not_sent_again(server: ChannelServer) -> None:
    url = f"{server.url}/noarch/repodata.json"
    server.cache_control = "max-age=60"
    with urllib.request.urlopen(url) as response:
        etag = response.headers["ETag"]
        assert response.headers["Cache-Control"] == "max-age=60"
    assert _get(url, **{"If-None-Match": etag})[0] == 304
    server.etags = False
    assert _get(url, **{"If-None-Match": etag})[0] == 200


def test_no_path_leads_out_of_the_channel(server: ChannelServer) -> None:
    for path in ("/main/../channel.guard", "/main/%2e%2e/channel.guard", "/other/noarch/repodata.json", "/"):
        assert _get(server.url.removesuffix("/main") + path)[0] == 404


def test_a_channel_of_dicts_is_solved(tmp_path: Path, rattler_solve: Solve) -> None:
    folder = write_channel(
        tmp_path / "channel",
        [
            {"name": "app", "version": "1.0", "depends": ["core >=2"]},
            {"name": "core", "version": "1.0", "subdir": "noarch", "noarch": "generic"},
            {"name": "core", "version": "2.0", "subdir": "noarch", "noarch": "generic"},
            {"name": "core", "version": "2.0", "build": "h1_1", "build_number": 1, "subdir": "osx-arm64"},
        ],
    )
    records = rattler_solve("app", source=folder.as_uri())
    assert {str(record) for record in records} == {"app=1.0=0", "core=2.0=0"}
    mac = rattler_solve("core", source=folder.as_uri(), platform="osx-arm64")
    assert str(mac[0]) == "core=2.0=h1_1"


def test_several_channels_have_one_server(channel: Path, tmp_path: Path) -> None:
    import rattler

    own = write_channel(tmp_path / "own", [{"name": "libgreet", "version": "0.5"}])
    with ChannelServer(own=own, main=channel) as server:

        async def solve() -> list[Any]:
            return await rattler.solve(
                [rattler.Channel(server.url), rattler.Channel(server.url_of("main"))],
                ["libgreet"],
                gateway=rattler.Gateway(cache_dir=tmp_path / "cache"),
                platforms=["linux-64", "noarch"],
            )

        assert [str(record.version) for record in asyncio.run(solve())] == ["0.5"]
