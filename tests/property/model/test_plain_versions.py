"""Plain versions and specifiers against packaging."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from envforge.model.plain_versions import canonical_plain_specifier, plain_specifier, plain_version

number = st.sampled_from(["0", "1", "2", "10", "01", "00"])
release = st.lists(number, min_size=1, max_size=4).map(".".join)
version = st.tuples(
    st.sampled_from([*[""] * 8, "1!", "v"]),
    release,
    st.sampled_from([*[""] * 4, "a0", "b1", "rc1", "rc01", "c1", ".a1", "alpha", "a"]),
    st.sampled_from([*[""] * 4, ".post0", ".post1", "-1", ".rev1", ".post"]),
    st.sampled_from([*[""] * 4, ".dev0", ".dev1", ".dev"]),
    st.sampled_from([*[""] * 8, "+cpu", "+cu128.1"]),
).map("".join)
clause = st.tuples(
    st.sampled_from(["", " "]),
    st.sampled_from(["==", "!=", "<=", ">=", "<", ">", "~=", "===", "=", ""]),
    st.sampled_from(["", " "]),
    version,
    st.sampled_from([*[""] * 4, ".*"]),
    st.sampled_from(["", " "]),
).map("".join)
specifier = st.lists(clause, min_size=1, max_size=3).map(",".join)
plain_clause = st.tuples(
    st.sampled_from(["==", "!=", "<=", ">=", "<", ">", "~="]), release, st.sampled_from(["", ".*"])
).map("".join)
plain_specifiers = st.lists(plain_clause, min_size=1, max_size=3).map(",".join)


@given(version, version)
def test_order_is_that_of_packaging(one: str, other: str) -> None:
    ours = plain_version(one), plain_version(other)
    assume(ours[0] is not None and ours[1] is not None)
    theirs = Version(one), Version(other)
    assert (ours[0] < ours[1], ours[0] == ours[1]) == (theirs[0] < theirs[1], theirs[0] == theirs[1])


@given(st.one_of(version, st.text(max_size=12)))
def test_what_is_plain_is_a_version(text: str) -> None:
    plain = plain_version(text)
    try:
        parsed = Version(text)
    except InvalidVersion:
        assert plain is None
        return
    if text == str(parsed) and parsed.epoch == 0 and parsed.local is None:
        assert plain is not None


@given(st.one_of(specifier, plain_specifiers), version)
def test_a_specifier_admits_what_packaging_admits(text: str, candidate: str) -> None:
    tests, plain = plain_specifier(text), plain_version(candidate)
    assume(tests is not None and plain is not None)
    assert all(test(plain) for test in tests) == SpecifierSet(text).contains(candidate, prereleases=True)


@given(st.one_of(specifier, plain_specifiers, st.text(max_size=12)))
def test_what_is_plain_is_a_specifier(text: str) -> None:
    canonical = canonical_plain_specifier(text)
    try:
        parsed = SpecifierSet(text)
    except InvalidSpecifier:
        assert plain_specifier(text) is None
        assert canonical is None
        return
    assert canonical in (None, str(parsed))


@given(plain_specifiers)
def test_specifiers_with_plain_releases_are_plain(text: str) -> None:
    try:
        SpecifierSet(text)
    except InvalidSpecifier:
        return
    assert plain_specifier(text) is not None


def test_what_resolutions_ask_all_the_time_is_plain() -> None:
    texts = (">=1.21,!=1.22.0,<3", "~=4.2", "==3.11.*", "!=4.0.0a0,!=4.0.0a1", ">=2.0rc1")
    assert all(plain_specifier(text) is not None for text in texts)
    assert all(plain_version(text) is not None for text in ("1.26.4", "2.0.0rc1", "0.8.1.post1", "1.0.dev3"))
    assert plain_version("9" * 10_000) is None
