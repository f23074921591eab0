"""Sizes that the lock does not tell."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from envforge.fetch.request import FetchRequest
from envforge.fetch.sizes import find_sizes
from envforge.net.pools import ConnectionPools
from envforge.net.settings import NetworkSettings


class _Handler(BaseHTTPRequestHandler):
    asked: list[str]

    def do_HEAD(self) -> None:
        self.asked.append(self.path)
        if "refused" in self.path:
            self.send_error(405)
            return
        self.send_response(200)
        if "silent" not in self.path:
            self.send_header("Content-Length", "1234")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    handler = type("Handler", (_Handler,), {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", handler.asked
        running.shutdown()
        thread.join()


def _request(url: str, number: int, size_bytes: int | None = None) -> FetchRequest:
    return FetchRequest(name="a", version="1", url=url, sha256=f"{number:064x}", size_bytes=size_bytes)


def _find(requests: list[FetchRequest], connections: int = 2) -> list[int]:
    with ConnectionPools(NetworkSettings(timeout_s=5)) as pools:
        return list(find_sizes(requests, pools, connections).values())


def test_the_server_is_asked_for_what_the_lock_does_not_tell(server: tuple[str, list[str]]) -> None:
    base, asked = server
    requests = [_request(f"{base}/known.whl", 1, 77)] + [_request(f"{base}/{n}.whl", n) for n in (2, 3, 4)]
    assert _find(requests) == [77, 1234, 1234, 1234]
    assert sorted(asked) == ["/2.whl", "/3.whl", "/4.whl"]


def test_a_server_that_does_not_tell_is_no_failure(server: tuple[str, list[str]]) -> None:
    base, _ = server
    urls = [f"{base}/refused.whl", f"{base}/silent.whl", "http://127.0.0.1:9/gone.whl", "file:///here.whl"]
    assert _find([_request(url, number) for number, url in enumerate(urls)]) == [0, 0, 0, 0]


def test_nobody_is_asked_where_all_downloads_start_at_once(server: tuple[str, list[str]]) -> None:
    base, asked = server
    assert _find([_request(f"{base}/{n}.whl", n) for n in (1, 2)], connections=2) == [0, 0]
    assert asked == []
