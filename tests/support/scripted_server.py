"""A loopback server that answers each path as it is told, in turn, and notes what it was asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from support.loopback import LoopbackServer


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer.

    Args:
        body: what is sent.
        status: its status.
        headers: beside Content-Length.
        ranges: whether a Range is honoured.
        cut_after: bytes after which the connection ends.
        wait_s: before anything is sent.
        etag: sent, and compared with If-None-Match.
        modified: sent as Last-Modified, and compared with If-Modified-Since.
        before: called before anything is sent.
        password: ``user:password`` without which there is a 401.
    """

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    ranges: bool = True
    cut_after: int | None = None
    wait_s: float = 0.0
    etag: str = ""
    modified: str = ""
    password: str = ""
    before: Callable[[], object] | None = None


@dataclass(frozen=True)
class Asked:
    """One request: its path and headers (names in lower case)."""

    path: str
    headers: dict[str, str]


class ScriptedServer(LoopbackServer):
    """Serves ``script``: path → answers; the last one stays. Other paths are 404.

    Args:
        wrap: makes the listening socket one that speaks TLS.
    """

    def __init__(self, wrap: Callable[[ThreadingHTTPServer], None] | None = None) -> None:
        super().__init__(wrap)
        self.script: dict[str, list[Answer]] = {}
        self.asked: list[Asked] = []

    @property
    def url(self) -> str:
        return self.origin

    def on(self, path: str, *answers: Answer | bytes) -> None:
        """Answer a path with these in turn."""
        self.script[path] = [
            answer if isinstance(answer, Answer) else Answer(body=answer) for answer in answers
        ]

    def paths(self) -> list[str]:
        """What was asked for, in order."""
        return [asked.path for asked in self.asked]

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self.asked.append(Asked(handler.path, headers))
        answers = self.script.get(handler.path, [Answer(status=404)])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer.wait_s:
            time.sleep(answer.wait_s)
        if answer.before:
            answer.before()
        status, body, more = _react(answer, headers)
        handler.send_response(status)
        for name, value in {**answer.headers, **more}.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[: answer.cut_after])
        if answer.cut_after is not None:
            handler.wfile.flush()
            handler.close_connection = True


def _react(answer: Answer, asked: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
    """(status, body, headers) for a request with these headers."""
    from base64 import b64encode

    more = {}
    if answer.etag:
        more["ETag"] = answer.etag
    if answer.modified:
        more["Last-Modified"] = answer.modified
    allowed = "Basic " + b64encode(answer.password.encode()).decode()
    if answer.password and asked.get("authorization") != allowed:
        return 401, b"", {"WWW-Authenticate": "Basic"}
    if (answer.etag and asked.get("if-none-match") == answer.etag) or (
        answer.modified and asked.get("if-modified-since") == answer.modified
    ):
        return 304, b"", more
    span = asked.get("range", "").removeprefix("bytes=")
    if not span or not answer.ranges or answer.status != 200:
        return answer.status, answer.body, more
    first, _, last = span.partition("-")
    total = len(answer.body)
    start, end = (int(first), int(last or total - 1)) if first else (max(0, total - int(last)), total - 1)
    end = min(end, total - 1)
    if start > end:
        return 416, b"", {"Content-Range": f"bytes */{total}"}
    return 206, answer.body[start : end + 1], {**more, "Content-Range": f"bytes {start}-{end}/{total}"}
