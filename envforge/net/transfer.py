"""A file on its way over the network: its bytes in order, each once, hashed, resumed where they broke off.

Standards: RFC 9110 (ranges, If-Range, Retry-After). Where the bytes go is the caller's business; he may
only trust them when :meth:`Transfer.is_right` says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from hashlib import sha256 as new_sha256
from random import uniform
from typing import TYPE_CHECKING, NoReturn

from envforge.errors import HashError, NetworkError
from envforge.events import DownloadProgressed, Reporter
from envforge.net.auth import redact

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

PIECE_BYTES = 1 << 18
"""Small enough to be stopped, and to show progress, on a slow line."""
_PROGRESS_BYTES = 1 << 18
"""A try that got this far does not count: a bad line must not make a large file impossible."""
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_FIRST_PAUSE_S, _LONGEST_PAUSE_S, _LONGEST_RETRY_AFTER_S = 0.25, 8.0, 60.0

Ask = Callable[[Mapping[str, str]], "BaseHTTPResponse"]
"""Sends a GET for the file with these headers."""


class BeginningChangedError(Exception):
    """The server has another file now than the one whose beginning was handed out: start again."""


class _BrokenTransferError(Exception):
    """A transfer that may go better next time."""

    def __init__(self, reason: str, retry_after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class Transfer:
    """One file: how much of it was handed out, its digest, and what the server said about the whole.

    Args:
        ask: sends a GET.
        url: for errors.
        sha256: digest that the file must have, hex; ``""`` where nobody knows it.
        size_bytes: its length, None if it is not known.
        filename: what to call it in events and errors.
        retries: how often it is tried again without progress.
        reporter: is told how far it got.
        check: called for every piece and while waiting; raises to stop.
    """

    def __init__(
        self,
        ask: Ask,
        *,
        url: str,
        sha256: str,
        size_bytes: int | None,
        filename: str,
        retries: int,
        reporter: Reporter,
        check: Callable[[], None],
    ) -> None:
        self._ask = ask
        self._url = url
        self._sha256 = sha256
        self._size_bytes = size_bytes
        self._filename = filename
        self._retries = retries
        self._reporter = reporter
        self._check = check
        self._digest = new_sha256()
        self._validator = ""
        self.received = 0
        self.resumed = False
        self.total_bytes = size_bytes

    def pieces(self) -> Generator[bytes, None, None]:
        """What is missing, in order; tried again as often as the settings allow without progress.

        After the first piece ``total_bytes`` is known, if the server tells it.

        Raises:
            BeginningChangedError: what was handed out is not the beginning of what comes now.
            HashError: the file grows beyond its length, or the server has one of another length.
            NetworkError: the server cannot be reached or does not give the file.
        """
        failures = 0
        while self._size_bytes is None or self.received < self._size_bytes:
            before = self.received
            try:
                yield from self._receive()
                return
            except _BrokenTransferError as broken:
                failures = 1 if self.received >= before + _PROGRESS_BYTES else failures + 1
                if failures > self._retries:
                    raise self._failure(str(broken)) from broken.__cause__
                self.resumed = self.resumed or self.received > 0
                _pause(failures, broken.retry_after_s, self._check)

    def adopt(self, piece: bytes) -> None:
        """Count bytes that are here from an earlier run as received."""
        self._check()
        self._count(piece)
        self.resumed = True

    def forget(self) -> None:
        """Start again from the first byte."""
        received, self.received = self.received, 0
        self._digest = new_sha256()
        self._validator = ""
        self.resumed = False
        if received:
            self._report(-received)

    def is_right(self) -> bool:
        """Whether what was received is the locked file."""
        expected = self._sha256 in ("", self._digest.hexdigest())
        return expected and self._size_bytes in (None, self.received)

    def is_too_long(self) -> bool:
        """Whether more was received than the file has."""
        return self._size_bytes is not None and self.received > self._size_bytes

    def find_range(self, start: int, end: int) -> bytes | None:
        """Bytes of the file by a request of their own: from ``start`` to before ``end``.

        None where the server does not give them. They are not counted and not hashed: compare them
        with the pieces when these arrive.
        """
        from urllib3 import exceptions as http

        try:
            response = self._ask({"Range": f"bytes={start}-{end - 1}"})
        except (http.HTTPError, OSError):
            return None
        try:
            if response.status != 206 or _is_coded(response):
                return None
            if _parse_range(response.headers.get("Content-Range", ""))[0] != start:
                return None
            data = response.read(end - start, decode_content=False)
            return data if len(data) == end - start else None
        except (http.HTTPError, OSError):
            return None
        finally:
            response.close()

    def refuse(self, got: str = "") -> NoReturn:
        """Say that it is not the locked file.

        Raises:
            HashError: always.
        """
        length = f", {self._size_bytes} bytes" if self._size_bytes else ""
        raise HashError(
            f"{self._filename} from the server is not the file that was locked",
            context=[
                f"expected: sha256 {self._sha256}{length}",
                f"got: {got or f'sha256 {self._digest.hexdigest()}, {self.received} bytes'}",
                f"url: {redact(self._url)}",
            ],
            hints=[
                "if the file was replaced on purpose, lock again with `envforge lock --upgrade-package NAME`",
                "else do not trust this server: a release must not change",
            ],
        )

    def _receive(self) -> Iterator[bytes]:
        """One request, from where we are to the end of the file."""
        response = self._request()
        try:
            again = self._check_answer(response)
            pieces = self._read(response) if response.status != 416 else iter(())
            for piece in self._skip(pieces, again) if again else pieces:
                self._check()
                self._take(piece)
                yield piece
        finally:
            # an unread rest would have to be received before the connection could be used again
            response.close()
        if self.total_bytes is not None and self.received < self.total_bytes:
            raise _BrokenTransferError(
                f"the connection ended after {self.received} of {self.total_bytes} bytes"
            )

    def _request(self) -> BaseHTTPResponse:
        """Ask for the file, or for what is missing of it."""
        from urllib3 import exceptions as http

        headers = {}
        if self.received:
            headers["Range"] = f"bytes={self.received}-"
            if self._validator:
                headers["If-Range"] = self._validator
        try:
            return self._ask(headers)
        except (http.HTTPError, OSError) as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                hint = "name the file with your certificate authorities in SSL_CERT_FILE"
                raise self._failure("the server's certificate is not trusted", hint) from error
            raise _BrokenTransferError(_reason(error)) from error

    def _check_answer(self, response: BaseHTTPResponse) -> int:
        """Learn the length of the whole; returns how many bytes of the body we have already."""
        status = response.status
        if status in _TRANSIENT:
            raise _BrokenTransferError(f"the server answers {status}", _retry_after_s(response))
        if status == 416 and self.received:
            if not self.is_right():
                raise BeginningChangedError  # the server's file is shorter than what was received
            self.total_bytes = self.received
            return 0
        if status not in (200, 206):
            raise self._failure(f"the server answers {status}", _STATUS_HINTS.get(status, ""))
        again, total = self._placed(response)
        etag = response.headers.get("ETag", "")
        coded = _is_coded(response)
        self._validator = "" if etag.startswith("W/") or coded else etag
        if total is not None and self._size_bytes is not None and total != self._size_bytes:
            self.refuse(f"{total} bytes")
        self.total_bytes = total if total is not None else (None if coded else self._size_bytes)
        return again

    def _placed(self, response: BaseHTTPResponse) -> tuple[int, int | None]:
        """(bytes of the body that were received before, length of the whole file if it is told)."""
        if response.status == 200:
            length = response.headers.get("Content-Length", "")
            return self.received, int(length) if length.isdecimal() and not _is_coded(response) else None
        start, total = _parse_range(response.headers.get("Content-Range", ""))
        if start != self.received:
            raise BeginningChangedError  # another range than the one asked for
        return 0, total

    def _skip(self, pieces: Iterator[bytes], count: int) -> Iterator[bytes]:
        """Leave out bytes that come again, from a server without ranges; they must be the same as before."""
        digest = new_sha256()
        left = count
        for piece in pieces:
            self._check()
            digest.update(piece[:left])
            if left < len(piece):
                if left and digest.digest() != self._digest.digest():
                    raise BeginningChangedError
                yield piece[left:] if left else piece
            left = max(0, left - len(piece))
        if left:
            raise BeginningChangedError

    def _read(self, response: BaseHTTPResponse) -> Iterator[bytes]:
        from urllib3 import exceptions as http

        coded = _is_coded(response)
        while True:
            try:
                piece = response.read(PIECE_BYTES, decode_content=coded)
            except (http.HTTPError, OSError) as error:
                raise _BrokenTransferError(_reason(error)) from error
            if not piece:
                return
            yield piece

    def _take(self, piece: bytes) -> None:
        """Count a piece; a file that grows beyond its length is refused at once."""
        if self._size_bytes is not None and self.received + len(piece) > self._size_bytes:
            self.refuse(f"more than {self._size_bytes} bytes")
        self._count(piece)

    def _count(self, piece: bytes) -> None:
        self._digest.update(piece)
        self.received += len(piece)
        self._report(len(piece))

    def _report(self, byte_count: int) -> None:
        self._reporter.report(DownloadProgressed(filename=self._filename, received_bytes=byte_count))

    def _failure(self, reason: str, hint: str = "") -> NetworkError:
        return NetworkError(
            f"{self._filename} cannot be downloaded: {reason}",
            context=[f"url: {redact(self._url)}"],
            hints=[hint or "check the connection and run the command again; it goes on where it stopped"],
        )


_STATUS_HINTS = {
    401: "give credentials for this index (URL, netrc, or keyring)",
    403: "check that your credentials allow this file",
    404: "the file is gone from the server: lock again with `envforge lock`",
    407: "give the proxy's credentials in HTTPS_PROXY",
    410: "the file is gone from the server: lock again with `envforge lock`",
}


def _pause(failures: int, retry_after_s: float, check: Callable[[], None]) -> None:
    """Wait before the next try: longer each time, never in step with other processes."""
    longest = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** (failures - 1))
    end = time.monotonic() + max(min(retry_after_s, _LONGEST_RETRY_AFTER_S), uniform(longest / 2, longest))
    while (left := end - time.monotonic()) > 0:
        check()
        time.sleep(min(left, 0.1))


def _retry_after_s(response: BaseHTTPResponse) -> float:
    """Seconds that the server asks to wait; dates, which hardly anybody sends, count as none."""
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isdecimal() else 0.0


def _is_coded(response: BaseHTTPResponse) -> bool:
    """Whether the server compressed the body although it was asked not to; lengths mean nothing then."""
    return response.headers.get("Content-Encoding", "identity") != "identity"


def _parse_range(text: str) -> tuple[int, int | None]:
    """``bytes 5-9/10`` → (5, 10); start -1 if it cannot be read, total None for ``*``."""
    unit, _, rest = text.partition(" ")
    span, _, total = rest.partition("/")
    start = span.partition("-")[0]
    if unit.lower() != "bytes" or not start.isdecimal():
        return -1, None
    return int(start), int(total) if total.isdecimal() else None


def _reason(error: Exception) -> str:
    """What broke, without the pool objects that urllib3 prints and without credentials."""
    cause: BaseException = error
    while (inner := getattr(cause, "reason", None)) is not None and isinstance(inner, BaseException):
        cause = inner
    text = str(cause.args[0]) if cause.args and isinstance(cause.args[0], str) else str(cause)
    return redact(text.split("): ", 1)[-1]) or type(cause).__name__
