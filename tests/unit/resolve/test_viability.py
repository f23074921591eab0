"""What the user's own requirements rule out is left out of the search."""

from __future__ import annotations

from typing import Any

import pytest

from envforge.errors import ResolutionError
from envforge.model.requirement import parse_requirement
from envforge.model.target import Target
from envforge.resolve import search
from envforge.resolve.candidates import CandidateFinder
from envforge.resolve.dependencies import DependencyReader
from envforge.resolve.resolution import resolve_target
from envforge.resolve.viability import Viability

from support.universe import Universe

TARGET = Target(platform="linux-64", python="3.12")
MANY = 25


def _clouds() -> dict[str, dict[str, Any]]:
    """As google-api-core and its neighbours are: all need the base, and the core needs a new status."""
    numbers = [str(number) for number in range(1, MANY + 1)]
    between = {
        f"between{letter}": {number: {"requires": ["base", "core"]} for number in numbers}
        for letter in "abcdef"
    }
    return {
        "base": {"1": {}, "2": {}},
        "status": {number: {"requires": ["base>=2" if number != "1" else "base"]} for number in numbers},
        "core": {
            number: {"requires": ["base", f"status>={2 if number != '1' else 1}"]} for number in numbers
        },
        **between,
        "top": {"1": {"requires": [*between, "core", "status"]}},
    }


def _resolve(packages: dict[str, dict[str, Any]], *roots: str) -> dict[str, str]:
    groups = {"default": [parse_requirement(root) for root in roots]}
    resolution = resolve_target(groups, TARGET, Universe(packages), {})
    return {name: pin.version for name, pin in resolution.pins.items()}


def test_what_a_root_rules_out_is_not_tried_with_everything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_MAX_ROUNDS", 300)
    pins = _resolve(_clouds(), "top", "base<2")
    assert (pins["core"], pins["status"], pins["base"]) == ("1", "1", "1")
    assert pins["betweena"] == str(MANY)


def test_a_failure_is_told_although_the_whole_search_would_not_end() -> None:
    packages = _clouds()
    del packages["core"]["1"]
    with pytest.raises(ResolutionError) as caught:
        _resolve(packages, "top", "base<2")
    told = "\n".join([caught.value.message, *caught.value.context])
    assert "top" in told
    assert "base<2" in told


@pytest.mark.parametrize(
    ("packages", "viable"),
    [
        ({"b": {"1": {}}, "a": {"1": {"requires": ["b"]}}}, True),
        ({"b": {"1": {}}, "a": {"1": {"requires": ["b>=2"]}}}, False),
        ({"a": {"1": {"requires": ["missing"]}}}, False),
        ({"b": {"1": {"requires": ["a"]}}, "a": {"1": {"requires": ["b"]}}}, True),
        ({"b": {"1": {"requires": ["root>=2"]}}, "a": {"1": {"requires": ["b"]}}}, False),
        ({"b": {"1": {"requires": ["root>=2"]}, "0": {}}, "a": {"1": {"requires": ["b"]}}}, True),
        ({"b": {"1": {"requires": ["root>=2; extra == 'x'"]}}, "a": {"1": {"requires": ["b"]}}}, True),
        ({"b": {"1": {"requires": ["root>=2; extra == 'x'"]}}, "a": {"1": {"requires": ["b[x]"]}}}, False),
        ({"a": {"1": {"requires": ["open>=2"]}}}, True),
        ({"b": {"1": {"broken-metadata": "no name"}}, "a": {"1": {"requires": ["b"]}}}, True),
    ],
)
def test_a_candidate(packages: dict[str, dict[str, Any]], viable: bool) -> None:
    source = Universe({"root": {"1": {}, "2": {}}, **packages})
    finder = CandidateFinder(source, TARGET)
    roots = [parse_requirement("root<2"), parse_requirement("a")]
    viability = Viability(roots, finder, DependencyReader(source, TARGET), lambda name: name == "open")
    candidate = finder.best("a", [], frozenset())
    assert candidate is not None
    assert viability.admits(candidate) is viable


def test_a_long_way_down_is_not_followed_to_its_end() -> None:
    chain = {f"n{number}": {"1": {"requires": [f"n{number + 1}"]}} for number in range(2000)}
    source = Universe({**chain, "n2000": {"1": {"requires": ["nothing"]}}})
    finder = CandidateFinder(source, TARGET)
    viability = Viability([], finder, DependencyReader(source, TARGET), lambda _: False)
    candidate = finder.best("n0", [], frozenset())
    assert candidate is not None
    assert viability.admits(candidate)
