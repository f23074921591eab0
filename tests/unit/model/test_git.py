"""Addresses of repositories, and the names of what is in them."""

from __future__ import annotations

import pytest

from envforge.errors import RequirementError
from envforge.model.git import (
    GitRemote,
    ReferenceKind,
    join_remote,
    parse_git_reference,
    parse_remote,
)


@pytest.mark.parametrize(
    ("text", "url", "scheme", "host", "label"),
    [
        ("https://github.com/a/b", "https://github.com/a/b", "https", "github.com", "b"),
        ("git+https://github.com/a/b.git", "https://github.com/a/b.git", "https", "github.com", "b"),
        ("HTTPS://github.com/a", "https://github.com/a", "https", "github.com", "a"),
        ("ssh://git@host:2222/a/b.git", "ssh://git@host:2222/a/b.git", "ssh", "host:2222", "b"),
        ("git@host.org:a/b.git", "git@host.org:a/b.git", "ssh", "host.org", "b"),
        ("host.org:b.git", "host.org:b.git", "ssh", "host.org", "b"),
        ("git@host.org:/srv/b.git", "git@host.org:/srv/b.git", "ssh", "host.org", "b"),
        ("git://127.0.0.1:9418/b", "git://127.0.0.1:9418/b", "git", "127.0.0.1:9418", "b"),
        ("file:///home/me/b", "file:///home/me/b", "file", "", "b"),
    ],
)
def test_addresses(text: str, url: str, scheme: str, host: str, label: str) -> None:
    remote = parse_remote(text)
    assert (remote.url, remote.scheme, remote.host, remote.label) == (url, scheme, host, label)
    assert parse_remote(remote.url) == remote


def test_credentials_are_apart_from_the_address() -> None:
    remote = parse_remote("https://anne:s%40crt@host/a")
    assert (remote.url, remote.username, remote.password) == ("https://host/a", "anne", "s@crt")
    assert "anne" not in repr(remote)
    assert "s@crt" not in repr(remote)
    assert parse_remote("https://token@host/a") == GitRemote("https://host/a", "token")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ext::sh -c touch%20/tmp/x",
        "ext::sh",
        "fd::17",
        "http-ext://host/a",
        "-oProxyCommand=x",
        "ssh://-oProxyCommand=x/a",
        "-host:path",
        "https://host",
        "https:///a",
        "https://host/",
        "https://host/a?token=1",
        "https://host/a#b",
        "https://host/a b",
        "https://host/a\nb",
        "ssh://anne:secret@host/a",
        "file://host/a",
        "C:\\a",
        "c:a",
        "../a",
        "a",
        "svn://host/a",
        "https://host/a\\b",
        "u@h@x:a",
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(RequirementError) as caught:
        parse_remote(text)
    assert "secret" not in str(caught.value)


def test_standard_url() -> None:
    assert parse_remote("git@host:a/b.git").standard_url == "ssh://git@host/a/b.git"
    assert parse_remote("git@host:/srv/b.git").standard_url == "ssh://git@host/srv/b.git"
    assert parse_remote("https://u:p@host/a").standard_url == "https://host/a"


@pytest.mark.parametrize(
    ("parent", "text", "url"),
    [
        ("https://host/a/b.git", "../c.git", "https://host/a/c.git"),
        ("https://host/a/b", "../../x/c", "https://host/x/c"),
        ("https://host/a/b", "./c", "https://host/a/b/c"),
        ("git@host:a/b.git", "../c.git", "git@host:a/c.git"),
        ("git@host:b.git", "../c.git", "git@host:c.git"),
        ("file:///srv/b", "../c", "file:///srv/c"),
        ("file:///srv/b", "/srv/c", "file:///srv/c"),
        ("file:///srv/b", "https://host/c", "https://host/c"),
    ],
)
def test_addresses_of_submodules(parent: str, text: str, url: str) -> None:
    assert join_remote(parse_remote(parent), text).url == url


@pytest.mark.parametrize(
    ("parent", "text"),
    [
        ("https://host/a", "/etc"),
        ("https://host/a", "file:///etc"),
        ("git@host:a", "file:///etc"),
        ("https://host/a", "../../../c"),
        ("https://host/a", "ext::sh"),
        ("https://host/a", "-x"),
        ("file:///a", "../../c"),
    ],
)
def test_submodules_that_must_not_be_followed(parent: str, text: str) -> None:
    with pytest.raises(RequirementError):
        join_remote(parse_remote(parent), text)


def test_credentials_stay_within_a_host() -> None:
    parent = parse_remote("https://anne:secret@host/a")
    assert join_remote(parent, "../b").password == "secret"
    assert join_remote(parent, "https://host/c").password == "secret"
    assert join_remote(parent, "https://other/c").password == ""


@pytest.mark.parametrize("name", ["main", "v1.0", "feature/x", "refs/pull/1/head", "HEAD", "ab12"])
def test_references(name: str) -> None:
    assert parse_git_reference(ReferenceKind.REV, name).name == name


@pytest.mark.parametrize(
    "name",
    ["", "-x", "--upload-pack=x", "a b", "a..b", "a^", "a~1", "a:b", "a*", "/a", "a/", "a.lock", "@{1}"],
)
def test_names_that_git_does_not_have(name: str) -> None:
    with pytest.raises(RequirementError, match="cannot be the name of a branch"):
        parse_git_reference(ReferenceKind.BRANCH, name)


def test_whole_and_short_commits() -> None:
    commit = "A" * 40
    assert parse_git_reference(ReferenceKind.REV, commit).commit == "a" * 40
    assert parse_git_reference(ReferenceKind.BRANCH, commit).commit == ""
    assert parse_git_reference(ReferenceKind.REV, "abcdef1").is_short_commit
    assert not parse_git_reference(ReferenceKind.REV, "abcdef").is_short_commit
    assert not parse_git_reference(ReferenceKind.TAG, "abcdef1").is_short_commit
