"""conda prefixes that nothing stands on go, with the packages that nothing has any more."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from envforge.link.conda_collect import (
    drop_package,
    drop_prefix,
    list_packages,
    list_prefixes,
    sweep_prefixes,
)

from support.ages import DAY_S, let_pass, make_older
from support.conda_channel import ChannelServer
from support.environments import base_interpreter
from support.projects import Project
from support.simple_index import SimpleIndex

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the channel's packages run on POSIX")


@pytest.fixture
def two(tmp_path: Path, index: SimpleIndex, server: ChannelServer) -> Project:
    """A project whose environment stands on ``greet-env``, and did on ``tinymath`` days ago."""
    project = Project(tmp_path, index.url)
    project.variables = {"ENVFORGE_PYTHON": "/nowhere/python", "CONDA_OVERRIDE_CUDA": ""}
    for package in ("tinymath", "greet-env"):
        platform = base_interpreter().platform
        project.write(
            settings=f'platforms = ["{platform}"]\nchannels = ["{server.url}"]',
            tables=f'[tool.envforge.conda-dependencies]\n{package} = "*"',
        )
        project.done("sync")
    pass_days(project)
    return project


def pass_days(project: Project, days: int = 1) -> None:
    let_pass(project.tier, days * DAY_S)
    for place in packages(project).iterdir():
        for each in (place, place / "info" / "index.json"):
            if each.exists():
                make_older(each, days * DAY_S)


def packages(project: Project) -> Path:
    return project.cache / "archives" / "conda"


def unpacked(project: Project) -> set[str]:
    return {package.stem.rsplit("-", 2)[0] for package in list_packages(packages(project))}


def test_an_unused_prefix_goes_and_its_packages_in_time(two: Project) -> None:
    prefixes = two.tier / "prefixes"
    assert len(list(prefixes.iterdir())) == 2
    [first] = [
        found for found in list_prefixes(prefixes) if any("tinymath" in name for name in found.packages)
    ]
    assert two.done("cache", "prune", "--json").json["removed"] == [], "it is one of the last ones"
    document = two.envforge("cache", "prune", "--max-size", "1", "--dry-run", "--json").json
    assert str(first.path) in {item["name"] for item in document["removed"]}
    two.done("cache", "prune", "--all", "--json")
    assert [found.path for found in list_prefixes(prefixes)] == [
        Path(two.python("import sys; print(sys.base_prefix)"))
    ]
    assert "tinymath" not in unpacked(two)
    assert {"python", "greet-env"} <= unpacked(two)
    assert two.done("verify").code == 0
    assert not list((two.tier / "guards").iterdir())


def test_packages_stay_for_the_next_prefix(two: Project) -> None:
    [last] = [json.loads(place.read_bytes())[-1] for place in two.tier.glob("envs/*/history.json")]
    for place in two.tier.glob("envs/*/*/envforge-generation.json"):
        if place.parent.name != last["generation"]:
            place.unlink()
            make_older(place.parent)
    report = two.done("cache", "prune", "--json").json
    assert [item["kind"] for item in report["removed"]] == ["prefix"]
    assert "tinymath" in unpacked(two)
    pass_days(two, 100)
    report = two.done("cache", "prune", "--json").json
    gone = {item["name"].rsplit("-", 2)[0] for item in report["removed"] if item["kind"] == "conda package"}
    assert gone == {"tinymath"}
    info = two.done("cache", "info", "--json").json["holdings"]
    assert info["conda packages"]["size_bytes"] > 0
    assert info["prefixes"]["count"] == 1


def test_what_was_found_or_is_being_made_stays(two: Project) -> None:
    from envforge.events import SilentReporter
    from envforge.store.guard import Guard
    from envforge.store.uses import note_use

    [found, other] = list_prefixes(two.tier / "prefixes")
    assert note_use(str(found.path / "envforge-prefix.json"))
    assert not drop_prefix(found.path, time.time())
    with Guard(two.tier / "guards" / f"prefix-{other.path.name}").hold(SilentReporter(), "a prefix"):
        assert not drop_prefix(other.path, time.time())
        assert sweep_prefixes(two.tier / "prefixes") == 0
    assert drop_prefix(other.path, time.time())
    assert not other.path.exists()
    assert found.path.exists()


def test_a_removal_that_was_killed_is_finished(two: Project) -> None:
    [first, second] = list_prefixes(two.tier / "prefixes")
    (first.path / "envforge-prefix.json").rename(two.tier / "tmp" / "host-0.1.2.x.withdrawn")
    second.path.rename(second.path.with_name(f".removed-{second.path.name}-0123"))
    assert sweep_prefixes(two.tier / "prefixes") == 2
    assert list((two.tier / "prefixes").iterdir()) == []


def test_a_package_that_rattler_reads_stays(two: Project) -> None:
    import fcntl

    [package] = [each for each in list_packages(packages(two)) if each.stem.startswith("tinymath")]
    lock = packages(two) / f"{package.stem}.lock"
    if not lock.exists():
        pytest.skip("this rattler locks otherwise")
    with open(lock, "rb") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        assert not drop_package(packages(two), package.stem, time.time())
    assert drop_package(packages(two), package.stem, time.time())
    assert "tinymath" not in unpacked(two)
