"""What happened, as values. Libraries report events; terminal, JSON and tests listen.

Library code never prints. It is given a :class:`Reporter` and tells it facts; whoever calls
decides how (or whether) a person sees them.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

from envforge.struct import Struct


class ResolutionStarted(Struct, frozen=True):
    """A target is being resolved."""

    target: str


class MetadataFetched(Struct, frozen=True):
    """Metadata of one release is known; ``known_count`` runs up during one resolution."""

    name: str
    version: str
    known_count: int


class ResolutionFinished(Struct, frozen=True):
    """A target has its pins."""

    target: str
    package_count: int


class FetchPlanned(Struct, frozen=True):
    """What a sync is going to fetch: number of files and, where the lock knows it, their bytes."""

    file_count: int
    size_bytes: int


class DownloadStarted(Struct, frozen=True):
    """The first bytes of a file are asked for; ``size_bytes`` is None where nobody told it."""

    filename: str
    size_bytes: int | None


class DownloadProgressed(Struct, frozen=True):
    """``received_bytes`` more bytes of the file have arrived."""

    filename: str
    received_bytes: int


class DownloadFinished(Struct, frozen=True):
    """A file is here and is the right one."""

    filename: str


class TreeStored(Struct, frozen=True):
    """A distribution is unpacked, checked and visible in the store."""

    filename: str
    file_count: int
    size_bytes: int


class BuildStarted(Struct, frozen=True):
    """A wheel is being built; ``log`` is the file that gets what is printed, where that is worth a look."""

    what: str
    log: str = ""


class BuildFinished(Struct, frozen=True):
    """A wheel was built."""

    what: str
    duration_s: float


class PrefixStarted(Struct, frozen=True):
    """A conda prefix is being made of so many packages."""

    package_count: int
    size_bytes: int


class PrefixFinished(Struct, frozen=True):
    """A conda prefix is complete."""

    package_count: int
    duration_s: float


class LinkScriptRun(Struct, frozen=True):
    """A script of a conda package was run, because the manifest allows it."""

    package: str


class CheckPlanned(Struct, frozen=True):
    """So many bytes are going to be compared with what was stored."""

    size_bytes: int


class CheckProgressed(Struct, frozen=True):
    """``size_bytes`` more bytes have been compared."""

    size_bytes: int


class WaitingForOwner(Struct, frozen=True):
    """Another process holds the guard that this one needs; told again when it has got further.

    ``progress`` is what the owner says of itself, ``""`` for nothing yet.
    """

    what: str
    owner: str
    progress: str = ""


class WaitingFinished(Struct, frozen=True):
    """The guard is ours, or nobody waits for it any more."""

    what: str


class Warned(Struct, frozen=True):
    """Something that the user should know, and what to do about it."""

    message: str
    hint: str = ""


class EnvironmentChanged(Struct, frozen=True):
    """Before a program was started in it, the environment was brought up to date: so many packages differ."""

    change_count: int


class HandingOver(Struct, frozen=True):
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
    | EnvironmentChanged
    | HandingOver
)
"""A fact that happened."""


class Reporter(Protocol):
    """Listens. Called from several threads at once; must be quick and must not raise."""

    def report(self, event: Event) -> None: ...


class SilentReporter:
    """Hears everything, says nothing."""

    def report(self, event: Event) -> None:
        """Drop the event."""
