"""Variants of one universe, told apart by local versions, agree wherever they can."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from envforge.errors import ResolutionError
from envforge.model.requirement import parse_requirement
from envforge.model.target import SystemAssumptions, Target
from envforge.resolve.resolution import resolve_target

from support.universe import Universe

NAMES = ("a", "b", "c", "d")
VERSIONS = ("1", "2", "3")
CUDA = Target(platform="linux-64", python="3.12", variant="cuda", system=SystemAssumptions(cuda=(12, 8)))
CPU = Target(platform="linux-64", python="3.12", variant="cpu")

requirement_texts = st.builds(
    lambda name, specifier: f"{name}{specifier}",
    st.sampled_from(NAMES),
    st.sampled_from(["", "", "<3", ">=2", "==1.*", "!=2"]),
)
releases = st.lists(requirement_texts, max_size=2).map(lambda texts: {"requires": texts})
universes = st.fixed_dictionaries(
    {name: st.dictionaries(st.sampled_from(VERSIONS), releases, min_size=1, max_size=3) for name in NAMES}
)


def built(universe: dict[str, Any], build: str, names: set[str]) -> Universe:
    """The universe where some projects have a build for hardware in their versions."""
    return Universe(
        {
            name: {f"{v}+{build}" if name in names else v: each for v, each in versions.items()}
            for name, versions in universe.items()
        }
    )


def public(versions: dict[str, str]) -> dict[str, str]:
    return {name: version.partition("+")[0] for name, version in versions.items()}


@settings(max_examples=120, deadline=None)
@given(
    universes,
    st.lists(requirement_texts, min_size=1, max_size=3),
    st.sets(st.sampled_from(NAMES), min_size=1),
    st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VERSIONS)),
)
def test_builds_of_one_release_are_chosen_for_all(
    universe: dict[str, Any], texts: list[str], names: set[str], locked: dict[str, str]
) -> None:
    groups = {"project": [parse_requirement(text) for text in texts]}
    try:
        first = resolve_target(groups, CUDA, built(universe, "cu128", names), locked)
    except ResolutionError:
        return
    chosen = {name: pin.version for name, pin in first.pins.items()}
    second = resolve_target(groups, CPU, built(universe, "cpu", names), chosen)
    assert public({name: pin.version for name, pin in second.pins.items()}) == public(chosen)
    assert all(("+cpu" in pin.version) == (name in names) for name, pin in second.pins.items())
