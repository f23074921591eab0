"""What a fetch and its worker processes tell each other: pickled, one after the other, over two pipes.

Nobody else has an end of these pipes. A worker is given one :class:`WorkerSetup`, then orders. After its
first message, :class:`Ready`, it answers each order with any number of :class:`Told` and :class:`Spent`, and
one :class:`Done` or :class:`Failed`. The end of its input tells it to stop.
"""

from __future__ import annotations

from pathlib import Path

from envforge.events import Event
from envforge.fetch.request import FetchRequest
from envforge.model.tree import Tree
from envforge.model.writing import WriteStrategy
from envforge.net.settings import NetworkSettings
from envforge.store.store import Store
from envforge.struct import Struct


class WorkerSetup(Struct, frozen=True, kw_only=True):
    """What all archives of a fetch have in common; the fields are those of :class:`.delivery.Delivery`."""

    store: Store
    archives: Path
    keep: bool
    strategy: WriteStrategy
    settings: NetworkSettings


class WorkerOrder(Struct, frozen=True):
    """An archive to fetch, and whether to wait for another process that is at it."""

    request: FetchRequest
    patient: bool


class Ready(Struct, frozen=True):
    """The worker has started and waits for orders."""


class Told(Struct, frozen=True):
    """Something happened."""

    event: Event


class Spent(Struct, frozen=True):
    """The processor time that the worker has used since it was ready, in seconds."""

    seconds: float


class Done(Struct, frozen=True):
    """The archive is fetched; None: another process is at it."""

    tree: Tree | None


class Failed(Struct, frozen=True):
    """It cannot be fetched."""

    error: Exception


Message = Ready | Told | Spent | Done | Failed
