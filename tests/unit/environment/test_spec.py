"""What names a generation, and what its marker says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from envforge.environment.spec import generation_trees, parse_spec, spec_fields
from envforge.plan.link_plan import LinkMode
from envforge.struct import replace

from support.environments import Grounds


def test_the_same_spec_has_the_same_name(grounds: Grounds) -> None:
    assert grounds.spec().digest == grounds.spec().digest
    assert len(grounds.spec().digest) == 20
    assert grounds.spec().digest.isalnum()


@pytest.mark.parametrize(
    "change",
    [
        {"target": "osx-arm64"},
        {"groups": ("group:dev", "project")},
        {"link_mode": LinkMode.COPY},
        {"trees": ()},
        {"venv": "/elsewhere/.venv"},
        {"prompt": "other"},
    ],
)
def test_everything_that_determines_it_changes_the_name(grounds: Grounds, change: dict[str, Any]) -> None:
    assert grounds.spec(**change).digest != grounds.spec().digest


@pytest.mark.parametrize("change", [{"executable": "/other/python"}, {"version": "3.12.99"}])
def test_the_interpreter_changes_the_name(grounds: Grounds, change: dict[str, str]) -> None:
    spec = grounds.spec()
    assert replace(spec, interpreter=replace(spec.interpreter, **change)).digest != spec.digest


def test_one_trees_mode_changes_the_name(grounds: Grounds) -> None:
    unshared = generation_trees(grounds.forest.trees, LinkMode.SHARED, {"beta"})
    assert [tree.mode for tree in unshared] == [LinkMode.SHARED, LinkMode.COPY]
    assert grounds.spec(trees=unshared).digest != grounds.spec().digest


def test_what_is_unknown_about_the_host_does_not(grounds: Grounds) -> None:
    spec = grounds.spec()
    assert replace(spec, interpreter=replace(spec.interpreter, glibc=(2, 36))).digest == spec.digest


def test_fields_are_read_back(grounds: Grounds) -> None:
    spec = grounds.spec()
    assert parse_spec(json.loads(json.dumps(spec_fields(spec)))) == spec


@pytest.mark.parametrize("damage", [{"link_mode": "teleport"}, {"packages": None}, {"python": {}}])
def test_damaged_fields_are_refused(grounds: Grounds, damage: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        parse_spec({**spec_fields(grounds.spec()), **damage})
