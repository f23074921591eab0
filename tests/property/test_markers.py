"""The short cuts for markers about extras and for plain markers against packaging itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.markers import Marker

from envforge.model.markers import marker_environment, marker_holds
from envforge.model.plain_markers import plain_marker_holds
from envforge.model.target import PLATFORMS, Target

targets = st.builds(
    lambda platform, python: Target(platform=platform, python=python),
    st.sampled_from(sorted(PLATFORMS)),
    st.sampled_from(["3.9", "3.12", "3.12.4"]),
)

extra_atoms = st.builds(
    lambda name, quote, flip: f"{quote}{name}{quote} == extra" if flip else f"extra == {quote}{name}{quote}",
    st.sampled_from(["dev", "Test_Suite", "all", "extra"]),
    st.sampled_from(['"', "'"]),
    st.booleans(),
)
VERSIONS = ["python_version", "python_full_version", "implementation_version"]
WORDS = [
    "sys_platform",
    "platform_system",
    "platform_machine",
    "os_name",
    "implementation_name",
    "platform_python_implementation",
]
plain_atoms = st.builds(
    lambda variable, operator, value: f'{variable} {operator} "{value}"',
    st.sampled_from([*VERSIONS, *WORDS]),
    st.sampled_from(["==", "!=", "<", ">", "<=", ">="]),
    st.sampled_from(["3.9", "3.12", "3.12.*", "3.12.3", "3.12.0b1", "linux", "nt", "AMD64", "cpython", ""]),
)
other_atoms = st.sampled_from(
    [
        "extra != 'dev'",
        "os_name == 'extra == \"dev\"'",
        "'linux' == sys_platform",
        "'linux' in sys_platform",
        "python_version in '3.9, 3.12'",
        "python_version not in '3.9'",
        "platform_release >= '5'",
        "platform_version == ''",
        "os_name == '1 or 1'",
    ]
)


def _joined(parts: list[str], words: list[str], wrapped: bool) -> str:
    text = parts[0]
    for part, word in zip(parts[1:], words, strict=False):
        text = f"({text}) {word} {part}" if wrapped else f"{text} {word} {part}"
    return text


markers = st.builds(
    _joined,
    st.lists(st.one_of(extra_atoms, plain_atoms, other_atoms), min_size=1, max_size=4),
    st.lists(st.sampled_from(["and", "or"]), min_size=3, max_size=3),
    st.booleans(),
)


@given(markers, targets, st.sampled_from(["", "dev", "test-suite", "all", "extra"]))
def test_a_marker_holds_as_packaging_says(text: str, target: Target, extra: str) -> None:
    canonical = str(Marker(text))
    expected = Marker(canonical).evaluate({**marker_environment(target), "extra": extra})
    assert marker_holds(canonical, target, extra) is expected


@pytest.mark.parametrize(
    "text",
    [
        'sys_platform == "win32"',
        'python_version >= "3.9" and python_version < "3.15"',
        '(sys_platform == "linux" and platform_machine == "aarch64" or os_name == "nt") and extra == "all"',
        'implementation_name != "PyPy" and python_full_version < "3.11.0a7"',
    ],
)
def test_what_releases_ask_all_the_time_is_plain(text: str) -> None:
    environment = {**marker_environment(Target(platform="linux-64", python="3.12")), "extra": ""}
    assert plain_marker_holds(text, environment) is Marker(text).evaluate(environment)


@pytest.mark.parametrize("text", ["", "(", "1", "()", "0 1", "1 and", "os_name", "(1) (1)", '"1"', "1 or ?"])
def test_what_is_no_marker_is_not_plain(text: str) -> None:
    environment = {**marker_environment(Target(platform="linux-64", python="3.12")), "extra": ""}
    assert plain_marker_holds(text, environment) is None
