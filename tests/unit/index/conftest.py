"""A scripted server and index sets over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any

import pytest

from envforge.index.index_set import IndexSet
from envforge.index.locations import IndexLocation
from envforge.net import client as client_module
from envforge.net.client import HttpClient
from envforge.net.settings import NetworkSettings

from support.distributions import Distribution, make_wheel
from support.scripted_server import Answer, ScriptedServer

NOW_S = 1_800_000_000.0


class Shelf:
    """Puts distributions on a scripted server as a PEP 503 index would list them."""

    def __init__(self, server: ScriptedServer) -> None:
        self.server = server
        self.url = f"{server.url}/simple"

    def put(
        self,
        *files: Distribution,
        advertise: bool = False,
        serve_metadata: bool = False,
        hashes: bool = True,
        times: bool = True,
        page: dict[str, Any] | None = None,
        **answer: Any,
    ) -> None:
        """Serve files and the page of their project.

        Args:
            files: of one project.
            advertise: list metadata files, and serve them.
            serve_metadata: serve them without listing them.
            hashes: list hashes.
            times: list upload times (2026-01-01).
            page: how the page is answered.
            answer: how the files are answered.
        """
        anchors = []
        for file in files:
            marks = ' data-upload-time="2026-01-01T00:00:00Z"' if times else ""
            if file.requires_python:
                marks += f' data-requires-python="{escape(file.requires_python)}"'
            if advertise:
                marks += f' data-core-metadata="sha256={sha256(file.metadata).hexdigest()}"'
            fragment = f"#sha256={file.sha256}" if hashes else ""
            anchors.append(f'<a href="../../files/{file.filename}{fragment}"{marks}>{file.filename}</a>')
            self.server.on(f"/files/{file.filename}", Answer(body=file.content, **answer))
            if advertise or serve_metadata:
                self.server.on(f"/files/{file.filename}.metadata", file.metadata)
        headers = {"Content-Type": "text/html", **(page or {}).pop("headers", {})}
        body = f"<html>{'<br>'.join(anchors)}</html>".encode()
        self.server.on(f"/simple/{files[0].name}/", Answer(body=body, headers=headers, **(page or {})))


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_FIRST_PAUSE_S", 0.001)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", "/nonexistent")


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@pytest.fixture
def shelf(server: ScriptedServer) -> Shelf:
    return Shelf(server)


@pytest.fixture
def open_set(tmp_path: Path, server: ScriptedServer) -> Iterator[Callable[..., IndexSet]]:
    """Opens an index set over the server (or over ``indexes``), with one cache for all of a test."""
    with ExitStack() as stack:

        def open_one(
            *indexes: IndexLocation,
            offline: bool = False,
            refresh: bool = False,
            now_s: float = NOW_S,
            sources: dict[str, str] | None = None,
            **options: Any,
        ) -> IndexSet:
            settings = NetworkSettings(
                offline=offline, refresh=refresh, retries=1, timeout_s=5, connections=4
            )
            client = stack.enter_context(HttpClient(settings))
            usual = IndexLocation(name="main", url=f"{server.url}/simple", default=True)
            return IndexSet(
                indexes or (usual,),
                sources or {},
                client,
                tmp_path / "cache",
                settings,
                now_s=now_s,
                **options,
            )

        yield open_one


@pytest.fixture
def demo() -> Distribution:
    return make_wheel("demo", "1.0", requires=["dep>=2"], extras={"x": ["more"]}, padding=60_000)
