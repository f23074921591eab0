"""The resolver against brute force over both worlds: an answer exactly where there is one."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator
from itertools import product
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from envforge.errors import ResolutionError
from envforge.model.requirement import Requirement, parse_requirement, specifier_admits
from envforge.model.resolution import TargetResolution
from envforge.model.rules import Rules
from envforge.model.target import Target
from envforge.resolve.conda import CondaPart
from envforge.resolve.resolution import resolve_target

from support.conda_universe import conda_universe
from support.universe import Universe

TARGET = Target(platform="linux-64", python="3.12")
PYTHONS = ("3.12.1", "3.12.7")
NAMES = ("a", "b", "c", "d")
"""All are PyPI projects; conda may have any of them, and the libraries below."""
LIBRARIES = ("x", "y")
VERSIONS = ("1", "2", "3")
SPECIFIERS = ["", "", "<2", ">=2", "==1", "!=2", "<=2", ">2"]

pypi_texts = st.builds(
    lambda name, specifier: f"{name}{specifier}", st.sampled_from(NAMES), st.sampled_from(SPECIFIERS)
)
releases = st.fixed_dictionaries(
    {"requires": st.lists(pypi_texts, max_size=2)},
    optional={"requires-python": st.sampled_from([">=3.12.5", "<3.12.5"])},
)
universes = st.fixed_dictionaries(
    {name: st.dictionaries(st.sampled_from(VERSIONS), releases, max_size=3) for name in NAMES}
)
conda_texts = st.builds(
    lambda name, specifier: f"{name} {specifier}".strip(),
    st.sampled_from((*NAMES, *LIBRARIES, "python")),
    st.sampled_from(SPECIFIERS),
).filter(lambda text: not text.startswith("python "))
records = st.fixed_dictionaries(
    {"depends": st.lists(conda_texts, max_size=2), "constrains": st.lists(conda_texts, max_size=1)}
)
channels = st.fixed_dictionaries(
    {name: st.dictionaries(st.sampled_from(VERSIONS), records, max_size=2) for name in (*NAMES, *LIBRARIES)}
)


def _meets(text: str, version: str | None) -> bool:
    """Whether a version (None: not installed) meets a conda spec of this file's plain kind."""
    specifier = text.partition(" ")[2]
    return version is not None and specifier_admits(specifier, version)


def _is_closed(chosen: dict[str, str | None], channel: dict[str, Any], specs: list[str]) -> bool:
    """Whether records meet what the user, and they themselves, ask of conda."""
    for name, version in chosen.items():
        if version is None:
            continue
        record = channel[name][version]
        if not all(_meets(text, {**chosen, "python": "3.12"}[text.split()[0]]) for text in record["depends"]):
            return False
        if not all(_goes_with(text, chosen) for text in record["constrains"]):
            return False
    return all(_meets(spec, {**chosen, "python": "3.12"}[spec.split()[0]]) for spec in specs)


def _goes_with(constraint: str, versions: dict[str, str | None]) -> bool:
    version = versions.get(constraint.split()[0])
    return version is None or _meets(constraint, version)


def _pypi_choices(
    chosen: dict[str, str | None], universe: dict[str, Any], roots: list[str], python: str
) -> Iterator[dict[str, str]]:
    """Every way to meet the roots, and what they lead to, beside a conda part."""

    def extend(pins: dict[str, str], todo: list[str]) -> Iterator[dict[str, str]]:
        if not todo:
            yield pins
            return
        requirement = parse_requirement(todo[0])
        known = chosen.get(requirement.name) or pins.get(requirement.name)
        if known is not None:
            if specifier_admits(requirement.specifier, known):
                yield from extend(pins, todo[1:])
            return
        for version, release in universe[requirement.name].items():
            if specifier_admits(requirement.specifier, version) and specifier_admits(
                release.get("requires-python", ""), python
            ):
                yield from extend({**pins, requirement.name: version}, [*todo[1:], *release["requires"]])

    yield from extend({}, roots)


def _is_solution(
    chosen: dict[str, str | None], pins: dict[str, str], channel: dict[str, Any], known: Collection[str]
) -> bool:
    """Whether releases from PyPI go with what the records constrain.

    A name that is not known to the channel may be anything, not only the PyPI project of that name. A rule
    that forbids all of its versions leaves it known.
    """
    return all(
        _goes_with(text, dict(pins))
        for name, version in chosen.items()
        if version is not None
        for text in channel[name][version]["constrains"]
        if text.split()[0] in known
    )


