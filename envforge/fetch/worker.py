"""The main program of a worker process: it fetches archives for the process that has started it.

It ends when its input does. In the middle of an archive it has a moment to leave what a fetch leaves that was
stopped: nothing, or half a download that the next one goes on with.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
import traceback
from queue import SimpleQueue
from typing import BinaryIO

from envforge.errors import EnvforgeError
from envforge.events import DownloadProgressed, Event
from envforge.fetch.delivery import Delivery
from envforge.fetch.fetcher import Fetcher, StoppedError
from envforge.fetch.worker_messages import (
    Done,
    Failed,
    Message,
    Ready,
    Spent,
    Told,
    WorkerOrder,
    WorkerSetup,
)
from envforge.net.pools import ConnectionPools
from envforge.struct import asdict

_TELL_S = 0.05
"""How often progress is told: twenty times a second is a smooth bar."""
_LEAVING_S = 3.0
"""How long it may take to stop in good order, which a slow server lets us only after the piece that is on its
way; a server that is silent must not keep us."""


def main() -> None:
    """Fetch what is ordered on standard input, until that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes; our parent ends us
    orders, answers = _own_pipes()
    setup: WorkerSetup = pickle.load(orders)
    inbox, teller = _Inbox(orders), _Teller(answers)

    def check() -> None:
        inbox.check()
        teller.tell_spent()

    delivery = Delivery(**asdict(setup), reporter=teller, check=check)
    try:
        teller.tell_ready()
        with ConnectionPools(setup.settings) as pools:
            fetcher = Fetcher(delivery=delivery, pools=pools)
            while (order := inbox.next_order()) is not None:
                teller.send(_fetch(fetcher, order))
    except StoppedError:
        pass
    os._exit(0)  # a thread still waits for orders, and what is in memory need not be freed piece by piece


def _own_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Standard input and output, out of the reach of those who read or print (a keyring, for example)."""
    orders, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    return orders, answers


def _fetch(fetcher: Fetcher, order: WorkerOrder) -> Done | Failed:
    try:
        return Done(fetcher.fetch(order.request, patient=order.patient))
    except (EnvforgeError, MemoryError) as error:
        return Failed(error)
    except StoppedError:
        raise
    except Exception as error:  # a bug: its traceback would not survive the way
        return Failed(RuntimeError("".join(traceback.format_exception(error))))


class _Inbox:
    """Orders, read by a thread, so that the end of the input is noticed while one is carried out."""

    def __init__(self, orders: BinaryIO) -> None:
        self._orders = orders
        self._queue: SimpleQueue[WorkerOrder | None] = SimpleQueue()
        self._has_ended = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            while True:
                self._queue.put(pickle.load(self._orders))
        finally:
            self._has_ended.set()
            self._queue.put(None)
            time.sleep(_LEAVING_S)
            os._exit(1)

    def next_order(self) -> WorkerOrder | None:
        """Wait for an order; None: there will be none."""
        return self._queue.get()

    def check(self) -> None:
        """Raises StoppedError after the end of the input."""
        if self._has_ended.is_set():
            raise StoppedError


class _Teller:
    """A reporter that tells the parent, progress not more often than somebody can see it. For one thread."""

    def __init__(self, answers: BinaryIO) -> None:
        self._answers = answers
        self._filename = ""
        self._untold_bytes = 0
        self._told_s = self._told_spent_s = 0.0
        self._ready_s = 0.0

    def tell_ready(self) -> None:
        """Tell that we have started; time spent counts from here."""
        self._ready_s = time.process_time()
        self.send(Ready())

    def report(self, event: Event) -> None:
        """Tell an event, or keep it for later."""
        if not isinstance(event, DownloadProgressed):
            self.send(Told(event))
            return
        self._filename = event.filename
        self._untold_bytes += event.received_bytes
        if time.monotonic() - self._told_s >= _TELL_S:
            self._tell_progress()

    def tell_spent(self) -> None:
        """Tell what time was used, every now and then."""
        now_s = time.monotonic()
        if now_s - self._told_spent_s >= _TELL_S:
            self._told_spent_s = now_s
            self._write(Spent(time.process_time() - self._ready_s))

    def send(self, message: Message) -> None:
        """Send a message, after all that happened before it; StoppedError if nobody is there to read it."""
        self._tell_progress()
        self._write(message)

    def _tell_progress(self) -> None:
        if self._untold_bytes:
            received, self._untold_bytes = self._untold_bytes, 0
            self._write(Told(DownloadProgressed(filename=self._filename, received_bytes=received)))
            self._told_s = time.monotonic()

    def _write(self, message: Message) -> None:
        try:
            pickle.dump(message, self._answers)
            self._answers.flush()
        except OSError:
            raise StoppedError from None
