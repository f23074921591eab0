"""One resolver story per data file: packages, what is required, what has to come out, and why."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from envforge.errors import EnvforgeError, UnknownPackageError
from envforge.model.markers import marker_holds
from envforge.model.requirement import parse_requirement
from envforge.model.rules import Rules, SuppliedMetadata
from envforge.model.target import Target
from envforge.resolve.candidates import CandidateFinder
from envforge.resolve.dependencies import DependencyReader
from envforge.resolve.problem import Origins, Problem
from envforge.resolve.resolution import held_back_by_python, resolve_target
from envforge.resolve.search import search
from envforge.resolve.walk import Answer, walk

from support.universe import Universe

SCENARIOS = {
    path.stem: tomllib.loads(path.read_text(encoding="utf-8"))
    for path in sorted(Path(__file__).parent.glob("*.toml"))
}
SOLVABLE = {name: scenario for name, scenario in SCENARIOS.items() if "expected" in scenario}


def _target(scenario: dict[str, Any]) -> Target:
    return Target(**{"platform": "linux-64", "python": "3.12", **scenario.get("target", {})})


def _groups(scenario: dict[str, Any]) -> dict[str, list[Any]]:
    groups = scenario.get("groups") or {"project": scenario["requires"]}
    return {group: [parse_requirement(text) for text in texts] for group, texts in groups.items()}


def _origins(scenario: dict[str, Any]) -> Origins:
    """What of the requirements and sources is the target's variant's."""
    own = scenario.get("variant", {})
    requirements = frozenset(parse_requirement(text) for text in own.get("requires", []))
    return Origins(_target(scenario).variant, requirements, own.get("sources", {}))


def _rules(scenario: dict[str, Any]) -> Rules:
    own = scenario.get("rules", {})

    def by_name(texts: list[str]) -> dict[str, Any]:
        parsed = [parse_requirement(text) for text in texts]
        return {each.name: tuple(other for other in parsed if other.name == each.name) for each in parsed}

    return Rules(
        constraints=by_name(own.get("constraints", [])),
        overrides=by_name(own.get("overrides", [])),
        supplied={
            name: (SuppliedMetadata(requires=tuple(parse_requirement(text) for text in texts)),)
            for name, texts in own.get("metadata", {}).items()
        },
        only_binary=frozenset(own.get("only-binary", [])),
        no_binary=frozenset(own.get("no-binary", [])),
    )


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_scenario(scenario: dict[str, Any]) -> None:
    source = Universe(scenario["packages"])
    target = _target(scenario)
    if "error" in scenario:
        with pytest.raises(EnvforgeError) as caught:
            resolve_target(
                _groups(scenario),
                target,
                source,
                scenario.get("prefer", {}),
                origins=_origins(scenario),
                rules=_rules(scenario),
            )
        error = caught.value
        told = "\n".join([error.message, *error.context, *error.hints])
        assert error.message == scenario["error"]["message"]
        for text in scenario["error"]["contains"]:
            assert text in told
        for text in scenario["error"].get("absent", []):
            assert text not in told
        return
    resolution = resolve_target(
        _groups(scenario), target, source, scenario.get("prefer", {}), rules=_rules(scenario)
    )
    assert {name: pin.version for name, pin in resolution.pins.items()} == scenario["expected"]
    for name, filename in scenario.get("expected-files", {}).items():
        assert resolution.pins[name].file.filename == filename
    for group, names in scenario.get("expected-groups", {}).items():
        assert sorted(resolution.groups[group]) == names
    assert held_back_by_python(resolution, source) == scenario.get("held-back", [])


@pytest.mark.parametrize("scenario", SOLVABLE.values(), ids=SOLVABLE)
def test_search_and_walk_agree_where_both_find_an_answer(scenario: dict[str, Any]) -> None:
    """The walk is only a shortcut: what it gives must satisfy what the search would check."""
    source, target = Universe(scenario["packages"]), _target(scenario)
    rules = _rules(scenario)
    wanted = rules.overridden(r for group in _groups(scenario).values() for r in group)
    roots = list(rules.constrained((r for r in wanted if marker_holds(r.marker, target)), target))
    preferred = scenario.get("prefer", {})
    problem = Problem(
        roots=tuple(roots),
        finder=CandidateFinder(source, target, preferred, rules),
        reader=DependencyReader(source, target, rules),
    )
    found = search(problem)
    assert {name: candidate.version for name, candidate in found.pins.items()} == scenario["expected"]
    try:
        finder = CandidateFinder(source, target, preferred, rules)
        walked = walk(roots, finder, DependencyReader(source, target, rules))
    except UnknownPackageError:
        return
    if isinstance(walked, Answer):
        assert {name: candidate.version for name, candidate in walked.pins.items()} == scenario["expected"]
