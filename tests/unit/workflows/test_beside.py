"""Two works at once: whatever happens to one of them, nothing of the other is left."""

from __future__ import annotations

import threading
import time

import pytest

from envforge.errors import NetworkError, StoreError
from envforge.link.cancellation import Cancellation, CancelledError
from envforge.workflows.beside import Beside


def until_cancelled(cancellation: Cancellation) -> str:
    """Wait as for a process that would take an hour."""
    woken = threading.Event()
    with cancellation.waking(woken.set):
        woken.wait(3600)
    cancellation.check()
    return "never"


def test_both_are_done() -> None:
    with Beside(lambda _: "made") as other:
        other.check()
        assert other.result() == "made"
        assert other.result() == "made"


def test_the_callers_failure_ends_the_other() -> None:
    before = threading.active_count()
    start_s = time.monotonic()
    with pytest.raises(NetworkError) as raised, Beside(until_cancelled):
        raise NetworkError("gone")
    assert time.monotonic() - start_s < 2
    assert raised.value.context == ()
    assert threading.active_count() == before


def test_ctrl_c_ends_the_other() -> None:
    ended: list[str] = []

    def work(cancellation: Cancellation) -> None:
        try:
            until_cancelled(cancellation)
        finally:
            ended.append("cleaned")

    with pytest.raises(KeyboardInterrupt), Beside(work):
        raise KeyboardInterrupt
    assert ended == ["cleaned"]


def test_the_others_failure_ends_the_caller() -> None:
    def fail(_: Cancellation) -> None:
        raise StoreError("full")

    with pytest.raises(StoreError, match="full"), Beside(fail) as other:
        for _ in range(100):
            other.check()
            time.sleep(0.02)
        pytest.fail("nobody told the caller")
    with pytest.raises(StoreError, match="full"), Beside(fail) as other:
        other.result()


def test_both_failures_are_told() -> None:
    def fail(_: Cancellation) -> None:
        raise StoreError("full")

    with pytest.raises(NetworkError) as raised, Beside(fail) as other:
        with pytest.raises(StoreError):
            other.result()
        raise NetworkError("gone")
    assert raised.value.context == ("also failed: full",)


def test_what_was_cancelled_before_it_waits_does_not_wait() -> None:
    cancellation = Cancellation()
    cancellation.cancel()
    with pytest.raises(CancelledError), cancellation.waking(lambda: None):
        pytest.fail("it waits")
    cancellation.cancel()
