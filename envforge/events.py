"""What happened, as values. Libraries report events; terminal, JSON and tests listen.

Library code never prints. It is given a :class:`Reporter` and tells it facts; whoever calls
decides how (or whether) a person sees them.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, TypeAlias


class ResolutionStarted(NamedTuple):
    """A target is being resolved."""

    target: str


class MetadataFetched(NamedTuple):
    """Metadata of one release is known; ``known_count`` runs up during one resolution."""

    name: str
    version: str
    known_count: int


class ResolutionFinished(NamedTuple):
    """A target has its pins."""

    target: str
    package_count: int


class FetchPlanned(NamedTuple):
    """What a sync is going to fetch: number of files and, where the lock knows it, their bytes."""

    file_count: int
    size_bytes: int


class DownloadStarted(NamedTuple):
    """The first bytes of a file are asked for; ``size_bytes`` is None where nobody told it."""

    filename: str
    size_bytes: int | None


class DownloadProgressed(NamedTuple):
    """``received_bytes`` more bytes of the file have arrived."""

    filename: str
    received_bytes: int


class DownloadFinished(NamedTuple):
    """A file is here and is the right one."""

    filename: str


class TreeStored(NamedTuple):
    """A distribution is unpacked, checked and visible in the store."""

    filename: str
    file_count: int
    size_bytes: int


class BuildStarted(NamedTuple):
    """A wheel is being built; ``log`` is the file that gets what is printed, where that is worth a look."""

    what: str
    log: str = ""


class BuildFinished(NamedTuple):
    """A wheel was built."""

    what: str
    duration_s: float


class PrefixStarted(NamedTuple):
    """A conda prefix is being made of so many packages."""

    package_count: int
    size_bytes: int


class PrefixFinished(NamedTuple):
    """A conda prefix is complete."""

    package_count: int
    duration_s: float


class LinkScriptRun(NamedTuple):
    """A script of a conda package was run, because the manifest allows it."""

    package: str


class CheckPlanned(NamedTuple):
    """So many bytes are going to be compared with what was stored."""

    size_bytes: int


class CheckProgressed(NamedTuple):
    """``size_bytes`` more bytes have been compared."""

    size_bytes: int


class WaitingForOwner(NamedTuple):
    """Another process holds the guard that this one needs; told again when it has got further.

    ``progress`` is what the owner says of itself, ``""`` for nothing yet.
    """

    what: str
    owner: str
    progress: str = ""


class WaitingFinished(NamedTuple):
    """The guard is ours, or nobody waits for it any more."""

    what: str


class Warned(NamedTuple):
    """Something that the user should know, and what to do about it."""

    message: str
    hint: str = ""


class HandingOver(NamedTuple):
    """This process is about to become another program: who draws on the terminal has to be done first."""


Event: TypeAlias = (
    ResolutionStarted
    | MetadataFetched
    | ResolutionFinished
    | FetchPlanned
    | DownloadStarted
    | DownloadProgressed
    | DownloadFinished
    | TreeStored
    | BuildStarted
    | BuildFinished
    | PrefixStarted
    | PrefixFinished
    | LinkScriptRun
    | CheckPlanned
    | CheckProgressed
    | WaitingForOwner
    | WaitingFinished
    | Warned
    | HandingOver
)
"""A fact that happened. Tuples, because twenty dataclasses cost 7 ms at every start and these 1 ms."""


class Reporter(Protocol):
    """Listens. Called from several threads at once; must be quick and must not raise."""

    def report(self, event: Event) -> None: ...


class SilentReporter:
    """Hears everything, says nothing."""

    def report(self, event: Event) -> None:
        """Drop the event."""
