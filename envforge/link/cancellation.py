"""Ending from outside what a thread is at: it looks now and then, and what it waits for is woken."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class CancelledError(Exception):
    """The work was ended from outside: who ended it knows why."""


class Cancellation:
    """One request to end, which cannot be taken back. For one thread at work, and any that ends it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_wanted = False
        self._wakers: list[Callable[[], object]] = []

    def cancel(self) -> None:
        """End the work. No error if it has ended."""
        with self._lock:
            self._is_wanted = True
            wakers = list(self._wakers)
        for wake in wakers:
            wake()

    def check(self) -> None:
        """Called by the work where it can end.

        Raises:
            CancelledError: it shall.
        """
        if self._is_wanted:
            raise CancelledError

    @contextmanager
    def waking(self, wake: Callable[[], object]) -> Iterator[None]:
        """While the block waits for something, ``wake`` ends the waiting; it is called at most once.

        Raises:
            CancelledError: the work shall end already.
        """
        with self._lock:
            self.check()
            self._wakers.append(wake)
        try:
            yield
        finally:
            with self._lock:
                self._wakers.remove(wake)
