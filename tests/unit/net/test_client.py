"""Requests to servers that fail in every way."""

from __future__ import annotations

import gzip
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from envforge.errors import NetworkError, OfflineError
from envforge.net import client as client_module
from envforge.net.client import HttpClient
from envforge.net.settings import NetworkSettings

from support.scripted_server import Answer, ScriptedServer


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_FIRST_PAUSE_S", 0.001)


@pytest.fixture
def client() -> Iterator[HttpClient]:
    with HttpClient(NetworkSettings(retries=2, timeout_s=5)) as client:
        yield client


def failure(client: HttpClient, url: str, **options: str) -> NetworkError:
    with pytest.raises(NetworkError) as caught:
        client.get(url, **options)  # type: ignore[arg-type]
    return caught.value


def test_an_answer(client: HttpClient, server: ScriptedServer) -> None:
    server.on("/x", Answer(body=b"hello", headers={"X-Y": "z"}))
    response = client.get(f"{server.url}/x", headers={"Accept": "text/x"})
    assert (response.status, response.body, response.url) == (200, b"hello", f"{server.url}/x")
    assert response.headers.get("x-y") == "z"
    asked = server.asked[0].headers
    assert asked["accept"] == "text/x"
    assert asked["user-agent"].startswith("envforge/")
    assert asked["accept-encoding"] == "gzip"


def test_compressed_answers(client: HttpClient, server: ScriptedServer) -> None:
    server.on("/x", Answer(body=gzip.compress(b"hello" * 1000), headers={"Content-Encoding": "gzip"}))
    assert client.get(f"{server.url}/x").body == b"hello" * 1000
    server.on("/y", Answer(body=b"this is not gzip", headers={"Content-Encoding": "gzip"}))
    assert "127.0.0.1" in failure(client, f"{server.url}/y").message


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_failures_that_pass(client: HttpClient, server: ScriptedServer, status: int) -> None:
    server.on("/x", Answer(status=status), Answer(status=status), Answer(body=b"at last"))
    assert client.get(f"{server.url}/x").body == b"at last"


def test_failures_that_stay(client: HttpClient, server: ScriptedServer) -> None:
    server.on("/x", Answer(status=503))
    error = failure(client, f"{server.url}/x")
    assert "the server answers 503 Service Unavailable" in error.message
    assert error.context == (f"url: {server.url}/x", "tried 3 times")
    assert len(server.asked) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 418, 451])
def test_refusals_are_not_repeated(client: HttpClient, server: ScriptedServer, status: int) -> None:
    server.on("/x", Answer(status=status))
    assert f"the server answers {status}" in failure(client, f"{server.url}/x").message
    assert len(server.asked) == 1


def test_expected_refusals_are_answers(client: HttpClient, server: ScriptedServer) -> None:
    assert client.get(f"{server.url}/none", expected=frozenset({404})).status == 404


def test_truncated_bodies_are_fetched_again(client: HttpClient, server: ScriptedServer) -> None:
    server.on("/x", Answer(body=b"x" * 9000, cut_after=100), Answer(body=b"x" * 9000))
    assert len(client.get(f"{server.url}/x").body) == 9000
    server.on("/y", Answer(body=b"x" * 9000, cut_after=100))
    assert "tried 3 times" in failure(client, f"{server.url}/y").context


def test_retry_after_is_honoured_within_bounds(
    client: HttpClient, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(client_module.time, "sleep", pauses.append)
    later = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 7))
    server.on(
        "/x",
        Answer(status=429, headers={"Retry-After": later}),
        Answer(status=503, headers={"Retry-After": "99999"}),
        Answer(body=b"x"),
    )
    assert client.get(f"{server.url}/x").body == b"x"
    assert 4 < pauses[0] <= 7
    assert pauses[1] == 30
    server.on("/y", Answer(status=429, headers={"Retry-After": "soon"}), Answer(body=b"y"))
    assert client.get(f"{server.url}/y").body == b"y"
    assert pauses[2] < 1


def test_pauses_grow_and_vary() -> None:
    pauses = [[client_module._pause_s(attempt, 0) for _ in range(50)] for attempt in (0, 3)]
    assert max(pauses[0]) < min(pauses[1])
    assert len(set(pauses[0])) > 1


def test_slow_servers(server: ScriptedServer) -> None:
    server.on("/x", Answer(body=b"x", wait_s=0.5))
    with HttpClient(NetworkSettings(retries=0, timeout_s=0.05)) as client:
        error = failure(client, f"{server.url}/x")
    assert "does not answer in time" in error.message


def test_nobody_listens(client: HttpClient) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        error = failure(client, f"http://127.0.0.1:{unused.getsockname()[1]}/x")
    assert "Connection refused" in error.message
    assert any("HTTPS_PROXY" in hint for hint in error.hints)
    assert any("--offline" in hint for hint in error.hints)


def test_a_name_that_nobody_has(client: HttpClient) -> None:
    error = failure(client, "http://nobody.invalid/x")
    assert error.message == "nobody.invalid cannot be used: its name cannot be resolved"


@pytest.mark.parametrize("url", ["http://a b/x", "http://[::1/x", "http:///x"])
def test_what_is_no_url(client: HttpClient, url: str) -> None:
    assert "no URL" in failure(client, url).message


def test_redirects(client: HttpClient, server: ScriptedServer) -> None:
    server.on("/a", Answer(status=301, headers={"Location": "/b"}))
    server.on("/b", Answer(status=307, headers={"Location": f"{server.url}/c/"}))
    server.on("/c/", b"there")
    response = client.get(f"{server.url}/a")
    assert (response.body, response.url) == (b"there", f"{server.url}/c/")
    server.on("/r", Answer(status=302, headers={"Location": "c/"}))
    assert client.get(f"{server.url}/r").url == f"{server.url}/c/"
    server.on("/round", Answer(status=302, headers={"Location": "/round"}))
    assert "redirects in a circle" in failure(client, f"{server.url}/round").message


