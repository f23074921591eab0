"""What happened, as values. Libraries report events; terminal, JSON and tests listen.

Library code never prints. It is given a :class:`Reporter` and tells it facts; whoever calls
decides how (or whether) a person sees them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A fact that happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolutionStarted(Event):
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataFetched(Event):
    """Metadata of one release is known; ``count`` runs up during one resolution."""

    name: str
    version: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolutionFinished(Event):
    target: str
    package_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchPlanned(Event):
    """What a sync is going to fetch: number of files and, where the lock knows it, their bytes."""

    file_count: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadStarted(Event):
    filename: str
    size_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadProgressed(Event):
    """``received_bytes`` more bytes of the file have arrived."""

    filename: str
    received_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadFinished(Event):
    filename: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeStored(Event):
    """A distribution is unpacked, checked and visible in the store."""

    filename: str
    file_count: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildStarted(Event):
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildFinished(Event):
    what: str
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixStarted(Event):
    """A conda prefix is being made of so many packages."""

    package_count: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixFinished(Event):
    package_count: int
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkScriptRun(Event):
    """A script of a conda package was run, because the manifest allows it."""

    package: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingForOwner(Event):
    """Another process holds the guard that this one needs."""

    what: str
    owner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned(Event):
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandingOver(Event):
    """This process is about to become another program: who draws on the terminal has to be done first."""


class Reporter(Protocol):
    """Listens. Called from several threads at once; must be quick and must not raise."""

    def report(self, event: Event) -> None: ...


class SilentReporter:
    """Hears everything, says nothing."""

    def report(self, event: Event) -> None:
        """Drop the event."""
