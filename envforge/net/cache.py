"""Answers of servers, kept on disk: when they are fresh, how to ask whether they still hold, safe files.

Freshness is a pure question: the clock is an argument. Entries are written aside and renamed, so a
reader sees a whole entry or none, and what cannot be read counts as not there. Where the cache cannot
be written at all, work goes on without it.

Standard: RFC 9111 (a private cache; ``Vary`` is not looked at, because every entry is asked for with
the same headers). The name of a folder of entries ends in the version of their layout.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from envforge.hashing import sha256

UNTOLD_FRESH_S = 600.0
"""How long an answer is fresh when its server says nothing."""
_SIGN = stat.S_ISGID | stat.S_IWGRP
_SHARED = stat.S_ISGID | stat.S_IRWXG


class Validity(NamedTuple):
    """How long an answer is fresh, and how to ask for news.

    Args:
        lifetime_s: seconds for which it is fresh after it was received or confirmed.
        etag: as the server wrote it, ``""`` for none.
        modified: ``Last-Modified``, likewise.
    """

    lifetime_s: float
    etag: str = ""
    modified: str = ""

    def conditions(self) -> dict[str, str]:
        """Headers that let the server answer 304 where nothing has changed."""
        if self.etag:
            return {"If-None-Match": self.etag}
        return {"If-Modified-Since": self.modified} if self.modified else {}

    def is_fresh(self, stamp_s: float, now_s: float) -> bool:
        """Whether an answer of ``stamp_s`` need not be asked for; one from the future is not believed."""
        return 0 <= now_s - stamp_s < self.lifetime_s


def may_be_stored(headers: Mapping[str, str]) -> bool:
    """Whether the server allows to keep the answer."""
    return "no-store" not in _cache_control(headers)


def validity_of(headers: Mapping[str, str]) -> Validity:
    """What an answer's headers (names in any case) say about it."""
    return Validity(
        lifetime_s=_lifetime_s(headers),
        etag=headers.get("ETag", ""),
        modified=headers.get("Last-Modified", ""),
    )


def _lifetime_s(headers: Mapping[str, str]) -> float:
    control = _cache_control(headers)
    if "no-cache" in control or "no-store" in control:
        return 0.0
    age = headers.get("Age", "").strip()
    age_s = float(age) if age.isdecimal() else 0.0
    max_age = control.get("max-age", "")
    if max_age.isdecimal():
        return max(0.0, float(max_age) - age_s)
    if headers.get("Expires"):
        return max(0.0, _seconds_between(headers.get("Date", ""), headers["Expires"]) - age_s)
    return UNTOLD_FRESH_S


def _cache_control(headers: Mapping[str, str]) -> dict[str, str]:
    directives = (part.strip().partition("=") for part in headers.get("Cache-Control", "").split(","))
    return {name.strip().lower(): value.strip(' "') for name, _, value in directives if name}


def _seconds_between(earlier: str, later: str) -> float:
    """Between two HTTP dates; 0 where one cannot be read (``Expires: 0`` means "already expired")."""
    from email.utils import parsedate_to_datetime

    try:
        return (parsedate_to_datetime(later) - parsedate_to_datetime(earlier)).total_seconds()
    except (ValueError, TypeError):
        return 0.0


class StoredPart(NamedTuple):
    """Some bytes of an entry.

    Args:
        content: as many bytes as were asked for, fewer at the end of the entry.
        total_bytes: of the whole entry.
        stamp_s: when it was written or confirmed, seconds since the epoch.
    """

    content: bytes
    total_bytes: int
    stamp_s: float


class EntryFolder:
    """Files under keys, each with the time at which it was known to be right.

    That time is the file's modification time, so that to confirm an entry of megabytes costs nothing.

    Args:
        folder: made when the first entry is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._made: set[str] = set()

    @staticmethod
    def key(*parts: str) -> str:
        """A file's name for texts of any kind."""
        return sha256("\0".join(parts).encode()).hexdigest()[:40]

    def path(self, key: str) -> str:
        """Where an entry stands, or would stand. Keys are spread over 16 folders."""
        return f"{self._folder}{os.sep}{key[:1]}{os.sep}{key[1:]}"

    def read(self, key: str) -> bytes | None:
        """A whole entry, None if there is none."""
        part = self.read_part(key, 0, -1)
        return part.content if part else None

    def read_part(self, key: str, offset: int, length: int) -> StoredPart | None:
        """Bytes of an entry (all that follow for a negative length), None if there is no entry."""
        try:
            handle = os.open(self.path(key), os.O_RDONLY | getattr(os, "O_BINARY", 0))
        except OSError:
            return None
        try:
            status = os.fstat(handle)
            if offset:
                os.lseek(handle, offset, os.SEEK_SET)
            content = os.read(handle, length if length >= 0 else max(0, status.st_size - offset))
            return StoredPart(content, status.st_size, status.st_mtime)
        except OSError:
            return None
        finally:
            os.close(handle)

    def write(self, key: str, content: bytes, stamp_s: float | None = None) -> bool:
        """Store an entry; False where the disk does not let us, which costs time later and nothing else."""
        path = self.path(key)
        aside = f"{path}.{os.urandom(8).hex()}"
        try:
            self._make_folder(os.path.dirname(path))  # noqa: PTH120
            handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
            try:
                _write_all(handle, content)
                mode = os.fstat(handle).st_mode
                if not mode & stat.S_IRGRP and hasattr(os, "fchmod") and _is_shared(os.path.dirname(path)):  # noqa: PTH120
                    os.fchmod(handle, mode | stat.S_IRGRP)
            finally:
                os.close(handle)
            if stamp_s is not None:
                os.utime(aside, (stamp_s, stamp_s))
            os.replace(aside, path)  # noqa: PTH105
        except OSError:
            self._made.clear()
            _remove(aside)
            return False
        return True

    def confirm(self, key: str, stamp_s: float) -> None:
        """Note that an entry is still right."""
        with suppress(OSError):
            os.utime(self.path(key), (stamp_s, stamp_s))

    def remove(self, key: str) -> None:
        """Forget an entry."""
        _remove(self.path(key))

    def _make_folder(self, folder: str) -> None:
        """Make a folder with its parents; where a group shares the one above it, for the group."""
        if folder in self._made or os.path.isdir(folder):  # noqa: PTH112
            self._made.add(folder)
            return
        parent = os.path.dirname(folder)  # noqa: PTH120
        self._make_folder(parent)
        with suppress(FileExistsError):
            os.mkdir(folder)  # noqa: PTH102
            if _is_shared(parent):
                os.chmod(folder, os.stat(folder).st_mode | _SHARED)  # noqa: PTH101, PTH116
        self._made.add(folder)


def _is_shared(folder: str) -> bool:
    """Whether a group shares a folder: it may write there, and what is made there is the group's."""
    return os.stat(folder).st_mode & _SIGN == _SIGN  # noqa: PTH116


def _write_all(handle: int, content: bytes) -> None:
    written = os.write(handle, content)
    while written < len(content):
        written += os.write(handle, content[written:])


def _remove(path: str) -> None:
    with suppress(OSError):
        os.unlink(path)  # noqa: PTH108
