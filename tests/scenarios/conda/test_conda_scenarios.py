"""Resolver stories over both worlds, one data file each; conda's side goes through the real solver."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from envforge.errors import EnvforgeError, ResolutionError
from envforge.model.requirement import parse_requirement
from envforge.model.resolution import TargetResolution
from envforge.model.target import SystemAssumptions, Target
from envforge.resolve.conda import CondaPart
from envforge.resolve.resolution import resolve_target

from support.conda_universe import PYTHONS, conda_universe
from support.universe import Universe

SCENARIOS = {
    path.stem: tomllib.loads(path.read_text(encoding="utf-8"))
    for path in sorted(Path(__file__).parent.glob("*.toml"))
}


class _Counting:
    """Passes questions on to the channels and counts them."""

    def __init__(self, channels: Any) -> None:
        self._channels = channels
        self.question_count = 0

    def solve(self, question: Any) -> Any:
        self.question_count += 1
        return self._channels.solve(question)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channels, name)


def _resolve(scenario: dict[str, Any], source: Any) -> TargetResolution:
    """The answer with the first Python that has one."""
    groups = {"project": [parse_requirement(text) for text in scenario["requires"]]}
    part = CondaPart(source=source, specs=tuple(sorted(scenario["specs"])))
    system = SystemAssumptions(cuda=tuple(scenario["cuda"]) if "cuda" in scenario else None)
    failure: EnvforgeError | None = None
    for python in scenario.get("pythons", ["3.12"]):
        target = Target(platform="linux-64", python=python, system=system)
        try:
            return resolve_target(groups, target, Universe(scenario.get("packages", {})), {}, part)
        except ResolutionError as error:
            failure = error
    assert failure is not None
    raise failure


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_scenario(scenario: dict[str, Any], tmp_path: Path) -> None:
    tables = [scenario["first"]] if "first" in scenario else []
    pythons = scenario.get("conda-pythons", PYTHONS)
    with conda_universe(tmp_path, *tables, scenario["conda"], pythons=pythons) as channels:
        source = _Counting(channels)
        if "error" in scenario:
            with pytest.raises(EnvforgeError) as caught:
                _resolve(scenario, source)
            error = caught.value
            told = "\n".join([error.message, *error.context, *error.hints])
            assert error.message == scenario["error"]["message"]
            for text in scenario["error"]["contains"]:
                assert text in told
            return
        resolution = _resolve(scenario, source)
    assert {name: pin.version for name, pin in resolution.pins.items()} == scenario["expected"]
    records = {record.name: record for record in resolution.conda}
    for name, wanted in scenario["expected-conda"].items():
        version, _, build = wanted.partition("=")
        assert records[name].version == version
        assert build in ("", records[name].build)
    assert source.question_count <= scenario.get("most-questions", 1000)
