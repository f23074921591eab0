"""What is left of a failure cannot be made smaller."""

from __future__ import annotations

from envforge.resolve.minimize import smallest_failing


def test_what_is_not_needed_is_left_out() -> None:
    assert smallest_failing(list("abcde"), lambda part: {"b", "d"} <= set(part)) == ["b", "d"]


def test_of_two_reasons_the_later_one_is_kept() -> None:
    assert smallest_failing(list("abc"), lambda part: "a" in part or "c" in part) == ["c"]


def test_where_nothing_is_needed_nothing_is_left() -> None:
    assert smallest_failing(list("ab"), lambda part: True) == []
    assert smallest_failing([], lambda part: True) == []


def test_where_everything_is_needed_all_is_kept() -> None:
    assert smallest_failing(list("ab"), lambda part: len(part) == 2) == ["a", "b"]
