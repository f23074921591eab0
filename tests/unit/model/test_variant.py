"""Conditions of variants: where they can hold, and what may be assumed where they do."""

from __future__ import annotations

import pytest

from envforge.model.markers import marker_holds
from envforge.model.target import DEFAULT_PLATFORMS, PLATFORMS, SystemAssumptions, Target
from envforge.model.variant import Condition, archspec_family, known_archspecs, machine_family


@pytest.mark.parametrize(
    ("condition", "platforms"),
    [
        (Condition(), DEFAULT_PLATFORMS),
        (Condition(cuda=">=12"), ("linux-64", "linux-aarch64", "win-64")),
        (Condition(cuda_arch=">=8"), ("linux-64", "linux-aarch64", "win-64")),
        (Condition(rocm=">=6"), ("linux-64",)),
        (Condition(rocm=">=6", platforms=("win-64",)), ("win-64",)),
        (Condition(rocm=">=6", platforms=("osx-arm64",)), ()),
        (Condition(glibc=">=2.34"), ("linux-64", "linux-aarch64")),
        (Condition(macos=">=15"), ("osx-arm64",)),
        (Condition(platforms=("osx-arm64", "win-64")), ("osx-arm64", "win-64")),
        (Condition(archspec="x86_64_v3"), ("linux-64", "win-64")),
        (Condition(archspec="neoverse_v1"), ("linux-aarch64", "osx-arm64")),
        (Condition(archspec="x86_64_v3", glibc=">=2.34"), ("linux-64",)),
        (Condition(macos=">=15", cuda=">=12"), ()),
    ],
    ids=str,
)
def test_where_a_condition_can_hold(condition: Condition, platforms: tuple[str, ...]) -> None:
    assert tuple(each for each in DEFAULT_PLATFORMS if condition.can_hold_on(each)) == platforms


def test_there_is_no_cuda_for_windows_on_arm() -> None:
    assert not Condition(cuda=">=12").can_hold_on("win-arm64")


def test_what_always_holds() -> None:
    assert Condition().always_holds_on("linux-64")
    assert Condition(platforms=("linux-64",)).always_holds_on("linux-64")
    assert not Condition(platforms=("linux-64",)).always_holds_on("win-64")
    assert not Condition(cuda=">=12").always_holds_on("linux-64")


def test_what_is_asked_for_may_be_assumed() -> None:
    base = SystemAssumptions(cuda=(12, 0), archspec="x86_64_v2")
    asked = Condition(cuda=">=12.8,<13", glibc=">=2.34", macos="<20", archspec="zen3")
    assert asked.assumptions(base) == SystemAssumptions(
        cuda=(12, 8), glibc=(2, 34), macos=base.macos, archspec="zen3"
    )
    assert Condition(cuda=">=11", glibc=">=2.17").assumptions(base) == base
    assert Condition().assumptions(base) is base
    assert Condition(cuda="<13").assumptions(SystemAssumptions()).cuda is None


def test_conditions_in_words() -> None:
    assert str(Condition()) == "always"
    assert str(Condition(cuda=">=12.8", platforms=("linux-64", "win-64"))) == (
        "cuda >=12.8, platform linux-64 or win-64"
    )


def test_every_platform_has_processors() -> None:
    families = {archspec_family(name) for name in known_archspecs()}
    assert families == {machine_family(platform) for platform in PLATFORMS}
    assert archspec_family("z80") == ""


def test_a_target_is_named_with_its_variant() -> None:
    target = Target(platform="linux-64", python="3.12", variant="cuda")
    assert target.id == "linux-64:cuda"
    assert target.label == "linux-64:cuda · Python 3.12"
    assert Target(platform="linux-64", python="3.12").id == "linux-64"
    assert target != Target(platform="linux-64", python="3.12")
    assert marker_holds("sys_platform == 'linux'", target)
