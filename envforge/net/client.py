"""Requests for index pages and metadata: small answers, whole in memory, with retries and clear errors.

What a request comes to is told by :mod:`envforge.net.attempt`, archives are streamed by
:mod:`envforge.net.download`. ``file:`` URLs are answered from the disk, so that an index in a folder needs
no code of its own.

Standard: RFC 9110 (status codes, ranges, Retry-After).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from envforge.errors import OfflineError
from envforge.events import Reporter
from envforge.net.auth import redact
from envforge.net.pools import ConnectionPools

if TYPE_CHECKING:
    from envforge.net.attempt import Response
    from envforge.net.settings import NetworkSettings

NOT_FOUND = frozenset({404, 410})
_FIRST_PAUSE_S, _LONGEST_PAUSE_S, _LONGEST_RETRY_AFTER_S = 0.25, 8.0, 30.0


class NetworkNeededError(Exception):
    """Something has to be fetched, and for now nobody wants to wait; no failure, and never shown."""


class HttpClient:
    """Sends requests; threads may share it.

    Args:
        settings: offline, time limit, retries, connections.
    """

    def __init__(self, settings: NetworkSettings) -> None:
        self.settings = settings
        self._pools = ConnectionPools(settings)
        self._held = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within the block requests raise :class:`NetworkNeededError` at once."""
        self._held = True
        try:
            yield
        finally:
            self._held = False

    def __enter__(self) -> HttpClient:
        return self

    def __exit__(self, *error: object) -> None:
        self._pools.__exit__(*error)

    def identity(self, url: str, index_name: str = "", index_url: str = "") -> str:
        """See :meth:`ConnectionPools.identity`."""
        return self._pools.identity(url, index_name, index_url)

    def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        byte_range: str = "",
        expected: frozenset[int] = frozenset(),
        index_name: str = "",
        index_url: str = "",
    ) -> Response:
        """Fetch a URL; failures that may pass are tried again.

        Args:
            url: http, https or file.
            headers: beside the usual ones.
            byte_range: ``-65536`` or ``0-99``; the answer's status is 206, or 200 without a body where
                the server does not know ranges.
            expected: statuses of 400 and more that the caller wants to see.
            index_name: index that the URL belongs to, for credentials and messages.
            index_url: that index's URL, with credentials if it has some.

        Raises:
            OfflineError: the network is forbidden.
            NetworkError: no answer, or one that cannot be used.
        """
        if url.startswith("file:"):
            from envforge.net.attempt import read_local

            return read_local(url, byte_range, expected)
        if self._held:
            raise NetworkNeededError(redact(url))
        if self.settings.offline:
            raise OfflineError(
                "the network is needed, and --offline forbids it",
                context=[f"url: {redact(url)}"],
                hints=["run without --offline once, so that it is cached"],
            )
        fields = {"Accept-Encoding": "gzip", **(headers or {})}
        if byte_range:
            fields |= {"Range": f"bytes={byte_range}", "Accept-Encoding": "identity"}
        from envforge.net.attempt import Request, Trouble

        request = Request(self._pools, url, fields, index_name, index_url)
        attempt = 0
        while isinstance(outcome := request.send(expected), Trouble):
            if outcome.is_final or attempt == self.settings.retries:
                raise request.failure(outcome, attempt + 1)
            time.sleep(_pause_s(attempt, outcome.retry_after_s))
            attempt += 1
        return outcome

    def download(
        self,
        url: str,
        destination: Path,
        *,
        sha256: str,
        size_bytes: int | None,
        filename: str,
        index_name: str,
        index_url: str,
        reporter: Reporter,
    ) -> None:
        """Fetch an archive to a file; see :func:`envforge.net.download.download`."""
        from envforge.net.download import download

        download(
            url,
            destination,
            sha256=sha256,
            size_bytes=size_bytes,
            filename=filename,
            index_name=index_name,
            index_url=index_url,
            pools=self._pools,
            settings=self.settings,
            reporter=reporter,
        )


def _pause_s(attempt: int, retry_after_s: float) -> float:
    """How long to wait before the next try: longer each time, never in step with other processes."""
    from random import uniform

    longest = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**attempt)
    return max(min(retry_after_s, _LONGEST_RETRY_AFTER_S), uniform(longest / 2, longest))
