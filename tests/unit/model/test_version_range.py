"""Ranges of versions as a variant's ``when`` has them."""

from __future__ import annotations

import pytest

from envforge.model.version_range import canonical_range, is_empty, lowest_of, meant_range, range_admits


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        (">= 12.8", ">=12.8"),
        (">=12.4, <13", ">=12.4,<13"),
        ("== 12.*", "==12.*"),
        ("~=12.4", "~=12.4"),
        ("12.8", ""),
        (">=12.*", ""),
        ("~=12", ""),
        (">=12.8,", ""),
        ("=>12", ""),
        (">=twelve", ""),
        ("^12.8", ""),
        (">=12.8rc1", ""),
        (">=١٢", ""),
        ("", ""),
    ],
)
def test_what_a_range_is(text: str, canonical: str) -> None:
    assert canonical_range(text) == canonical


@pytest.mark.parametrize(("text", "meant"), [("12.8", ">=12.8"), ("v12", ">=12"), (">12", ""), ("new", "")])
def test_what_was_probably_meant(text: str, meant: str) -> None:
    assert meant_range(text) == meant


@pytest.mark.parametrize(
    ("text", "lowest"),
    [
        (">=12.8", (12, 8)),
        (">12.4", (12, 5)),
        ("==12.*,!=12.0", (12, 1)),
        ("<13", None),
        ("!=12", None),
        (">=12,<13,>=12.4", (12, 4)),
    ],
)
def test_the_lowest_version_is_what_may_be_assumed(text: str, lowest: tuple[int, int] | None) -> None:
    assert lowest_of(text) == lowest


def test_ranges_that_admit_nothing() -> None:
    assert is_empty(">=13,<12")
    assert is_empty(">12.4,<12.5")
    assert not is_empty(">=12,!=12")
    assert not is_empty("<12")


def test_versions_are_compared_as_numbers() -> None:
    assert range_admits(">=12.8", (12, 10))
    assert not range_admits("<12.8", (12, 10))
    assert range_admits("", (1, 0))
