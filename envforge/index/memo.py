"""Answers that are worked out once in a run, however many threads ask at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from envforge.errors import EnvforgeError

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class _Slot(Generic[Value]):
    """An answer, or the work on it."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.value: Value | None = None
        self.error: EnvforgeError | None = None


class Memo(Generic[Key, Value]):
    """Keys and their answers. A clear failure is an answer too; anything else is tried again."""

    def __init__(self) -> None:
        self._slots: dict[Key, _Slot[Value]] = {}

    def get(self, key: Key, find: Callable[[], Value]) -> Value:
        """The answer for a key.

        Args:
            key: what is asked.
            find: works the answer out; called by the first who asks, the others wait for it.

        Raises:
            EnvforgeError: what ``find`` raised, now or earlier.
        """
        while True:
            slot = self._slots.get(key)
            if slot is None:
                mine: _Slot[Value] = _Slot()
                slot = self._slots.setdefault(key, mine)  # atomic
                if slot is mine:
                    return self._work(key, slot, find)
            if not slot.done.is_set():
                slot.done.wait()
            if slot.error is not None:
                raise slot.error
            if self._slots.get(key) is slot:
                return slot.value  # type: ignore[return-value]  # done without an error

    def _work(self, key: Key, slot: _Slot[Value], find: Callable[[], Value]) -> Value:
        try:
            slot.value = find()
            return slot.value
        except EnvforgeError as error:
            slot.error = error
            raise
        except BaseException:
            del self._slots[key]  # who waits for it tries himself
            raise
        finally:
            slot.done.set()
