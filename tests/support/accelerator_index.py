"""Indexes on loopback as PyTorch's are: ``/whl/cu128/torch/`` lists ``torch-2.9.0+cu128-….whl``.

HTML only, one folder below the other, files beside the projects' pages, blanks and ``+`` percent-encoded, no
upload times; a project is on some builds' index and not on others.
"""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler
from urllib.parse import quote

from support.distributions import Distribution
from support.simple_index import Listed, SimpleIndex


class AcceleratorIndex(SimpleIndex):
    """Serves ``/simple/<name>/`` as PyPI does, and ``/whl/<build>/<name>/`` for each build.

    Attributes:
        absent: status for a project that a build does not have; a bucket answers 403.
    """

    def __init__(self) -> None:
        super().__init__()
        self._builds: dict[str, dict[str, Listed]] = {}
        self.absent = 404

    def build_url(self, build: str) -> str:
        """The address of one build's index."""
        return f"{self.url.removesuffix('/simple')}/whl/{build}"

    def add_build(self, build: str, *distributions: Distribution) -> None:
        """Publish files on the index of a build."""
        files = self._builds.setdefault(build, {})
        for each in distributions:
            files[each.filename] = Listed(each, each.content, each.metadata)

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        if not handler.path.startswith("/whl/"):
            super()._serve(handler)
            return
        build, _, rest = handler.path.removeprefix("/whl/").partition("/")
        files = self._builds.get(build, {})
        with self._lock:
            self.requests[handler.path] += 1
        if rest.endswith("/"):
            self._send_build_page(handler, build, rest.strip("/"))
        elif (name := rest.replace("%2B", "+")) in files:
            self._send_archive(handler, name, files[name].content)
        else:
            self._send(handler, 404, b"", "text/plain")

    def _send_build_page(self, handler: BaseHTTPRequestHandler, build: str, name: str) -> None:
        listed = [each.distribution for each in self._builds.get(build, {}).values()]
        rows = [
            f'<a href="/whl/{build}/{quote(each.filename)}#sha256={each.sha256}">{each.filename}</a><br/>'
            for each in listed
            if each.name == name
        ]
        page = "\n".join(["<!DOCTYPE html>", "<html>", " <body>", *rows, " </body>", "</html>"])
        self._send(handler, 200 if rows else self.absent, page.encode() if rows else b"", "text/html")
