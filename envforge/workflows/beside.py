"""Work in a thread beside the caller's own: the failure of either ends the other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Generic, TypeVar

from envforge.errors import EnvforgeError
from envforge.link.cancellation import Cancellation, CancelledError

_Result = TypeVar("_Result")
_LOOK_S = 0.2
_LEAVING_S = 5.0
"""How long a work that was cancelled may take to clean up."""


class Beside(Generic[_Result]):
    """A context manager: work begins with the block, and has ended when the block has.

    Args:
        work: gets what tells it to end early.
    """

    def __init__(self, work: Callable[[Cancellation], _Result]) -> None:
        self._work = work
        self._cancellation = Cancellation()
        self._results: list[_Result] = []
        self._failure: BaseException | None = None
        # a daemon: what hangs must not keep the process from ending
        self._thread = threading.Thread(target=self._run, daemon=True)

    def check(self) -> None:
        """Raise what the work failed with, if it did; for the caller to look while it waits for its own."""
        if self._failure is not None:
            raise self._failure

    def result(self) -> _Result:
        """Wait for the work.

        Raises:
            BaseException: what it raised.
        """
        while self._thread.is_alive():
            self._thread.join(_LOOK_S)  # with a limit, because on Windows Ctrl-C does not end a wait without
        self.check()
        return self._results[0]

    def __enter__(self) -> Beside[_Result]:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        other = self._failure
        self._cancellation.cancel()
        self._thread.join(_LEAVING_S)
        if isinstance(error, EnvforgeError) and isinstance(other, EnvforgeError) and other is not error:
            error.context += (f"also failed: {other.message}",)

    def _run(self) -> None:
        try:
            self._results.append(self._work(self._cancellation))
        except CancelledError:
            pass
        except BaseException as error:
            self._failure = error
