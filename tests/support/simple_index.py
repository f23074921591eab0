"""A simple index on loopback (PEP 503 HTML, PEP 691 JSON, PEP 658 metadata) that counts and can misbehave."""

from __future__ import annotations

import html
import json
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler
from urllib.parse import unquote

from support.distributions import Distribution
from support.loopback import LoopbackServer

JSON_TYPE = "application/vnd.pypi.simple.v1+json"
_BLOCK = 1 << 14


@dataclass
class Listed:
    """A file of the index: what is told of it, and what is sent."""

    distribution: Distribution
    content: bytes = field(repr=False)
    metadata: bytes = field(repr=False)
    yanked: str | None = None
    uploaded: str = "2026-01-01T00:00:00Z"


class SimpleIndex(LoopbackServer):
    """Serves ``/simple/<name>/`` and ``/files/<filename>``.

    Args:
        formats: ``{"json", "html"}``; JSON goes to those who ask for it.
        metadata: whether ``.metadata`` files are offered.

    Attributes:
        requests: how often each path was asked for. ``GET`` of a file without a Range is a download.
        downloads: whole files sent, by filename.
        delay_s: wait before each answer.
        block_delay_s: wait before each 16 KiB of a file.
        statuses: path → status to answer with.
    """

    def __init__(self, *, formats: Iterable[str] = ("json", "html"), metadata: bool = True) -> None:
        super().__init__()
        self.formats = frozenset(formats)
        self.metadata = metadata
        self.requests: Counter[str] = Counter()
        self.downloads: Counter[str] = Counter()
        self.delay_s = 0.0
        self.block_delay_s = 0.0
        self.statuses: dict[str, int] = {}
        self.begun = threading.Event()
        self._files: dict[str, Listed] = {}
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"{self.origin}/simple"

    def add(
        self,
        *distributions: Distribution,
        yanked: str | None = None,
        uploaded: str = Listed.uploaded,
    ) -> None:
        """Publish files."""
        for distribution in distributions:
            self._files[distribution.filename] = Listed(
                distribution, distribution.content, distribution.metadata, yanked, uploaded
            )

    def replace_content(self, filename: str, content: bytes) -> None:
        """Send something else than what the index says it is."""
        self._files[filename].content = content

    def replace_metadata(self, filename: str, metadata: bytes) -> None:
        """Send other metadata than what the index gives the digest of."""
        self._files[filename].metadata = metadata

    def reverse(self) -> None:
        """List files in the opposite order."""
        self._files = dict(reversed(self._files.items()))

    def forget(self) -> None:
        """Begin to count anew; faults stay."""
        self.requests.clear()
        self.downloads.clear()
        self.begun.clear()

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        path = unquote(handler.path)
        with self._lock:
            self.requests[path] += 1
        self.begun.set()
        if self.delay_s:
            time.sleep(self.delay_s)
        if path in self.statuses:
            self._send(handler, self.statuses[path], b"", "text/plain")
        elif path.startswith("/simple/"):
            self._send_page(handler, path.removeprefix("/simple/").strip("/"))
        else:
            self._send_file(handler, path.removeprefix("/files/"))

    def _send_page(self, handler: BaseHTTPRequestHandler, name: str) -> None:
        listed = [item for item in self._files.values() if item.distribution.name == name]
        if not listed:
            self._send(handler, 404, b"", "text/plain")
        elif "json" in self.formats and (
            "json" in handler.headers.get("Accept", "") or "html" not in self.formats
        ):
            document = {
                "meta": {"api-version": "1.1"},
                "name": name,
                "files": [self._json_row(item) for item in listed],
            }
            self._send(handler, 200, json.dumps(document).encode(), JSON_TYPE)
        else:
            rows = "\n".join(self._html_row(item) for item in listed)
            page = f"<!DOCTYPE html><html><body>\n{rows}\n</body></html>"
            self._send(handler, 200, page.encode(), "text/html; charset=utf-8")

    def _json_row(self, item: Listed) -> dict[str, object]:
        distribution = item.distribution
        row: dict[str, object] = {
            "filename": distribution.filename,
            "url": f"../../files/{distribution.filename}",
            "hashes": {"sha256": distribution.sha256},
            "size": len(distribution.content),
            "upload-time": item.uploaded,
            "yanked": False if item.yanked is None else item.yanked or True,
        }
        if distribution.requires_python:
            row["requires-python"] = distribution.requires_python
        if self.metadata:
            row["core-metadata"] = {"sha256": sha256(distribution.metadata).hexdigest()}
        return row

    def _html_row(self, item: Listed) -> str:
        distribution = item.distribution
        attributes = f'href="../../files/{distribution.filename}#sha256={distribution.sha256}"'
        if distribution.requires_python:
            attributes += f' data-requires-python="{html.escape(distribution.requires_python)}"'
        if item.yanked is not None:
            attributes += f' data-yanked="{html.escape(item.yanked)}"'
        if self.metadata:
            attributes += f' data-core-metadata="sha256={sha256(distribution.metadata).hexdigest()}"'
        return f"<a {attributes}>{distribution.filename}</a><br>"

    def _send_file(self, handler: BaseHTTPRequestHandler, filename: str) -> None:
        listed = self._files.get(filename.removesuffix(".metadata"))
        if listed is None or (filename.endswith(".metadata") and not self.metadata):
            self._send(handler, 404, b"", "text/plain")
        elif filename.endswith(".metadata"):
            self._send(handler, 200, listed.metadata, "text/plain")
        else:
            self._send_archive(handler, filename, listed.content)

    def _send_archive(self, handler: BaseHTTPRequestHandler, filename: str, content: bytes) -> None:
        total = len(content)
        asked = handler.headers.get("Range", "")
        if not asked:
            with self._lock:
                self.downloads[filename] += handler.command == "GET"
            self._send(handler, 200, content, "application/octet-stream", {"Accept-Ranges": "bytes"})
            return
        first, _, last = asked.removeprefix("bytes=").partition("-")
        start, end = (int(first), int(last or total - 1)) if first else (max(total - int(last), 0), total - 1)
        end = min(end, total - 1)
        if start > end:
            self._send(handler, 416, b"", "text/plain", {"Content-Range": f"bytes */{total}"})
            return
        told = {"Content-Range": f"bytes {start}-{end}/{total}", "Accept-Ranges": "bytes"}
        self._send(handler, 206, content[start : end + 1], "application/octet-stream", told)

    def _send(
        self,
        handler: BaseHTTPRequestHandler,
        status: int,
        body: bytes,
        kind: str,
        headers: dict[str, str] | None = None,
    ) -> None:
        handler.send_response(status)
        usual = {"Content-Type": kind, "Content-Length": str(len(body))}
        for name, value in {**usual, **(headers or {})}.items():
            handler.send_header(name, value)
        handler.end_headers()
        if handler.command == "HEAD":
            return
        slow = self.block_delay_s if kind == "application/octet-stream" else 0.0
        for at in range(0, len(body), _BLOCK):
            if slow:
                time.sleep(slow)
            handler.wfile.write(body[at : at + _BLOCK])
