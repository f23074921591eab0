"""What has happened so far: events added up. Neither prints nor knows who will."""

from __future__ import annotations

from threading import Lock
from time import monotonic

from envforge.events import (
    BuildFinished,
    BuildStarted,
    CheckPlanned,
    CheckProgressed,
    DownloadFinished,
    DownloadProgressed,
    DownloadStarted,
    Event,
    FetchPlanned,
    MetadataFetched,
    PrefixFinished,
    PrefixStarted,
    ResolutionFinished,
    ResolutionStarted,
    TreeStored,
    WaitingFinished,
    WaitingForOwner,
)
from envforge.struct import Struct, field


class Transfer(Struct):
    """A download under way; ``size_bytes`` is 0 where nobody knows it."""

    filename: str
    size_bytes: int
    received_bytes: int = 0


class Tally(Struct):
    """Sums over the events of one command. Safe to be told things from many threads.

    Attributes:
        resolving: label of the target that is being resolved, ``""`` for none.
        metadata_count: releases whose metadata was read for it.
        resolved: label of each finished target → packages.
        resolving_s: time that the resolutions took together.
        planned_files, planned_bytes: what is to be fetched; bytes as far as they are known.
        finished_files, received_bytes: what of it is here.
        stored_files: what of it is unpacked.
        fetching_since_s: monotonic clock when the first fetch was planned.
        transfers: downloads under way.
        builds: what is being built.
        linking: conda packages of the prefix that is being made, 0 for none.
        check_bytes, checked_bytes: what is to be compared with what was stored, and what has been.
        waiting: what other processes hold → the last that was heard of its owner.
    """

    resolving: str = ""
    metadata_count: int = 0
    resolved: dict[str, int] = field(default_factory=dict)
    resolving_s: float = 0.0
    planned_files: int = 0
    planned_bytes: int = 0
    finished_files: int = 0
    received_bytes: int = 0
    stored_files: int = 0
    fetching_since_s: float = 0.0
    transfers: dict[str, Transfer] = field(default_factory=dict)
    builds: list[str] = field(default_factory=list)
    linking: int = 0
    check_bytes: int = 0
    checked_bytes: int = 0
    waiting: dict[str, WaitingForOwner] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)
    _resolving_since_s: float = 0.0

    def add(self, event: Event) -> None:
        """Take an event in."""
        with self.lock:
            if isinstance(event, DownloadProgressed):  # by far the most frequent
                self._progress(event)
                return
            match event:
                case WaitingForOwner():
                    self.waiting[event.what] = event
                case WaitingFinished():
                    self.waiting.pop(event.what, None)
                case ResolutionStarted() | MetadataFetched() | ResolutionFinished():
                    self._resolve(event)
                case FetchPlanned() | DownloadStarted() | DownloadFinished():
                    self._fetch(event)
                case TreeStored():
                    self.stored_files += 1
                case PrefixStarted():
                    self.linking = event.package_count
                case PrefixFinished():
                    self.linking = 0
                    self.stored_files = self.planned_files  # its archives make no trees
                case CheckPlanned():
                    self.check_bytes, self.checked_bytes = event.size_bytes, 0
                case CheckProgressed():
                    self.checked_bytes += event.size_bytes
                case BuildStarted():
                    self.builds.append(event.what)
                case BuildFinished() if event.what in self.builds:
                    self.builds.remove(event.what)

    def biggest_transfers(self, most: int) -> list[Transfer]:
        """Copies of the transfers under way with the most bytes to come, biggest first."""
        with self.lock:
            transfers = sorted(self.transfers.values(), key=lambda item: (-item.size_bytes, item.filename))
            return [
                Transfer(item.filename, item.size_bytes, item.received_bytes) for item in transfers[:most]
            ]

    def waits(self, most: int) -> list[WaitingForOwner]:
        """What is waited for, longest first."""
        with self.lock:
            return list(self.waiting.values())[:most]

    def _resolve(self, event: Event) -> None:
        match event:
            case ResolutionStarted(target=target):
                self.resolving, self.metadata_count = target, 0
                self._resolving_since_s = monotonic()
            case MetadataFetched(known_count=count):
                self.metadata_count = max(self.metadata_count, count)
            case ResolutionFinished(target=target, package_count=package_count):
                self.resolved[target] = package_count
                self.resolving = ""
                if self._resolving_since_s:
                    self.resolving_s += monotonic() - self._resolving_since_s

    def _fetch(self, event: Event) -> None:
        match event:
            case FetchPlanned(file_count=file_count, size_bytes=size_bytes):
                if self.finished_files >= self.planned_files:  # another fetch, of a build for example
                    self.planned_files = self.planned_bytes = 0
                    self.finished_files = self.received_bytes = self.stored_files = 0
                    self.fetching_since_s = monotonic()
                self.planned_files += file_count
                self.planned_bytes += size_bytes
            case DownloadStarted(filename=filename, size_bytes=size_bytes):
                # Started again after a failure: what had arrived is thrown away and does not count.
                former = self.transfers.get(filename)
                self.received_bytes -= former.received_bytes if former else 0
                self.transfers[filename] = Transfer(filename, size_bytes or 0)
            case DownloadFinished(filename=filename):
                self.transfers.pop(filename, None)
                self.finished_files += 1

    def _progress(self, event: DownloadProgressed) -> None:
        self.received_bytes += event.received_bytes
        transfer = self.transfers.get(event.filename)
        if transfer is not None:
            transfer.received_bytes += event.received_bytes
