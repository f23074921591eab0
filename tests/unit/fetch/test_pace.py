"""As many large archives at one time as keep the processors busy."""

from __future__ import annotations

import pytest

from envforge.fetch import pace as pace_module
from envforge.fetch.pace import Pace


class Clocks:
    """The wall's clock and that of the processors."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall_s = self.spent_s = 100.0
        monkeypatch.setattr(pace_module.time, "monotonic", lambda: self.wall_s)

    def pace(self, processors: int, most: int) -> Pace:
        return Pace(processors, most, lambda: self.spent_s)

    def pass_by(self, wall_s: float, spent_s: float) -> None:
        self.wall_s += wall_s
        self.spent_s += spent_s


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    return Clocks(monkeypatch)


def test_it_begins_with_one_more_than_there_are_processors(clocks: Clocks) -> None:
    assert clocks.pace(2, 16).count == 3
    assert clocks.pace(64, 16).count == 16
    assert clocks.pace(2, 1).count == 1


def test_idle_processors_get_one_more_at_a_time(clocks: Clocks) -> None:
    pace = clocks.pace(2, 5)
    for count in (4, 5):
        clocks.pass_by(0.6, 0.25)
        assert pace.raise_count()
        assert pace.count == count
    clocks.pass_by(0.6, 0.25)
    assert not pace.raise_count(), "no more than there may be"


def test_busy_processors_do_not(clocks: Clocks) -> None:
    pace = clocks.pace(2, 16)
    for _ in range(5):
        clocks.pass_by(0.6, 0.95)
        assert not pace.raise_count()
    assert pace.count == 3
    clocks.pass_by(0.6, 0.5)
    assert pace.raise_count(), "what was spent before the last look does not count"


def test_a_moment_says_nothing(clocks: Clocks) -> None:
    pace = clocks.pace(2, 16)
    clocks.pass_by(0.01, 0.0)
    assert not pace.raise_count()
    clocks.pass_by(0.5, 1.0)
    assert not pace.raise_count(), "it was the beginning of a busy time"
