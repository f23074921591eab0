"""Downloads of archives: streamed to a file, hashed on the way, resumed where they broke off.

Standards: RFC 9110 (ranges, If-Range, Retry-After). What arrives is only ever used under its final
name, and it gets that name when its length and SHA-256 are the locked ones.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from hashlib import sha256 as new_sha256
from pathlib import Path
from random import uniform
from typing import TYPE_CHECKING

from envforge.errors import HashError, NetworkError, OfflineError
from envforge.events import DownloadFinished, DownloadProgressed, DownloadStarted, Reporter
from envforge.net.auth import redact

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

    from envforge.net.pools import ConnectionPools
    from envforge.net.settings import NetworkSettings

PIECE_BYTES = 1 << 18
"""Small enough to be stopped, and to show progress, on a slow line."""
_PROGRESS_BYTES = 1 << 18
"""A try that got this far does not count: a bad line must not make a large file impossible."""
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_FIRST_PAUSE_S, _LONGEST_PAUSE_S, _LONGEST_RETRY_AFTER_S = 0.25, 8.0, 60.0


_Ask = Callable[[Mapping[str, str]], "BaseHTTPResponse"]
"""Sends a GET for the file with these headers."""


class _BrokenTransferError(Exception):
    """A transfer that may go better next time."""

    def __init__(self, reason: str, retry_after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


def download(
    url: str,
    destination: Path,
    *,
    sha256: str,
    size_bytes: int | None,
    filename: str,
    index_name: str = "",
    index_url: str = "",
    pools: ConnectionPools,
    settings: NetworkSettings,
    reporter: Reporter,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Fetch a file to ``destination``; what an earlier run left in ``destination.part`` is used.

    Only one caller at a time may work on a destination.

    Args:
        url: with or without credentials.
        destination: the file; its folder must be there.
        sha256: digest that the file must have, hex; ``""`` where nobody knows it.
        size_bytes: its length, None if it is not known.
        filename: what to call it in events and errors.
        index_name: index it comes from, for credentials; ``""`` for none.
        index_url: that index's URL.
        pools: the connections to use.
        settings: time limits and retries.
        reporter: is told how far it got.
        check: called for every piece and while waiting; raises to stop.

    Raises:
        HashError: the server's file is not the locked one; nothing of it is kept.
        OfflineError: the network is forbidden.
        NetworkError: the server cannot be reached or does not give the file.
        OSError: the disk failed or is full.
    """
    if settings.offline:
        raise OfflineError(f"{filename} is not here, and the network is forbidden", context=[redact(url)])
    with _Transfer(url, destination, sha256, size_bytes, filename, reporter) as transfer:
        reporter.report(DownloadStarted(filename=filename, size_bytes=size_bytes))
        ask = partial(pools.get, url, index_name=index_name, index_url=index_url)
        transfer.fetch(ask, settings.retries, check)
    reporter.report(DownloadFinished(filename=filename))


