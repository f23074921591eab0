"""Requests for index pages and metadata: small answers, whole in memory, with retries and clear errors.

Archives are streamed by :mod:`envforge.net.download`. ``file:`` URLs are answered from the disk, so that
an index in a folder needs no code of its own.

Standard: RFC 9110 (status codes, ranges, Retry-After).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import uniform
from typing import TYPE_CHECKING

from envforge.errors import NetworkError, OfflineError
from envforge.events import Reporter
from envforge.net.auth import describe_lookups, redact, split_credentials, variable_prefix
from envforge.net.local_files import read_file_url
from envforge.net.pools import ConnectionPools

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

    from envforge.net.settings import NetworkSettings

NOT_FOUND = frozenset({404, 410})
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_FIRST_PAUSE_S, _LONGEST_PAUSE_S, _LONGEST_RETRY_AFTER_S = 0.25, 8.0, 30.0
_LARGEST_BODY_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Response:
    """An answer.

    Args:
        url: where it came from after redirects, without credentials.
        status: 200, 206, 304, or one that the caller said it expects.
        headers: name (any case) → value.
        body: uncompressed; empty for a 200 to a request for a range.
    """

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


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
            return _read_local(url, byte_range, expected)
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
        request = _Request(self._pools, url, fields, index_name, index_url)
        attempt = 0
        while isinstance(outcome := request.send(expected), _Trouble):
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


@dataclass(frozen=True, slots=True)
class _Trouble:
    """Why there is no usable answer.

    Args:
        reason: for the message.
        status: of the answer, 0 where there was none.
        hints: what the user can do.
        is_final: asking again will not help.
        retry_after_s: how long the server asks to wait.
    """

    reason: str
    status: int = 0
    hints: tuple[str, ...] = ()
    is_final: bool = False
    retry_after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _Request:
    """One GET, to be sent as often as it takes."""

    pools: ConnectionPools
    url: str
    fields: Mapping[str, str]
    index_name: str
    index_url: str

    def send(self, expected: frozenset[int]) -> Response | _Trouble:
        """Ask once."""
        from urllib3.exceptions import HTTPError

        try:
            answer = self.pools.get(self.url, self.fields, self.index_name, self.index_url)
        except (HTTPError, OSError, ValueError) as error:
            return _explain(error)
        try:
            return self._read(answer, expected)
        except (HTTPError, OSError) as error:
            answer.close()
            return _explain(error)

    def _read(self, answer: BaseHTTPResponse, expected: frozenset[int]) -> Response | _Trouble:
        status = answer.status
        if status >= 300 and status != 304 and status not in expected:
            answer.drain_conn()
            return _explain_status(status, answer.headers.get("Retry-After", ""))
        if status == 200 and "Range" in self.fields:
            answer.close()  # a whole wheel is on its way: nobody wants to wait for it here
            body = b""
        else:
            body = answer.read(_LARGEST_BODY_BYTES, decode_content=True)
            if answer.read(1):
                answer.close()
                return _Trouble("the answer is larger than 1 GB", is_final=True)
        answer.release_conn()
        return Response(_final_url(self.url, answer), status, answer.headers, body)

    def failure(self, trouble: _Trouble, attempts: int) -> NetworkError:
        """The error to raise."""
        context = [f"url: {redact(self.url)}"]
        if attempts > 1:
            context.append(f"tried {attempts} times")
        hints = list(trouble.hints)
        if trouble.status in (401, 403):
            context += describe_lookups(self.url, self.index_name, self.index_url)
            if self.index_name:
                prefix = variable_prefix(self.index_name)
                hints.insert(0, f"set {prefix}_USERNAME and {prefix}_PASSWORD, or use netrc or keyring")
        host = redact(self.url).partition("://")[2].partition("/")[0].rpartition("@")[2]
        message = f"{host} cannot be used: {trouble.reason}"
        return NetworkError(message, context=context, hints=hints)


def _final_url(url: str, answer: BaseHTTPResponse) -> str:
    """Where an answer came from after redirects, which may be relative; without credentials."""
    from urllib.parse import urljoin

    for step in answer.retries.history if answer.retries else ():
        if step.redirect_location:
            url = urljoin(url, step.redirect_location)
    return split_credentials(url)[0]


def _read_local(url: str, byte_range: str, expected: frozenset[int]) -> Response:
    body = read_file_url(url, byte_range)
    if body is None:
        if 404 in expected:
            return Response(url, 404, {}, b"")
        raise NetworkError("a file is missing", context=[f"url: {url}"], hints=["check the index's URL"])
    content, total_bytes = body
    if not byte_range:
        return Response(url, 200, {}, content)
    start = total_bytes - len(content) if byte_range.startswith("-") else int(byte_range.partition("-")[0])
    covered = f"bytes {start}-{start + len(content) - 1}/{total_bytes}"
    return Response(url, 206, {"Content-Range": covered}, content)


_STATUS_HINTS: Mapping[int, tuple[str, ...]] = {
    401: ("check user and password, and that they are for this server",),
    403: (
        "check that these credentials allow it",
        "an index that answers 403 for projects it does not have: set explicit = true, and name what it "
        "serves in tool.envforge.sources",
    ),
    404: ("check the index's URL",),
    407: ("put the proxy's user and password into HTTPS_PROXY",),
    429: ("wait, then run the command again: what has arrived is cached",),
}


def _explain_status(status: int, retry_after: str) -> _Trouble:
    from http import HTTPStatus

    phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else ""
    reason = f"the server answers {status} {phrase}".strip()
    if status not in _TRANSIENT:
        return _Trouble(reason, status, _STATUS_HINTS.get(status, ()), is_final=True)
    hints = _STATUS_HINTS.get(status, ("the server has a problem: run the command again later",))
    return _Trouble(reason, status, hints, retry_after_s=_parse_retry_after(retry_after))


def _parse_retry_after(text: str) -> float:
    """Seconds, from a number or from a date."""
    if text.strip().isdecimal():
        return float(text)
    if not text:
        return 0.0
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError):
        return 0.0


def _pause_s(attempt: int, retry_after_s: float) -> float:
    """How long to wait before the next try: longer each time, never in step with other processes."""
    longest = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**attempt)
    return max(min(retry_after_s, _LONGEST_RETRY_AFTER_S), uniform(longest / 2, longest))


_CONNECTION_HINT = "check the connection and the proxy settings (HTTPS_PROXY, NO_PROXY)"
_OFFLINE_HINT = "with --offline what is cached is used"


def _explain(error: Exception) -> _Trouble:
    """What broke, in words, and whether it may pass."""
    import socket
    import ssl

    from urllib3 import exceptions as http

    cause: BaseException = error
    while isinstance(inner := getattr(cause, "reason", None), BaseException):
        cause = inner
    if isinstance(cause, (http.SSLError, ssl.SSLError)) and "CERTIFICATE_VERIFY_FAILED" in str(cause):
        hint = "name a file with your certificate authorities in SSL_CERT_FILE (a proxy may have its own)"
        return _Trouble(f"its certificate is not trusted: {_short(cause)}", hints=(hint,), is_final=True)
    if isinstance(cause, http.NameResolutionError):
        inner = cause.__cause__
        unknown = isinstance(inner, socket.gaierror) and inner.errno == socket.EAI_NONAME
        hints = (_CONNECTION_HINT, _OFFLINE_HINT)
        return _Trouble("its name cannot be resolved", hints=hints, is_final=unknown)
    if isinstance(cause, (http.LocationParseError, ValueError)):
        return _Trouble("this is no URL", hints=("correct the URL of the index",), is_final=True)
    if isinstance(cause, http.ProxyError) or isinstance(error, http.ProxyError):
        return _Trouble(f"the proxy does not work: {_short(cause)}", hints=(_CONNECTION_HINT,))
    if isinstance(error, http.MaxRetryError) and "redirects" in str(cause):
        return _Trouble("it redirects in a circle", hints=("check the URL of the index",), is_final=True)
    if isinstance(cause, http.TimeoutError) and not isinstance(cause, http.NewConnectionError):
        return _Trouble("it does not answer in time", hints=(_CONNECTION_HINT, _OFFLINE_HINT))
    return _Trouble(_short(cause), hints=(_CONNECTION_HINT, _OFFLINE_HINT))


def _short(error: BaseException) -> str:
    """The text of an error without the objects that urllib3 prints, and without credentials."""
    text = str(error.args[0]) if error.args and isinstance(error.args[0], str) else str(error)
    return redact(text.split("): ", 1)[-1].strip()) or type(error).__name__
