"""Which commit a name is: asked of a real repository."""

from __future__ import annotations

import pytest

from envforge.errors import HostError, NetworkError, OfflineError, PackageIndexError
from envforge.git.cache import GitCache
from envforge.git.references import resolve_reference
from envforge.model.git import DEFAULT_BRANCH, GitReference, ReferenceKind, parse_remote
from envforge.struct import replace

from support.git_repositories import GitRepository

BRANCH, TAG, REV = ReferenceKind


def ask(repository: GitRepository, cache: GitCache, kind: ReferenceKind | None = None, name: str = "") -> str:
    return resolve_reference(parse_remote(repository.url), GitReference(kind, name), cache)


def test_names_of_all_kinds(repository: GitRepository, cache: GitCache) -> None:
    first = repository.head
    repository.tag("v1", annotated=True)
    repository.tag("light")
    repository.branch("topic/x")
    second = repository.commit({"b.txt": "two"})
    assert ask(repository, cache, TAG, "v1") == first, "not the tag's own object"
    assert ask(repository, cache, TAG, "light") == first
    assert ask(repository, cache, BRANCH, "main") == first
    assert ask(repository, cache, BRANCH, "topic/x") == second
    assert ask(repository, cache, REV, "topic/x") == second
    assert ask(repository, cache, REV, "v1") == first
    assert ask(repository, cache, REV, "refs/heads/main") == first
    assert ask(repository, cache) == second, "what its HEAD is"


def test_the_beginning_of_a_commit(repository: GitRepository, cache: GitCache) -> None:
    first = repository.head
    repository.commit({"b.txt": "two"})
    assert ask(repository, cache, REV, first[:9]) == first
    assert ask(repository, cache, REV, repository.head[:9].upper()) == repository.head
    with pytest.raises(PackageIndexError, match="has no rev 0000000"):
        ask(repository, cache, REV, "0000000")
    assert not list(cache.root.glob("*.new"))


def test_a_whole_commit_is_asked_of_nobody(cache: GitCache) -> None:
    reference = GitReference(REV, "a" * 40)
    assert resolve_reference(parse_remote("https://nowhere.invalid/a"), reference, cache) == "a" * 40


def test_what_is_not_there(repository: GitRepository, cache: GitCache) -> None:
    repository.tag("v1.0")
    repository.branch("develop")
    with pytest.raises(PackageIndexError) as caught:
        ask(repository, cache, BRANCH, "devlop")
    assert caught.value.message == f"{repository.url} has no branch devlop"
    assert caught.value.context == ("branches: develop, main", "tags: v1.0")
    assert caught.value.hints == ("did you mean develop?",)
    with pytest.raises(PackageIndexError) as caught:
        ask(repository, cache, BRANCH, "v1.0")
    assert caught.value.hints == ('it has a tag of this name: tag = "v1.0"',)


def test_a_name_that_is_two_things(repository: GitRepository, cache: GitCache) -> None:
    repository.tag("both")
    repository.branch("both")
    assert ask(repository, cache, REV, "both"), "they are the same commit"
    repository.commit({"b.txt": "two"})
    with pytest.raises(PackageIndexError, match="both a branch and a tag"):
        ask(repository, cache, REV, "both")
    assert ask(repository, cache, BRANCH, "both") != ask(repository, cache, TAG, "both")


def test_without_a_network_the_last_answer_holds(repository: GitRepository, cache: GitCache) -> None:
    offline = replace(cache, network=replace(cache.network, offline=True))
    with pytest.raises(OfflineError, match=r"branch main of .* is not in the cache"):
        ask(repository, offline, BRANCH, "main")
    commit = ask(repository, cache, BRANCH, "main")
    repository.commit({"b.txt": "two"})
    assert ask(repository, offline, BRANCH, "main") == commit


def test_an_empty_repository(repository: GitRepository, cache: GitCache) -> None:
    empty = GitRepository(repository.folder.with_name("empty"))
    with pytest.raises(PackageIndexError, match="has no commits yet"):
        resolve_reference(parse_remote(empty.url), DEFAULT_BRANCH, cache)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1:1/a", "it does not answer"),
        ("git://127.0.0.1:1/a", "it does not answer"),
        ("https://nowhere.invalid/a", "its name cannot be resolved"),
        ("file:///nowhere/at/all", "there is no such repository, or not for this user"),
    ],
)
def test_servers_that_are_not_there(url: str, says: str, cache: GitCache) -> None:
    with pytest.raises(NetworkError) as caught:
        resolve_reference(parse_remote(url), DEFAULT_BRANCH, cache)
    assert caught.value.message.endswith(f": {says}"), caught.value.context
    assert caught.value.context[0] == f"repository: {url}"


def test_no_git(repository: GitRepository, cache: GitCache) -> None:
    with pytest.raises(HostError, match="git is not installed"):
        ask(repository, replace(cache, environ={"PATH": "/nowhere"}))
