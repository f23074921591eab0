"""Match specs that are told by our regular expression mean what rattler reads in them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from envforge.errors import RequirementError
from envforge.model.match_spec import parse_match_spec

_versions = st.from_regex(r"[0-9]{1,2}(\.[0-9]{1,2}){0,2}((a|b|rc|\.dev|\.post)[0-9])?", fullmatch=True)
_operators = st.sampled_from([">=", "<=", ">", "<", "==", "!=", "=", "~=", ">= ", "== ", ""])
_ranges = st.tuples(_operators, _versions, st.sampled_from(["", ".*", "*"])).map("".join)
_joined = st.lists(_ranges, min_size=1, max_size=3).flatmap(
    lambda ranges: st.sampled_from([",", "|", ", ", " , "]).map(lambda glue: glue.join(ranges))
)
_builds = st.from_regex(r"[a-z0-9_*]{1,8}", fullmatch=True)
_texts = st.one_of(
    st.tuples(st.sampled_from(["numpy", "py-x.y", "_a"]), st.sampled_from([" ", ""]), _joined).map("".join),
    st.tuples(st.just("numpy"), _joined, _builds).map(" ".join),
    st.text(alphabet="ab1.*=<>!~,| []'", max_size=12),
)


@given(_texts)
def test_agrees_with_rattler(text: str) -> None:
    from rattler import MatchSpec

    try:
        parts = parse_match_spec(text)
    except RequirementError:
        return
    ours = MatchSpec(str(parts), strict=True)
    assert parse_match_spec(str(parts)) == parts
    try:
        theirs = MatchSpec(text, strict=True)
    except Exception:
        assert text.count("=") >= 2, "only conda's three parts are read by us alone"
        return
    assert str(ours) == str(theirs) or {ours.version, theirs.version} <= {None, "*"}
