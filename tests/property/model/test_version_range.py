"""Bounds of version ranges against counting through all versions."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from envforge.model.version_range import canonical_range, is_empty, lowest_of, range_admits

ALL = sorted(product(range(7), range(7)))
versions = st.one_of(
    st.integers(1, 4).map(str),
    st.tuples(st.integers(0, 4), st.integers(0, 4)).map(lambda pair: "{}.{}".format(*pair)),
)
clauses = st.one_of(
    st.builds("{}{}".format, st.sampled_from([">=", "<=", ">", "<", "==", "!="]), versions),
    st.builds("{}{}.*".format, st.sampled_from(["==", "!="]), versions),
    st.builds("~={}.{}".format, st.integers(0, 4), st.integers(0, 4)),
)
ranges = st.lists(clauses, min_size=1, max_size=3).map(",".join)


@given(ranges)
def test_bounds_are_those_of_counting(text: str) -> None:
    text = canonical_range(text)
    assert text
    admitted = [version for version in ALL if range_admits(text, version)]
    if not admitted:
        assert is_empty(text)
        return
    assert not is_empty(text)
    assert lowest_of(text) == (None if admitted[0] == (0, 0) else admitted[0])
