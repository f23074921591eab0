"""The resolver against brute force: on small universes it finds an answer exactly where there is one."""

from __future__ import annotations

from itertools import product
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from envforge.errors import ResolutionError
from envforge.model.requirement import Requirement, parse_requirement, specifier_admits
from envforge.model.target import Target, marker_holds
from envforge.resolve.resolution import resolve_target

from support.universe import Universe

TARGET = Target(platform="linux-64", python="3.12")
NAMES = ("a", "b", "c", "d")
VERSIONS = ("1", "2", "3")

requirement_texts = st.builds(
    lambda name, extra, specifier, marker: f"{name}{extra}{specifier}{marker}",
    st.sampled_from(NAMES),
    st.sampled_from(["", "", "[x]"]),
    st.sampled_from(["", "", "<2", ">=2", "==1", "!=2", "<=2", ">2"]),
    st.sampled_from(["", "", "", "; sys_platform == 'win32'"]),
)
extra_texts = requirement_texts.filter(lambda text: ";" not in text).map(lambda text: f"{text}; extra == 'x'")
releases = st.lists(st.one_of(requirement_texts, extra_texts), max_size=3).map(
    lambda texts: {"requires": texts}
)
universes = st.fixed_dictionaries(
    {name: st.dictionaries(st.sampled_from(VERSIONS), releases, min_size=1, max_size=3) for name in NAMES}
)


def _active(texts: list[str], extras: frozenset[str]) -> list[Requirement]:
    parsed = [parse_requirement(text) for text in texts]
    return [
        item for item in parsed if any(marker_holds(item.marker, TARGET, extra) for extra in ("", *extras))
    ]


def _is_solution(chosen: dict[str, str | None], universe: dict[str, Any], roots: list[Requirement]) -> bool:
    """Whether an assignment (None: not installed) meets the roots and everything they lead to."""
    extras: dict[str, frozenset[str]] = {}
    queue = list(roots)
    while queue:
        requirement = queue.pop()
        version = chosen[requirement.name]
        if version is None or not specifier_admits(requirement.specifier, version):
            return False
        united = extras.get(requirement.name, frozenset()) | frozenset(requirement.extras)
        if extras.get(requirement.name) != united:
            extras[requirement.name] = united
            queue += _active(universe[requirement.name][version]["requires"], united)
    return True


@settings(max_examples=300, deadline=None)
@given(universes, st.lists(requirement_texts, min_size=1, max_size=3))
def test_finds_an_answer_exactly_where_there_is_one(universe: dict[str, Any], texts: list[str]) -> None:
    roots = _active(texts, frozenset())
    options = [[None, *universe[name]] for name in NAMES]
    solvable = any(
        _is_solution(dict(zip(NAMES, choice, strict=True)), universe, roots) for choice in product(*options)
    )
    groups = {"project": [parse_requirement(text) for text in texts]}
    try:
        resolution = resolve_target(groups, TARGET, Universe(universe), {})
    except ResolutionError as error:
        assert not solvable
        assert error.context or error.hints
        return
    chosen: dict[str, str | None] = dict.fromkeys(NAMES)
    chosen.update({name: pin.version for name, pin in resolution.pins.items()})
    assert _is_solution(chosen, universe, roots)


@settings(max_examples=100, deadline=None)
@given(universes, st.lists(requirement_texts, min_size=1, max_size=3))
def test_an_answer_is_kept_when_it_is_preferred(universe: dict[str, Any], texts: list[str]) -> None:
    """Locking again with the locked versions preferred moves nothing."""
    groups = {"project": [parse_requirement(text) for text in texts]}
    try:
        first = resolve_target(groups, TARGET, Universe(universe), {})
    except ResolutionError:
        return
    locked = {name: pin.version for name, pin in first.pins.items()}
    again = resolve_target(groups, TARGET, Universe(universe), locked)
    assert {name: pin.version for name, pin in again.pins.items()} == locked
