"""One request for a small answer: the answer, or what is the matter, in words.

Imported when something is sent: most runs find what they need in the cache.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from envforge.errors import NetworkError
from envforge.net.auth import describe_lookups, redact, split_credentials, variable_prefix
from envforge.net.local_files import read_file_url
from envforge.struct import Struct

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

    from envforge.net.pools import ConnectionPools

_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_LARGEST_BODY_BYTES = 1 << 30


class Response(Struct, frozen=True):
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
    body: bytes


class Trouble(Struct, frozen=True):
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


class Request(Struct, frozen=True):
    """One GET, to be sent as often as it takes."""

    pools: ConnectionPools
    url: str
    fields: Mapping[str, str]
    index_name: str
    index_url: str

    def send(self, expected: frozenset[int]) -> Response | Trouble:
        """Ask once."""
        from urllib3 import exceptions as http

        try:
            answer = self.pools.get(self.url, self.fields, self.index_name, self.index_url)
        except (http.HTTPError, OSError, ValueError) as error:
            return _explain(error)
        try:
            return self._read(answer, expected)
        except (http.HTTPError, OSError) as error:
            answer.close()
            return _explain(error)

    def _read(self, answer: BaseHTTPResponse, expected: frozenset[int]) -> Response | Trouble:
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
                return Trouble("the answer is larger than 1 GB", is_final=True)
        answer.release_conn()
        return Response(_final_url(self.url, answer), status, answer.headers, body)

    def failure(self, trouble: Trouble, attempts: int) -> NetworkError:
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


def read_local(url: str, byte_range: str, expected: frozenset[int]) -> Response:
    """The answer to a request for a ``file:`` URL; see :meth:`envforge.net.client.HttpClient.get`."""
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


def _explain_status(status: int, retry_after: str) -> Trouble:
    from http import HTTPStatus

    phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else ""
    reason = f"the server answers {status} {phrase}".strip()
    if status not in _TRANSIENT:
        return Trouble(reason, status, _STATUS_HINTS.get(status, ()), is_final=True)
    hints = _STATUS_HINTS.get(status, ("the server has a problem: run the command again later",))
    return Trouble(reason, status, hints, retry_after_s=_parse_retry_after(retry_after))


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


_CONNECTION_HINT = "check the connection and the proxy settings (HTTPS_PROXY, NO_PROXY)"
_OFFLINE_HINT = "with --offline what is cached is used"


def _explain(error: Exception) -> Trouble:
    """What broke, in words, and whether it may pass."""
    import socket
    import ssl

    from urllib3 import exceptions as http

    cause: BaseException = error
    while isinstance(inner := getattr(cause, "reason", None), BaseException):
        cause = inner
    if isinstance(cause, (http.SSLError, ssl.SSLError)) and "CERTIFICATE_VERIFY_FAILED" in str(cause):
        hint = "name a file with your certificate authorities in SSL_CERT_FILE (a proxy may have its own)"
        return Trouble(f"its certificate is not trusted: {_short(cause)}", hints=(hint,), is_final=True)
    if isinstance(cause, http.NameResolutionError):
        inner = cause.__cause__
        unknown = isinstance(inner, socket.gaierror) and inner.errno == socket.EAI_NONAME
        hints = (_CONNECTION_HINT, _OFFLINE_HINT)
        return Trouble("its name cannot be resolved", hints=hints, is_final=unknown)
    if isinstance(cause, (http.LocationParseError, ValueError)):
        return Trouble("this is no URL", hints=("correct the URL of the index",), is_final=True)
    if isinstance(cause, http.ProxyError) or isinstance(error, http.ProxyError):
        return Trouble(f"the proxy does not work: {_short(cause)}", hints=(_CONNECTION_HINT,))
    if isinstance(error, http.MaxRetryError) and "redirects" in str(cause):
        return Trouble("it redirects in a circle", hints=("check the URL of the index",), is_final=True)
    if isinstance(cause, http.TimeoutError) and not isinstance(cause, http.NewConnectionError):
        return Trouble("it does not answer in time", hints=(_CONNECTION_HINT, _OFFLINE_HINT))
    return Trouble(_short(cause), hints=(_CONNECTION_HINT, _OFFLINE_HINT))


def _short(error: BaseException) -> str:
    """The text of an error without the objects that urllib3 prints, and without credentials."""
    text = str(error.args[0]) if error.args and isinstance(error.args[0], str) else str(error)
    return redact(text.split("): ", 1)[-1].strip()) or type(error).__name__
