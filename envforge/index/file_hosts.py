"""What the servers of files can do, learned once and remembered for a day.

An index may list files of a server that has ``.metadata`` beside each wheel without advertising it,
and a server may not know ranges. Both are found out with the first file, by one thread, and spare a
useless request for every other file.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

from envforge.net.cache import EntryFolder
from envforge.struct import Struct, field

CACHE_NAME = "file-hosts-v1"
_REMEMBERED_S = 86400.0


class FileHost(Struct):
    """One server.

    Args:
        name: host and port.
        serves_metadata: it has had a ``.metadata`` file, which no index advertises, for every wheel so
            far; None if nobody has asked.
        serves_ranges: it answers requests for a part of a file; assumed until it does not.
    """

    name: str
    serves_metadata: bool | None = None
    serves_ranges: bool = True
    lock: threading.Lock = field(default_factory=threading.Lock)


class FileHosts:
    """All servers of a run.

    Args:
        cache: root of the cache.
        now_s: seconds since the epoch.
        refresh: what is remembered is not believed.
    """

    def __init__(self, cache: Path, now_s: float, refresh: bool = False) -> None:
        self._entries = EntryFolder(cache / CACHE_NAME)
        self._now_s = now_s
        self._refresh = refresh
        self._hosts: dict[str, FileHost] = {}
        self._lock = threading.Lock()

    def find(self, url: str) -> FileHost:
        """The server of a URL."""
        name = url.split("/", 3)[2]
        host = self._hosts.get(name)
        if host is None:
            with self._lock:
                host = self._hosts.setdefault(name, self._recall(name))
        return host

    def learn_metadata(self, host: FileHost, probe: Callable[[], bool]) -> bool:
        """Whether a server has metadata files: as known, else as ``probe`` finds, called by one thread."""
        if host.serves_metadata is None:
            with host.lock:
                if host.serves_metadata is None:
                    host.serves_metadata = probe()
                    self._remember(host)
        return host.serves_metadata

    def note_no_metadata(self, host: FileHost) -> None:
        """A file has none after all: a second question for every other one costs more than it saves."""
        host.serves_metadata = False
        self._remember(host)

    def note_no_ranges(self, host: FileHost) -> None:
        """The server has sent a whole file, or an error, instead of a part."""
        host.serves_ranges = False
        self._remember(host)

    def _recall(self, name: str) -> FileHost:
        part = self._entries.read_part(self._entries.key(name), 0, -1)
        if part is not None and not self._refresh and 0 <= self._now_s - part.stamp_s < _REMEMBERED_S:
            try:
                fields = json.loads(part.content)
                return FileHost(name, fields["metadata"], bool(fields["ranges"]))
            except (ValueError, KeyError, TypeError):
                pass
        return FileHost(name)

    def _remember(self, host: FileHost) -> None:
        fields = {"metadata": host.serves_metadata, "ranges": host.serves_ranges}
        self._entries.write(self._entries.key(host.name), json.dumps(fields).encode(), self._now_s)
