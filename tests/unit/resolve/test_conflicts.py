"""A conflict of few among many is settled by itself; the whole search is for what that does not settle."""

from __future__ import annotations

from typing import Any

import pytest

from envforge.errors import ResolutionError
from envforge.model.requirement import parse_requirement
from envforge.model.target import Target
from envforge.resolve import search
from envforge.resolve.problem import Problem
from envforge.resolve.resolution import resolve_target
from envforge.resolve.walk import Answer

from support.universe import Universe

TARGET = Target(platform="linux-64", python="3.12")

CLOUDS: dict[str, dict[str, Any]] = {
    "boto": {f"1.{minor}": {"requires": [f"core>=1.{minor},<1.{minor + 1}"]} for minor in range(40, 45)},
    "aioboto": {"3": {"requires": ["core<1.44,>=1.42"]}, "2": {"requires": ["core<1.40"]}},
    "fs": {"2026": {"requires": ["aioboto<4,>=2"]}, "0.4": {"requires": ["core"]}},
    "core": {f"1.{minor}": {} for minor in range(38, 45)},
}
"""As boto3, aiobotocore, s3fs and botocore are. s3fs 0.4.2 of 2020 needs no aiobotocore."""


def _resolve(packages: dict[str, dict[str, Any]], *roots: str, **preferred: str) -> dict[str, str]:
    groups = {"project": [parse_requirement(root) for root in roots]}
    resolution = resolve_target(groups, TARGET, Universe(packages), preferred)
    return {name: pin.version for name, pin in resolution.pins.items()}


@pytest.fixture
def no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(problem: Problem) -> Answer:
        raise AssertionError("everything was searched")

    monkeypatch.setattr(search, "search", refuse)


@pytest.mark.usefixtures("no_search")
def test_one_of_the_opponents_steps_back_and_nobody_else() -> None:
    beside = {f"p{number}": {"1": {}, "2": {"requires": ["core", "fs"]}} for number in range(30)}
    pins = _resolve(CLOUDS | beside, "boto", "fs", *beside)
    assert pins == {"boto": "1.43", "core": "1.43", "fs": "2026", "aioboto": "3"} | dict.fromkeys(beside, "2")


@pytest.mark.usefixtures("no_search")
def test_who_asks_for_what_nobody_has_steps_back() -> None:
    """An index that lags behind: the newest release needs another of the same day."""
    packages = {
        "flow": {"3": {"requires": ["flow-skinny==3", "base"]}, "2": {"requires": ["flow-skinny==2"]}},
        "flow-skinny": {"2": {"requires": ["base"]}, "1": {}},
        "base": {"1": {}},
    }
    assert _resolve(packages, "flow", "base") == {"flow": "2", "flow-skinny": "2", "base": "1"}


@pytest.mark.usefixtures("no_search")
def test_the_end_of_one_conflict_is_the_beginning_of_another() -> None:
    packages = {
        "a": {"2": {"requires": ["x>=2"]}, "1": {"requires": ["x", "y>=2"]}},
        "b": {"1": {"requires": ["x<2"]}},
        "c": {"2": {"requires": ["y<2"]}, "1": {}},
        "x": {"1": {}, "2": {}},
        "y": {"1": {}, "2": {}},
    }
    assert _resolve(packages, "a", "b", "c") == {"a": "1", "b": "1", "c": "1", "x": "1", "y": "2"}


@pytest.mark.usefixtures("no_search")
def test_what_the_user_asks_of_the_disputed_counts() -> None:
    assert _resolve(CLOUDS, "boto", "core<1.42") == {"boto": "1.41", "core": "1.41"}


@pytest.mark.usefixtures("no_search")
def test_what_is_locked_is_kept_through_a_conflict() -> None:
    assert _resolve(CLOUDS, "boto", "fs", boto="1.42", core="1.42")["boto"] == "1.42"


def test_where_those_who_brought_the_opponents_have_to_move_everything_is_searched() -> None:
    packages = {
        "top": {"2": {"requires": ["a==2"]}, "1": {"requires": ["a==1"]}},
        "a": {"2": {"requires": ["x>=2"]}, "1": {"requires": ["x<2"]}},
        "b": {"1": {"requires": ["x<2"]}},
        "x": {"1": {}, "2": {}},
    }
    assert _resolve(packages, "top", "b") == {"top": "1", "a": "1", "b": "1", "x": "1"}


def test_a_failure_is_told_of_the_whole() -> None:
    packages = {
        "a": {"1": {"requires": ["x<2"]}},
        "b": {"1": {"requires": ["x>=2"]}},
        "x": {"1": {}, "2": {}},
    }
    with pytest.raises(ResolutionError, match="a and b cannot be met together"):
        _resolve(packages, "a", "b")
