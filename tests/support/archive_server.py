"""A loopback server for archives that can do everything wrong that servers do."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler
from typing import Any

from envforge.fetch.request import FetchRequest

from support.loopback import LoopbackServer


@dataclass(kw_only=True)
class Behaviour:
    """How a file is served.

    Args:
        body: the file.
        ranges: whether Range is honoured.
        looks: whether a Range with an end is honoured, as for a look at a part of the file.
        look_body: the file as such a look shows it, where that is another one.
        cut_after: for each request in turn, after how many bytes the connection ends (None: not).
        statuses: for each request in turn, an error to answer with instead (0: none).
        headers: beside the usual ones.
        etag: sent, and compared with If-Range.
        length: whether Content-Length is sent.
        pause_s: wait before each 64 KiB.
        redirect: where to send the client to.
        password: basic credentials that are asked for, ``user:password``.
    """

    body: bytes = b""
    ranges: bool = True
    looks: bool = True
    look_body: bytes | None = None
    cut_after: list[int | None] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    etag: str = ""
    length: bool = True
    pause_s: float = 0.0
    redirect: str = ""
    password: str = ""


class ArchiveServer(LoopbackServer):
    """Serves what is in ``files`` by path; ``requests`` has (path, Range header or "") of each request."""

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, Behaviour] = {}
        self.requests: list[tuple[str, str]] = []
        self.authorizations: list[str] = []

    @property
    def url(self) -> str:
        return self.origin

    def offer(self, name: str, content: bytes, **behaviour: Any) -> FetchRequest:
        """Serve a wheel of a project's version 1.0 from now on; what asks for it."""
        path = f"/{name}-1.0-py3-none-any.whl"
        self.files[path] = Behaviour(body=content, **behaviour)
        return FetchRequest(
            name=name,
            version="1.0",
            url=self.url + path,
            sha256=sha256(content).hexdigest(),
            size_bytes=len(content),
        )

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        asked = handler.headers.get("Range", "")
        self.requests.append((handler.path, asked))
        self.authorizations.append(handler.headers.get("Authorization", ""))
        behaviour = self.files.get(handler.path)
        if behaviour is None:
            self._refuse(handler, 404)
            return
        status = behaviour.statuses.pop(0) if behaviour.statuses else 0
        if behaviour.password and not self._is_allowed(handler, behaviour.password):
            status = 401
        if behaviour.redirect:
            handler.send_response(302)
            handler.send_header("Location", behaviour.redirect)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        if status:
            self._refuse(handler, status, behaviour.headers)
            return
        self._send(handler, behaviour, asked)

    def _send_look(self, handler: BaseHTTPRequestHandler, behaviour: Behaviour, asked: str) -> None:
        body = behaviour.body if behaviour.look_body is None else behaviour.look_body
        start, end = (int(text) for text in asked.removeprefix("bytes=").split("-"))
        part = body[start : end + 1]
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes {start}-{start + len(part) - 1}/{len(body)}")
        handler.send_header("Content-Length", str(len(part)))
        handler.end_headers()
        handler.wfile.write(part)

    def _send(self, handler: BaseHTTPRequestHandler, behaviour: Behaviour, asked: str) -> None:
        if asked and not asked.endswith("-"):
            if behaviour.looks and behaviour.ranges:
                self._send_look(handler, behaviour, asked)
                return
            asked = ""
        cut = behaviour.cut_after.pop(0) if behaviour.cut_after else None
        body, start = behaviour.body, 0
        fits = not behaviour.etag or handler.headers.get("If-Range", behaviour.etag) == behaviour.etag
        if asked and behaviour.ranges and fits:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(body):
                self._refuse(handler, 416, {"Content-Range": f"bytes */{len(body)}"})
                return
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            handler.send_response(200)
        for key, value in behaviour.headers.items():
            handler.send_header(key, value)
        if behaviour.etag:
            handler.send_header("ETag", behaviour.etag)
        rest = body[start:]
        if behaviour.length:
            handler.send_header("Content-Length", str(len(rest)))
        else:
            handler.close_connection = True
            handler.send_header("Connection", "close")
        handler.end_headers()
        wanted = rest if cut is None else rest[:cut]
        for at in range(0, len(wanted), 1 << 16):
            if behaviour.pause_s:
                time.sleep(behaviour.pause_s)
            handler.wfile.write(wanted[at : at + (1 << 16)])
        if cut is not None:
            handler.wfile.flush()
            handler.close_connection = True

    def _is_allowed(self, handler: BaseHTTPRequestHandler, password: str) -> bool:
        from base64 import b64encode

        return handler.headers.get("Authorization", "") == "Basic " + b64encode(password.encode()).decode()

    def _refuse(
        self, handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str] | None = None
    ) -> None:
        handler.send_response(status)
        for key, value in (headers or {}).items():
            handler.send_header(key, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
