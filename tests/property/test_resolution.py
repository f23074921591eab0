"""The resolver against brute force: on small universes it finds an answer exactly where there is one."""

from __future__ import annotations

from itertools import product
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from envforge.errors import ResolutionError
from envforge.model.markers import marker_holds
from envforge.model.requirement import Requirement, parse_requirement, specifier_admits
from envforge.model.rules import NO_RULES, Rules
from envforge.model.target import Target
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


constraint_texts = st.builds(
    lambda name, specifier, marker: f"{name}{specifier}{marker}",
    st.sampled_from(NAMES),
    st.sampled_from(["<2", ">=2", "==1", "!=2"]),
    st.sampled_from(["", "", "; sys_platform == 'win32'"]),
)


def _rules(constraints: list[str], overrides: list[str]) -> Rules:
    def by_name(texts: list[str]) -> dict[str, tuple[Requirement, ...]]:
        parsed = [parse_requirement(text) for text in texts]
        return {each.name: tuple(other for other in parsed if other.name == each.name) for each in parsed}

    return Rules(constraints=by_name(constraints), overrides=by_name(overrides))


def _active(texts: list[str], extras: frozenset[str]) -> list[Requirement]:
    parsed = [parse_requirement(text) for text in texts]
    return [
        item for item in parsed if any(marker_holds(item.marker, TARGET, extra) for extra in ("", *extras))
    ]


def _is_solution(
    chosen: dict[str, str | None],
    universe: dict[str, Any],
    roots: list[Requirement],
    rules: Rules = NO_RULES,
) -> bool:
    """Whether an assignment (None: not installed) meets the roots and everything they lead to.

    Overrides and constraints are read here by their meaning: whoever asks for an overridden name asks for
    what the overrides say that hold; what is installed meets every constraint that holds.
    """
    extras: dict[str, frozenset[str]] = {}
    queue = list(roots)
    while queue:
        requirement = queue.pop()
        holding = [
            other
            for other in rules.overrides.get(requirement.name, [requirement])
            if marker_holds(other.marker, TARGET)
        ]
        if requirement.name in rules.overrides and not holding:
            continue
        version = chosen[requirement.name]
        holding += [
            other
            for other in rules.constraints.get(requirement.name, ())
            if marker_holds(other.marker, TARGET)
        ]
        if requirement.name not in rules.overrides:
            holding.append(requirement)
        if version is None or not all(specifier_admits(other.specifier, version) for other in holding):
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


@settings(max_examples=300, deadline=None)
@given(
    universes,
    st.lists(requirement_texts, min_size=1, max_size=3),
    st.lists(constraint_texts, max_size=2),
    st.lists(constraint_texts, max_size=2),
)
def test_constraints_and_overrides(
    universe: dict[str, Any], texts: list[str], constraints: list[str], overrides: list[str]
) -> None:
    """The same with both: an answer exactly where there is one, and it keeps to them."""
    rules = _rules(constraints, overrides)
    roots = _active(texts, frozenset())
    options = [[None, *universe[name]] for name in NAMES]
    solvable = any(
        _is_solution(dict(zip(NAMES, choice, strict=True)), universe, roots, rules)
        for choice in product(*options)
    )
    groups = {"project": [parse_requirement(text) for text in texts]}
    try:
        resolution = resolve_target(groups, TARGET, Universe(universe), {}, rules=rules)
    except ResolutionError as error:
        assert not solvable
        assert error.context or error.hints
        return
    chosen: dict[str, str | None] = dict.fromkeys(NAMES)
    chosen.update({name: pin.version for name, pin in resolution.pins.items()})
    assert _is_solution(chosen, universe, roots, rules)


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
