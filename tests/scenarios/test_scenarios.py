"""One resolver story per data file: packages, what is required, what has to come out, and why."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from envforge.errors import EnvforgeError, MetadataError, UnknownPackageError
from envforge.model.release import CoreMetadata, IndexFile
from envforge.model.requirement import normalize_name, parse_requirement, parse_version
from envforge.model.target import Target
from envforge.resolve.candidates import CandidateFinder
from envforge.resolve.dependencies import DependencyReader
from envforge.resolve.resolution import held_back_by_python, resolve_target
from envforge.resolve.search import search
from envforge.resolve.walk import walk

SCENARIOS = sorted(Path(__file__).parent.glob("*.toml"))


class ScenarioPage:
    def __init__(self, name: str, releases: dict[str, dict[str, Any]]) -> None:
        self.name = name
        self.index = "scenario"
        self._releases = releases
        self.versions = sorted(releases, key=parse_version, reverse=True)

    def files(self, version: str) -> list[IndexFile]:
        release = self._releases[version]
        tags = release.get("wheels", [] if release.get("sdist") else ["py3-none-any"])
        underscored = self.name.replace("-", "_")
        names = [f"{underscored}-{version}-{tag}.whl" for tag in tags]
        if release.get("sdist"):
            names.append(f"{underscored}-{version}.tar.gz")
        return [
            IndexFile(
                filename=name,
                url=f"https://index.test/{name}",
                index="scenario",
                sha256="0" * 64,
                requires_python=release.get("requires-python", ""),
                yanked=release.get("yanked"),
            )
            for name in names
        ]


class ScenarioSource:
    """The packages of one data file as a source of facts."""

    def __init__(self, packages: dict[str, dict[str, dict[str, Any]]]) -> None:
        self._packages = packages

    def page(self, name: str) -> ScenarioPage:
        if name not in self._packages:
            raise UnknownPackageError(f"no index has a project named {name!r}")
        return ScenarioPage(name, self._packages[name])

    def metadata(self, file: IndexFile) -> CoreMetadata:
        name, version = file.filename.removesuffix(".tar.gz").split("-")[:2]
        release = self._packages[normalize_name(name)][version]
        if "broken-metadata" in release:
            raise MetadataError(release["broken-metadata"])
        return CoreMetadata(
            name=name,
            version=version,
            requires_python=release.get("metadata-requires-python", ""),
            requires=tuple(parse_requirement(text) for text in release.get("requires", [])),
        )


@pytest.fixture(params=SCENARIOS, ids=lambda path: path.stem)
def scenario(request: pytest.FixtureRequest) -> dict[str, Any]:
    return tomllib.loads(request.param.read_text(encoding="utf-8"))


def _target(scenario: dict[str, Any]) -> Target:
    return Target(**{"platform": "linux-64", "python": "3.12", **scenario.get("target", {})})


def _groups(scenario: dict[str, Any]) -> dict[str, list[Any]]:
    groups = scenario.get("groups") or {"project": scenario["requires"]}
    return {group: [parse_requirement(text) for text in texts] for group, texts in groups.items()}


def test_scenario(scenario: dict[str, Any]) -> None:
    source = ScenarioSource(scenario["packages"])
    target = _target(scenario)
    if "error" in scenario:
        with pytest.raises(EnvforgeError) as caught:
            resolve_target(_groups(scenario), target, source, scenario.get("prefer", {}))
        error = caught.value
        told = "\n".join([error.message, *error.context, *error.hints])
        assert error.message == scenario["error"]["message"]
        for text in scenario["error"]["contains"]:
            assert text in told
        return
    resolution = resolve_target(_groups(scenario), target, source, scenario.get("prefer", {}))
    assert {name: pin.version for name, pin in resolution.pins.items()} == scenario["expected"]
    for name, filename in scenario.get("expected-files", {}).items():
        assert resolution.pins[name].file.filename == filename
    for group, names in scenario.get("expected-groups", {}).items():
        assert sorted(resolution.groups[group]) == names
    assert held_back_by_python(resolution, source) == scenario.get("held-back", [])


def test_search_and_walk_agree_where_both_find_an_answer(scenario: dict[str, Any]) -> None:
    """The walk is only a shortcut: what it gives must satisfy what the search would check."""
    if "error" in scenario:
        pytest.skip("no answer to compare")
    source, target = ScenarioSource(scenario["packages"]), _target(scenario)
    from envforge.model.target import marker_holds

    roots = [r for group in _groups(scenario).values() for r in group if marker_holds(r.marker, target)]
    preferred = scenario.get("prefer", {})
    found = search(roots, CandidateFinder(source, target, preferred), DependencyReader(source, target))
    assert {name: candidate.version for name, candidate in found.items()} == scenario["expected"]
    try:
        walked = walk(roots, CandidateFinder(source, target, preferred), DependencyReader(source, target))
    except UnknownPackageError:
        return
    if walked is not None:
        assert {name: candidate.version for name, candidate in walked.items()} == scenario["expected"]