def test_credentials_do_not_follow_to_another_server(client: HttpClient, server: ScriptedServer) -> None:
    with ScriptedServer() as other:
        other.on("/x", b"x")
        server.on("/x", Answer(status=302, headers={"Location": f"{other.url}/x"}))
        server.on("/y", Answer(status=302, headers={"Location": "/z"}))
        server.on("/z", b"z")
        with_user = server.url.replace("://", "://me:secret@")
        assert client.get(f"{with_user}/x").body == b"x"
        assert client.get(f"{with_user}/y").body == b"z"
        assert "authorization" not in other.asked[0].headers
    assert [asked.headers.get("authorization") for asked in server.asked] == ["Basic bWU6c2VjcmV0"] * 3


def test_credentials_of_an_index(
    client: HttpClient, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.on("/x", Answer(body=b"x", password="eve:from-env"))
    error = failure(client, f"{server.url}/x", index_name="corp", index_url=f"{server.url}/simple")
    assert "401 Unauthorized" in error.message
    assert "ENVFORGE_INDEX_CORP_USERNAME: not set, ENVFORGE_INDEX_CORP_PASSWORD: not set" in error.context
    assert "set ENVFORGE_INDEX_CORP_USERNAME and ENVFORGE_INDEX_CORP_PASSWORD" in error.hints[0]
    monkeypatch.setenv("ENVFORGE_INDEX_CORP_USERNAME", "eve")
    monkeypatch.setenv("ENVFORGE_INDEX_CORP_PASSWORD", "from-env")
    assert client.get(f"{server.url}/x", index_name="corp", index_url=f"{server.url}/simple").body == b"x"
    monkeypatch.setenv("ENVFORGE_INDEX_CORP_PASSWORD", "wrong-one")
    error = failure(client, f"{server.url}/x", index_name="corp", index_url=f"{server.url}/simple")
    assert "ENVFORGE_INDEX_CORP_PASSWORD: set" in "\n".join(error.context)
    assert "wrong-one" not in "\n".join([error.message, *error.context, *error.hints])


def test_no_failure_shows_credentials(client: HttpClient, server: ScriptedServer) -> None:
    port = server.port
    server.on("/x", Answer(status=403))
    server.on("/y", Answer(status=302, headers={"Location": "http://me:hunter2@127.0.0.1:1/"}))
    for url in (
        f"http://me:hunter2@127.0.0.1:{port}/x",
        f"http://me:hunter2@127.0.0.1:{port}/y",
        "http://me:hunter2@nobody.invalid/",
    ):
        error = failure(client, url)
        assert "hunter2" not in "\n".join([error.message, *error.context, *error.hints])


def test_ranges(client: HttpClient, server: ScriptedServer) -> None:
    server.on("/x", Answer(body=bytes(range(100))))
    response = client.get(f"{server.url}/x", byte_range="-10")
    assert (response.status, response.body) == (206, bytes(range(90, 100)))
    assert client.get(f"{server.url}/x", byte_range="5-6").body == b"\5\6"
    assert server.asked[0].headers["accept-encoding"] == "identity"


def test_a_server_without_ranges_is_not_listened_to(client: HttpClient, server: ScriptedServer) -> None:
    server.on("/x", Answer(body=bytes(50_000_000), ranges=False))
    start = time.perf_counter()
    response = client.get(f"{server.url}/x", byte_range="-10")
    assert (response.status, response.body) == (200, b"")
    assert time.perf_counter() - start < 2


def test_offline(server: ScriptedServer, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"here")
    with HttpClient(NetworkSettings(offline=True)) as client:
        with pytest.raises(OfflineError, match="--offline forbids it") as caught:
            client.get(f"http://me:hunter2@127.0.0.1:{server.port}/x")
        assert "hunter2" not in "".join(caught.value.context)
        assert client.get((tmp_path / "x").as_uri()).body == b"here"
    assert server.asked == []


def test_file_urls(client: HttpClient, tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "index.html").write_bytes(b"0123456789")
    url = (tmp_path / "a b").as_uri()
    assert client.get(f"{url}/").body == b"0123456789"
    response = client.get(f"{url}/index.html", byte_range="-3")
    assert (response.body, response.headers["Content-Range"]) == (b"789", "bytes 7-9/10")
    response = client.get(f"{url}/index.html", byte_range="2-4")
    assert (response.body, response.headers["Content-Range"]) == (b"234", "bytes 2-4/10")
    assert client.get(f"{url}/none", expected=frozenset({404})).status == 404
    assert client.get(f"{url}/index.html/x", expected=frozenset({404})).status == 404
    assert failure(client, f"{url}/none").message == "a file is missing"
    assert "names a host" in failure(client, "file://server/share/x").message


def test_broken_certificates(client: HttpClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in (("none.pem", None), ("garbage.pem", b"garbage")):
        path = tmp_path / name
        if content:
            path.write_bytes(content)
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
        error = failure(client, "https://127.0.0.1:1/")
        assert "the certificates named by SSL_CERT_FILE cannot be read" in error.message
        assert f"file: {path}" in error.context


def test_identities_tell_users_apart(client: HttpClient) -> None:
    urls = ["https://h/", "https://a:x@h/", "https://b:x@h/", "https://token1@h/", "https://a:x@other/"]
    identities = [client.identity(url) for url in urls]
    assert identities[0] == ""
    assert len(set(identities)) == len(urls)
    assert client.identity("https://a:y@h/") == identities[1]
    assert not any(identity == "a" or "token" in identity for identity in identities)
