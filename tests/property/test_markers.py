"""The short cut for markers about extras against packaging itself."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from packaging.markers import Marker

from envforge.model.target import Target, marker_environment, marker_holds

TARGET = Target(platform="linux-64", python="3.12")

extra_atoms = st.builds(
    lambda name, quote, flip: f"{quote}{name}{quote} == extra" if flip else f"extra == {quote}{name}{quote}",
    st.sampled_from(["dev", "Test_Suite", "all", "extra"]),
    st.sampled_from(['"', "'"]),
    st.booleans(),
)
other_atoms = st.sampled_from(
    ['sys_platform == "linux"', 'python_version < "3.10"', "extra != 'dev'", "os_name == 'extra == \"dev\"'"]
)


def _joined(parts: list[str], words: list[str], wrapped: bool) -> str:
    text = parts[0]
    for part, word in zip(parts[1:], words, strict=False):
        text = f"({text}) {word} {part}" if wrapped else f"{text} {word} {part}"
    return text


markers = st.builds(
    _joined,
    st.lists(st.one_of(extra_atoms, other_atoms), min_size=1, max_size=4),
    st.lists(st.sampled_from(["and", "or"]), min_size=3, max_size=3),
    st.booleans(),
)


@given(markers, st.sampled_from(["", "dev", "test-suite", "all", "extra"]))
def test_a_marker_holds_as_packaging_says(text: str, extra: str) -> None:
    canonical = str(Marker(text))
    expected = Marker(canonical).evaluate({**marker_environment(TARGET), "extra": extra})
    assert marker_holds(canonical, TARGET, extra) is expected
