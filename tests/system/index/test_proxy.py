"""Requests through a proxy: forwarded ones, tunnels, passwords, exceptions."""

from __future__ import annotations

import socket
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress

import pytest

from envforge.errors import NetworkError
from envforge.net.client import HttpClient
from envforge.net.settings import NetworkSettings

from support.scripted_server import ScriptedServer

SETTINGS = NetworkSettings(retries=0, timeout_s=10)


class Proxy:
    """Forwards one request a connection, or a tunnel; ``lines`` has the first line of each."""

    def __init__(self, password: str = "") -> None:
        self.lines: list[str] = []
        self._password = password
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=32)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._socket.getsockname()[1]}"

    def close(self) -> None:
        self._socket.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), client:
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(65536)
            line, _, rest = head.partition(b"\r\n")
            self.lines.append(line.decode())
            method, target, _ = line.decode().split()
            allowed = b"Proxy-Authorization: Basic " + b64encode(self._password.encode())
            if self._password and allowed not in rest:
                client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                return
            if method == "CONNECT":
                host, _, port = target.partition(":")
                with socket.create_connection((host, int(port))) as server:
                    client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    back = threading.Thread(target=_pump, args=(server, client), daemon=True)
                    back.start()
                    _pump(client, server)
                    back.join()
                return
            host, _, port = target.split("/")[2].partition(":")
            with socket.create_connection((host, int(port or 80))) as server:
                path = "/" + target.split("/", 3)[3]
                fields = [item for item in rest.split(b"\r\n") if not item.startswith(b"Proxy-")]
                first = f"{method} {path} HTTP/1.1\r\nConnection: close\r\n"
                server.sendall(first.encode() + b"\r\n".join(fields))
                _pump(server, client)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        running.on("/x", b"through")
        yield running


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    running = Proxy()
    yield running
    running.close()


@pytest.mark.parametrize("form", ["http://{}", "{}", "http://{}/"])
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_plain_requests_are_forwarded(
    server: ScriptedServer, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, variable: str, form: str
) -> None:
    monkeypatch.setenv(variable, form.format(proxy.address))
    with HttpClient(SETTINGS) as client:
        assert client.get(f"{server.url}/x").body == b"through"
    assert proxy.lines == [f"GET {server.url}/x HTTP/1.1"]


def test_tls_goes_through_a_tunnel(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.address}")
    with HttpClient(SETTINGS) as client, pytest.raises(NetworkError):
        client.get("https://127.0.0.1:1/x")  # nobody is there, but the proxy was asked
    assert [line.rpartition(" ")[0] for line in proxy.lines] == ["CONNECT 127.0.0.1:1"]


def test_exceptions(server: ScriptedServer, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://{proxy.address}")
    monkeypatch.setenv("NO_PROXY", "other.test,127.0.0.1")
    with HttpClient(SETTINGS) as client:
        assert client.get(f"{server.url}/x").body == b"through"
    assert proxy.lines == []


def test_a_proxy_with_a_password(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = Proxy("nora:se/cr@t")
    monkeypatch.setenv("HTTP_PROXY", f"http://nora:se%2Fcr%40t@{proxy.address}")
    with HttpClient(SETTINGS) as client:
        assert client.get(f"{server.url}/x").body == b"through"
    assert "proxy-authorization" not in server.asked[0].headers
    monkeypatch.setenv("HTTP_PROXY", f"http://nora:hunter2@{proxy.address}")
    with HttpClient(SETTINGS) as client, pytest.raises(NetworkError, match="407") as caught:
        client.get(f"{server.url}/x")
    shown = "\n".join([caught.value.message, *caught.value.context, *caught.value.hints])
    assert "HTTPS_PROXY" in shown
    assert "hunter2" not in shown
    proxy.close()


def test_a_proxy_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://nora:hunter2@127.0.0.1:1")
    for url in ("http://index.test/x", "https://index.test/x"):
        with HttpClient(SETTINGS) as client, pytest.raises(NetworkError) as caught:
            client.get(url)
        assert "index.test cannot be used: the proxy does not work" in caught.value.message
        assert "hunter2" not in "\n".join([caught.value.message, *caught.value.context, *caught.value.hints])