class _Transfer:
    """One file on its way: the part that is here, its digest, and what the server said about the whole."""

    def __init__(
        self,
        url: str,
        destination: Path,
        sha256: str,
        size_bytes: int | None,
        filename: str,
        reporter: Reporter,
    ) -> None:
        self.url = url
        self.destination = destination
        self.sha256 = sha256
        self.size_bytes = size_bytes
        self.filename = filename
        self.reporter = reporter
        self.part = destination.with_name(f"{destination.name}.part")
        self.received = 0
        self.resumed = False
        self.validator = ""
        self.digest = new_sha256()
        self._handle = os.open(self.part, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)

    def __enter__(self) -> _Transfer:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if self._handle >= 0:
            os.close(self._handle)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            # kept, it would leave no room for anything else, not even for a smaller package
            self.part.unlink(missing_ok=True)

    def fetch(self, ask: _Ask, retries: int, check: Callable[[], None]) -> None:
        """Receive, verify, rename."""
        self._adopt_part(check)
        self._receive_all(ask, retries, check)
        if self.resumed and not self._is_right():
            # the beginning may be of an older file; a second try from nothing settles it
            self._restart()
            self._receive_all(ask, retries, check)
        if not self._is_right():
            self._refuse()
        os.close(self._handle)
        self._handle = -1
        self.part.replace(self.destination)

    def _receive_all(self, ask: _Ask, retries: int, check: Callable[[], None]) -> None:
        """Receive until nothing is missing, as often as the settings allow without progress."""
        failures = 0
        while self.size_bytes is None or self.received < self.size_bytes:
            before = self.received
            try:
                self._receive(ask, check)
                return
            except _BrokenTransferError as broken:
                failures = 1 if self.received >= before + _PROGRESS_BYTES else failures + 1
                if failures > retries:
                    raise self._failure(str(broken)) from broken.__cause__
                self.resumed = self.resumed or self.received > 0
                _pause(failures, broken.retry_after_s, check)

    def _receive(self, ask: _Ask, check: Callable[[], None]) -> None:
        """One request, from where we are to the end of the file."""
        response = self._request(ask)
        try:
            total = self._check_answer(response)
            for piece in self._pieces(response) if response.status != 416 else ():
                check()
                self._write(piece)
        finally:
            # an unread rest would have to be received before the connection could be used again
            response.close()
        if total is not None and self.received < total:
            raise _BrokenTransferError(f"the connection ended after {self.received} of {total} bytes")

    def _request(self, ask: _Ask) -> BaseHTTPResponse:
        """Ask for the file, or for what is missing of it."""
        from urllib3.exceptions import HTTPError

        headers = {}
        if self.received:
            headers["Range"] = f"bytes={self.received}-"
            if self.validator:
                headers["If-Range"] = self.validator
        try:
            return ask(headers)
        except (HTTPError, OSError) as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                hint = "name the file with your certificate authorities in SSL_CERT_FILE"
                raise self._failure("the server's certificate is not trusted", hint) from error
            raise _BrokenTransferError(_reason(error)) from error

    def _check_answer(self, response: BaseHTTPResponse) -> int | None:
        """Make sure that the body is what comes next; returns the length of the whole file if it is told."""
        status = response.status
        if status in _TRANSIENT:
            raise _BrokenTransferError(f"the server answers {status}", _retry_after_s(response))
        if status == 416 and self.received:
            if self._is_right():
                return self.received
            self._restart()
            raise _BrokenTransferError("the server's file is shorter than what was received")
        if status not in (200, 206):
            raise self._failure(f"the server answers {status}", _STATUS_HINTS.get(status, ""))
        coded = self._is_coded(response)
        if status == 200:
            if self.received:
                self._restart()  # no ranges, or another file than before
            length = response.headers.get("Content-Length", "")
            total = int(length) if length.isdecimal() and not coded else None
        else:
            start, total = _parse_range(response.headers.get("Content-Range", ""))
            if start != self.received:
                self._restart()
                raise _BrokenTransferError("the server sent another range than the one asked for")
        etag = response.headers.get("ETag", "")
        self.validator = "" if etag.startswith("W/") or coded else etag
        if total is not None and self.size_bytes is not None and total != self.size_bytes:
            self._refuse(f"{total} bytes")
        return total if total is not None else (None if coded else self.size_bytes)

    def _is_coded(self, response: BaseHTTPResponse) -> bool:
        """Whether the server compressed the body although it was asked not to; lengths mean nothing then."""
        return response.headers.get("Content-Encoding", "identity") != "identity"

    def _pieces(self, response: BaseHTTPResponse) -> Iterator[bytes]:
        from urllib3.exceptions import HTTPError

        coded = self._is_coded(response)
        while True:
            try:
                piece = response.read(PIECE_BYTES, decode_content=coded)
            except (HTTPError, OSError) as error:
                raise _BrokenTransferError(_reason(error)) from error
            if not piece:
                return
            yield piece

    def _write(self, piece: bytes) -> None:
        """Append to the part; a file that grows beyond its length is refused at once."""
        if self.size_bytes is not None and self.received + len(piece) > self.size_bytes:
            self._refuse(f"more than {self.size_bytes} bytes")
        written = 0
        while written < len(piece):
            written += os.write(self._handle, memoryview(piece)[written:] if written else piece)
        self.digest.update(piece)
        self._count(len(piece))

    def _count(self, byte_count: int) -> None:
        self.received += byte_count
        self.reporter.report(DownloadProgressed(filename=self.filename, received_bytes=byte_count))

    def _adopt_part(self, check: Callable[[], None]) -> None:
        """Hash what an earlier run has left and go on after it."""
        while piece := os.read(self._handle, PIECE_BYTES):
            check()
            self.digest.update(piece)
            self._count(len(piece))
        self.resumed = self.received > 0
        if self.size_bytes is not None and self.received > self.size_bytes:
            self._restart()

    def _restart(self) -> None:
        """Forget what was received."""
        os.ftruncate(self._handle, 0)
        os.lseek(self._handle, 0, os.SEEK_SET)
        self.digest = new_sha256()
        self.validator = ""
        self.resumed = False
        if self.received:
            self._count(-self.received)

    def _is_right(self) -> bool:
        is_expected = self.sha256 in ("", self.digest.hexdigest())
        return is_expected and self.size_bytes in (None, self.received)

    def _refuse(self, got: str = "") -> None:
        """Delete what came and say why.

        Raises:
            HashError: always.
        """
        self.part.unlink(missing_ok=True)
        raise HashError(
            f"{self.filename} from the server is not the file that was locked",
            context=[
                f"expected: sha256 {self.sha256}" + (f", {self.size_bytes} bytes" if self.size_bytes else ""),
                f"got: {got or f'sha256 {self.digest.hexdigest()}, {self.received} bytes'}",
                f"url: {redact(self.url)}",
            ],
            hints=[
                "if the file was replaced on purpose, lock again with `envforge lock --upgrade-package NAME`",
                "else do not trust this server: a release must not change",
            ],
        )

    def _failure(self, reason: str, hint: str = "") -> NetworkError:
        return NetworkError(
            f"{self.filename} cannot be downloaded: {reason}",
            context=[f"url: {redact(self.url)}"],
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
