"""One look-up of a host's addresses for all connections, and hosts of which some addresses are dead."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest

from envforge.errors import NetworkError
from envforge.net.client import HttpClient
from envforge.net.settings import NetworkSettings

from support.scripted_server import Answer, ScriptedServer

SETTINGS = NetworkSettings(retries=0, timeout_s=5)


class Resolver:
    """Answers for ``host.test`` out of a list, and notes who asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
        self.addresses = addresses
        self.asked: list[str] = []
        self._real = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self._answer)

    def _answer(self, host: str, port: int, *more: Any, **options: Any) -> Any:
        if host != "host.test":
            return self._real(host, port, *more, **options)
        self.asked.append(host)
        if not self.addresses:
            raise socket.gaierror(socket.EAI_AGAIN, "try again")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in self.addresses]


def test_a_name_is_looked_up_once(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = Resolver(monkeypatch, "127.0.0.1")
    together = threading.Barrier(8, timeout=5)  # so that there are eight connections
    server.on("/x", Answer(body=b"x", before=together.wait))
    with HttpClient(SETTINGS) as client:
        url = f"http://host.test:{server.port}/x"
        threads = [threading.Thread(target=client.get, args=(url,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(server.asked) == 8
    assert {asked.headers["host"] for asked in server.asked} == {f"host.test:{server.port}"}
    assert resolver.asked == ["host.test"]


def test_dead_addresses_are_passed_over(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    Resolver(monkeypatch, "127.0.0.2", "127.0.0.3", "127.0.0.1")
    server.on("/x", b"x")
    with HttpClient(SETTINGS) as client:
        assert client.get(f"http://host.test:{server.port}/x").body == b"x"


def test_a_host_of_which_no_address_answers_is_looked_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = Resolver(monkeypatch, "127.0.0.2")
    with ScriptedServer() as server, HttpClient(SETTINGS) as client:
        server.on("/x", b"x")
        with pytest.raises(NetworkError, match="Connection refused"):
            client.get(f"http://host.test:{server.port}/x")
        resolver.addresses = ("127.0.0.1",)
        assert client.get(f"http://host.test:{server.port}/x").body == b"x"


def test_a_name_server_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = Resolver(monkeypatch)
    monkeypatch.setattr("envforge.net.client._FIRST_PAUSE_S", 0.001)
    with HttpClient(NetworkSettings(retries=2)) as client, pytest.raises(NetworkError) as caught:
        client.get("http://host.test/x")
    assert "its name cannot be resolved" in caught.value.message
    assert len(resolver.asked) == 3  # it may pass, so it is tried again
