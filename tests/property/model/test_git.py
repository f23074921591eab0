"""Whatever somebody writes as an address or a name: read, or refused with a hint, and no program."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from envforge.errors import RequirementError
from envforge.model.git import SCHEMES, ReferenceKind, join_remote, parse_git_reference, parse_remote

STARTS = [f"{scheme}://" for scheme in (*SCHEMES, "ext", "fd", "HTTP")]
PARTS = ["ext::", "git+", "git@", "host", "-", "--", "anne:s3cret@", "/", "//", "..", "../", "./"]
PIECES = st.sampled_from([*STARTS, *PARTS, ":", "::", "@", "a", "lib.git", "#x", "?t=1", " ", "\n", "\\"])
TEXTS = st.one_of(st.text(max_size=30), st.lists(PIECES, max_size=7).map("".join))


@given(TEXTS)
@example("https://anne:s3cret@host/lib")
@example("ssh://anne:s3cret@host/lib")
def test_addresses(text: str) -> None:
    try:
        remote = parse_remote(text)
    except RequirementError as error:
        assert error.hints
        assert "s3cret" not in f"{error.message}{error.hints}", "it may be a password"
        return
    assert remote.scheme in SCHEMES
    if remote.password:
        assert f":{remote.password}@" not in f"{remote.url}{remote!r}"
    assert not remote.url.startswith("-")
    assert not remote.host.startswith("-")
    assert "::" not in remote.url.partition("://")[0]
    assert parse_remote(remote.url).url == remote.url
    assert "://" in remote.standard_url


@given(st.sampled_from(["https://host/a/b", "git@host:a", "file:///srv/a", "ssh://git@host/a"]), TEXTS)
def test_submodules(parent: str, text: str) -> None:
    of = parse_remote(parent)
    try:
        remote = join_remote(of, text)
    except RequirementError:
        return
    assert remote.scheme in SCHEMES
    assert remote.scheme != "file" or of.scheme == "file"
    assert parse_remote(remote.url).url == remote.url


@given(st.sampled_from(ReferenceKind), TEXTS)
def test_names(kind: ReferenceKind, text: str) -> None:
    try:
        name = parse_git_reference(kind, text).name
    except RequirementError:
        return
    assert not name.startswith("-")
    assert not set(name) & set(" ~^:?*[\\\n")
