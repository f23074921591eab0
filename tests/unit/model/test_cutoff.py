"""Limits on the age of files."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from envforge.model.cutoff import canonical_age, canonical_instant, cutoff_at

NOON_S = datetime(2026, 11, 1, 12, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("7d", "P7D"),
        ("7 days", "P7D"),
        ("1 week", "P7D"),
        ("2w", "P14D"),
        ("24 hours", "P1D"),
        ("36h", "PT36H"),
        ("P1W", "P7D"),
        ("p3dt12h", "PT84H"),
        ("PT24H", "P1D"),
        ("0d", "P0D"),
        ("P", ""),
        ("PT", ""),
        ("P1M", ""),
        ("1 month", ""),
        ("30m", ""),
        ("-7d", ""),
        ("7", ""),
        ("2026-11-01", ""),
    ],
)
def test_ages(text: str, age: str) -> None:
    assert canonical_age(text) == age
    assert canonical_age(age) == age


def test_an_age_counts_back_from_now() -> None:
    assert cutoff_at("P7D", NOON_S) == "2026-10-25T12:00:00Z"
    assert cutoff_at("PT36H", NOON_S + 0.75) == "2026-10-31T00:00:00Z"
    assert cutoff_at("P99999D", NOON_S).startswith("1753-01-1")
    assert cutoff_at("PT999999H", 0.0) == "1855-12-03T09:00:00Z"


def test_an_instant_stays() -> None:
    assert cutoff_at("2026-11-01T00:00:00Z", 0.0) == "2026-11-01T00:00:00Z"
    assert cutoff_at("", NOON_S) == ""
    assert canonical_instant("2026-11-01T02:00:00+02:00") == "2026-11-01T00:00:00Z"