def _solvable(
    universe: dict[str, Any],
    channel: dict[str, Any],
    roots: list[str],
    specs: list[str],
    known: Collection[str],
) -> bool:
    names = (*NAMES, *LIBRARIES)
    for versions in product(*([None, *channel[name]] for name in names)):
        chosen = dict(zip(names, versions, strict=True))
        if _is_closed(chosen, channel, specs):
            for python in PYTHONS:
                for pins in _pypi_choices(chosen, universe, roots, python):
                    if _is_solution(chosen, pins, channel, known):
                        return True
    return False


def _check(
    resolution: TargetResolution,
    universe: dict[str, Any],
    channel: dict[str, Any],
    roots: list[str],
    specs: list[str],
    known: Collection[str],
) -> None:
    """The answer satisfies everything in both worlds."""
    chosen: dict[str, str | None] = dict.fromkeys((*NAMES, *LIBRARIES))
    chosen.update({r.name: r.version for r in resolution.conda if r.name in chosen})
    pins = {name: pin.version for name, pin in resolution.pins.items()}
    python = next(record.version for record in resolution.conda if record.name == "python")
    assert resolution.target.python == python
    assert not {name for name, version in chosen.items() if version} & pins.keys(), "nothing is there twice"
    assert _is_closed(chosen, channel, specs)
    assert pins in list(_pypi_choices(chosen, universe, roots, python))
    assert _is_solution(chosen, pins, channel, known)


rule_texts = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(SPECIFIERS).filter(bool), max_size=2)


@settings(max_examples=100, deadline=None)
@given(
    universes,
    channels,
    st.lists(pypi_texts, min_size=1, max_size=3),
    st.lists(conda_texts, min_size=1, max_size=2),
    rule_texts,
    rule_texts,
)
def test_constraints_and_overrides_hold_in_both_worlds(
    universe: dict[str, Any],
    channel: dict[str, Any],
    roots: list[str],
    specs: list[str],
    constraints: dict[str, str],
    overrides: dict[str, str],
) -> None:
    """The oracle has them written into the universe: releases that they forbid are not there."""
    rules = Rules(
        constraints={name: (Requirement(name, specifier=text),) for name, text in constraints.items()},
        overrides={name: (Requirement(name, specifier=text),) for name, text in overrides.items()},
    )

    def is_allowed(name: str, version: str) -> bool:
        return all(specifier_admits(rule.get(name, ""), version) for rule in (constraints, overrides))

    def kept(releases: dict[str, Any], name: str) -> dict[str, Any]:
        return {version: release for version, release in releases.items() if is_allowed(name, version)}

    def replaced(text: str) -> str:
        name = parse_requirement(text).name
        return name if name in overrides else text

    ruled = {
        name: {
            version: {**release, "requires": [replaced(text) for text in release["requires"]]}
            for version, release in kept(releases, name).items()
        }
        for name, releases in universe.items()
    }
    ruled_channel = {name: kept(versions, name) for name, versions in channel.items()}
    ruled_roots = [replaced(text) for text in roots]
    groups = {"project": [parse_requirement(text) for text in roots]}
    with (
        tempfile.TemporaryDirectory() as folder,
        conda_universe(Path(folder), _table(channel), pythons=PYTHONS) as source,
    ):
        part = CondaPart(source=source, specs=tuple(sorted(specs)), demands=rules.demands(TARGET))
        try:
            resolution = resolve_target(groups, TARGET, Universe(universe), {}, part, rules=rules)
        except ResolutionError as error:
            assert not _solvable(ruled, ruled_channel, ruled_roots, specs, _known(channel))
            assert error.context or error.hints
            return
    _check(resolution, ruled, ruled_channel, ruled_roots, specs, _known(channel))


def _known(channel: dict[str, Any]) -> set[str]:
    return {name for name, versions in channel.items() if versions}


def _table(channel: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {version: {**record, "python": name in NAMES} for version, record in versions.items()}
        for name, versions in channel.items()
    }


@settings(max_examples=200, deadline=None)
@given(
    universes,
    channels,
    st.lists(pypi_texts, min_size=1, max_size=3),
    st.lists(conda_texts, min_size=1, max_size=2),
)
def test_finds_an_answer_exactly_where_there_is_one(
    universe: dict[str, Any], channel: dict[str, Any], roots: list[str], specs: list[str]
) -> None:
    groups = {"project": [parse_requirement(text) for text in roots]}
    with (
        tempfile.TemporaryDirectory() as folder,
        conda_universe(Path(folder), _table(channel), pythons=PYTHONS) as source,
    ):
        part = CondaPart(source=source, specs=tuple(sorted(specs)))
        try:
            resolution = resolve_target(groups, TARGET, Universe(universe), {}, part)
        except ResolutionError as error:
            assert not _solvable(universe, channel, roots, specs, _known(channel))
            assert error.context or error.hints
            return
    _check(resolution, universe, channel, roots, specs, _known(channel))
