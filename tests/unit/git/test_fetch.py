"""Commits fetched into the cache and checked out of it: real repositories, served in three ways."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from envforge.errors import ArchiveError, HostError, NetworkError, OfflineError
from envforge.git.cache import GitCache, KeptCommit
from envforge.git.checkout import CheckoutOptions, check_out
from envforge.git.fetch import fetch_commit
from envforge.git.references import resolve_reference
from envforge.model.git import DEFAULT_BRANCH, GitRemote, parse_remote
from envforge.struct import replace

from support.git_repositories import GitHttpServer, GitRepository, git, git_daemon

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the servers are POSIX here")
needs_lfs = pytest.mark.skipif(shutil.which("git-lfs") is None, reason="needs git-lfs")


def offline(cache: GitCache) -> GitCache:
    return replace(cache, network=replace(cache.network, offline=True))


def files(folder: Path) -> dict[str, str]:
    return {
        place.relative_to(folder).as_posix(): place.read_text()
        for place in sorted(folder.rglob("*"))
        if place.is_file() and ".git" not in place.relative_to(folder).parts
    }


def checked_out(
    kept: KeptCommit, folder: Path, cache: GitCache, options: CheckoutOptions | None = None
) -> dict[str, str]:
    return files(check_out(kept, folder, cache, options or CheckoutOptions()))


@pytest.fixture(params=["file", "git", "http"])
def served(request: pytest.FixtureRequest, repository: GitRepository) -> Iterator[GitRemote]:
    root = repository.folder.parent
    if request.param == "file":
        yield parse_remote(repository.url)
    elif request.param == "git":
        with git_daemon(root) as url:
            yield parse_remote(f"{url}/lib")
    else:
        with GitHttpServer(root) as server:
            yield parse_remote(f"{server.url}/lib/.git")


def test_a_commit_alone_is_fetched(
    served: GitRemote, repository: GitRepository, cache: GitCache, tmp_path: Path
) -> None:
    first = repository.head
    second = repository.commit({"a.txt": "two", "b/c.txt": "three"})
    repository.commit({"a.txt": "later"})
    kept = fetch_commit(served, second, cache)
    assert checked_out(kept, tmp_path / "out", cache) == {"a.txt": "two", "b/c.txt": "three"}
    assert first not in git(kept.repository, "rev-list", "--all"), "what led to it is not there"
    assert not list(cache.root.rglob("*.new"))
    again = fetch_commit(served, second, offline(cache))
    assert again == kept
    older = fetch_commit(served, first, cache)
    assert checked_out(older, tmp_path / "older", cache) == {"a.txt": "one"}


def test_history_is_fetched_where_it_is_wanted(
    served: GitRemote, repository: GitRepository, cache: GitCache, tmp_path: Path
) -> None:
    repository.tag("v1.0", annotated=True)
    repository.commit({"a.txt": "two"})
    head = repository.commit({"a.txt": "three"})
    fetch_commit(served, head, cache)
    with pytest.raises(OfflineError):
        fetch_commit(served, head, offline(cache), history=True)
    kept = fetch_commit(served, head, cache, history=True)
    check_out(kept, tmp_path / "out", cache, CheckoutOptions(history=True))
    assert git(tmp_path / "out", "describe", "--dirty").startswith("v1.0-2-g")


def test_only_the_difference_is_fetched(repository: GitRepository, cache: GitCache) -> None:
    first = repository.commit({"large.bin": os.urandom(3_000_000)})
    second = repository.commit({"a.txt": "two"})
    remote = parse_remote(repository.url)
    kept = fetch_commit(remote, first, cache)
    later = fetch_commit(remote, second, cache)
    packs = {place.name: place.stat() for place in (later.repository / "objects/pack").glob("*.pack")}
    linked = {place.stat().st_ino for place in (kept.repository / "objects/pack").glob("*.pack")}
    new = [status.st_size for status in packs.values() if status.st_ino not in linked]
    assert sum(new) < 10_000
    shutil.rmtree(kept.repository)
    git(later.repository, "fsck", "--connectivity-only")


def test_a_force_push(served: GitRemote, repository: GitRepository, cache: GitCache, tmp_path: Path) -> None:
    kept_commit = repository.commit({"a.txt": "kept"})
    kept = fetch_commit(served, kept_commit, cache)
    git(repository.folder, "reset", "--hard", "--quiet", "HEAD~1")
    lost = repository.commit({"a.txt": "lost"})
    git(repository.folder, "reset", "--hard", "--quiet", "HEAD~1")
    repository.commit({"a.txt": "new"})
    repository.forget(kept_commit)
    assert checked_out(fetch_commit(served, kept_commit, cache), tmp_path / "out", cache) == {"a.txt": "kept"}
    assert kept.commit == kept_commit
    with pytest.raises(NetworkError) as caught:
        fetch_commit(served, lost, cache)
    assert caught.value.message == f"{served} does not have commit {lost} any more"
    assert "--upgrade-package" in caught.value.hints[0]


def test_a_server_that_hands_out_files_only(
    repository: GitRepository, cache: GitCache, tmp_path: Path
) -> None:
    """A plain web server: no protocol, so all that it has is fetched."""
    import http.server
    import threading
    from functools import partial

    old = repository.head
    repository.commit({"a.txt": "two"})
    bare = tmp_path / "plain" / "lib.git"
    git(tmp_path, "clone", "--quiet", "--bare", str(repository.folder), str(bare))
    git(bare, "update-server-info")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = partial(Quiet, directory=str(bare.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        remote = parse_remote(f"http://127.0.0.1:{server.server_port}/lib.git")
        kept = fetch_commit(remote, old, cache)
        assert checked_out(kept, tmp_path / "out", cache) == {"a.txt": "one"}
        with pytest.raises(NetworkError, match="does not have commit"):
            fetch_commit(remote, "0" * 39 + "1", cache)
        server.shutdown()


def test_credentials_reach_their_server_only(
    repository: GitRepository, cache: GitCache, tmp_path: Path
) -> None:
    root = repository.folder.parent
    with GitHttpServer(root, "anne", "s3cr:t@x") as server, GitHttpServer(root) as other:
        address = server.url.replace("://", "://anne:s3cr%3At%40x@")
        remote = parse_remote(f"{address}/lib/.git")
        commit = resolve_reference(remote, DEFAULT_BRANCH, cache)
        repository.commit({".gitmodules": f'[submodule "x"]\npath = x\nurl = {other.url}/lib/.git\n'})
        git(repository.folder, "update-index", "--add", "--cacheinfo", f"160000,{commit},x")
        git(repository.folder, "commit", "--quiet", "-m", "submodule")
        kept = fetch_commit(remote, repository.head, cache)
        assert checked_out(kept, tmp_path / "out", cache)["x/a.txt"] == "one"
        assert other.requests
        assert not any(other.authorizations)
        written = subprocess.run(
            ["grep", "-rlE", "s3cr|anne:", str(cache.root), str(tmp_path / "out")], capture_output=True
        )
        assert written.stdout == b""
        wrong = parse_remote(f"{address.replace('s3cr', 'wr0ng')}/lib/.git")
        with pytest.raises(NetworkError) as caught:
            resolve_reference(wrong, DEFAULT_BRANCH, cache)
        assert "it wants other credentials" in caught.value.message
        assert "wr0ng" not in f"{caught.value.message}{caught.value.context}{caught.value.hints}"
        bare = parse_remote(f"{server.url}/lib/.git")
        with pytest.raises(NetworkError, match="it wants other credentials"):
            resolve_reference(bare, DEFAULT_BRANCH, cache)


def test_credential_helpers_of_git_are_asked(
    repository: GitRepository, cache: GitCache, tmp_path: Path
) -> None:
    with GitHttpServer(repository.folder.parent, "anne", "secret") as server:
        (tmp_path / "home" / ".gitconfig").write_text(f'[credential "{server.url}"]\n\thelper = store\n')
        stored = server.url.replace("://", "://anne:secret@")
        (tmp_path / "home" / ".git-credentials").write_text(f"{stored}\n")
        remote = parse_remote(f"{server.url}/lib/.git")
        assert resolve_reference(remote, DEFAULT_BRANCH, cache) == repository.head


def test_submodules(repository: GitRepository, cache: GitCache, tmp_path: Path) -> None:
    root = repository.folder.parent
    inner, part = GitRepository(root / "inner"), GitRepository(root / "part")
    inner.commit({"inner.txt": "deep"})
    part.commit({"part.txt": "part"})
    git(part.folder, "submodule", "--quiet", "add", "../inner", "below/inner")
    part.commit({})
    git(repository.folder, "submodule", "--quiet", "add", part.url, "parts/part")
    repository.commit({})
    part.commit({"part.txt": "newer"})
    kept = fetch_commit(parse_remote(repository.url), repository.head, cache)
    found = checked_out(kept, tmp_path / "out", cache)
    assert found["parts/part/part.txt"] == "part", "as it was when it was added"
    assert found["parts/part/below/inner/inner.txt"] == "deep"
    shutil.rmtree(root)
    assert checked_out(kept, tmp_path / "offline", offline(cache)) == found
    without = checked_out(kept, tmp_path / "without", cache, CheckoutOptions(submodules=False))
    assert set(without) == {".gitmodules", "a.txt"}


@pytest.mark.parametrize("url", ["ext::sh -c 'touch {witness}'", "file:///etc", "-u{witness}", "/etc"])
def test_submodules_that_must_not_be_followed(
    url: str, repository: GitRepository, cache: GitCache, tmp_path: Path
) -> None:
    witness = tmp_path / "witness"
    commit = repository.head
    address = url.format(witness=witness)
    repository.commit({".gitmodules": f'[submodule "x"]\n\tpath = x\n\turl = "{address}"\n'})
    git(repository.folder, "update-index", "--add", "--cacheinfo", f"160000,{commit},x")
    git(repository.folder, "commit", "--quiet", "-m", "submodule")
    with git_daemon(repository.folder.parent) as server:
        kept = fetch_commit(parse_remote(f"{server}/lib"), repository.head, cache)
        with pytest.raises(ArchiveError, match=r"submodule x of .* cannot be followed"):
            check_out(kept, tmp_path / "out", cache, CheckoutOptions())
    assert not witness.exists()


def test_nothing_of_the_repository_or_the_user_is_executed(
    repository: GitRepository, cache: GitCache, tmp_path: Path
) -> None:
    witness = tmp_path / "witness"
    run = f"touch {witness}; cat"
    templates = tmp_path / "templates" / "hooks"
    templates.mkdir(parents=True)
    for name in ("post-checkout", "reference-transaction", "post-index-change"):
        (templates / name).write_text(f"#!/bin/sh\ntouch {witness}\n")
        (templates / name).chmod(0o755)
    (tmp_path / "home" / ".gitconfig").write_text(
        f"[init]\ntemplateDir = {templates.parent}\n[core]\nhooksPath = {templates}\nautocrlf = true\n"
        f'[filter "own"]\nsmudge = "{run}"\nprocess = "{run}"\n'
    )
    repository.commit({".gitattributes": "*.txt filter=own\n", "a.txt": "one\ntwo\n"})
    kept = fetch_commit(parse_remote(repository.url), repository.head, cache)
    assert checked_out(kept, tmp_path / "out", cache)["a.txt"] == "one\ntwo\n"
    assert not witness.exists()
    assert not (tmp_path / "out" / ".git" / "hooks").exists()


def test_a_repository_around_means_nothing(
    repository: GitRepository, cache: GitCache, tmp_path: Path
) -> None:
    """The cache lies in a project, and envforge runs in one of its hooks."""
    around = GitRepository(tmp_path / "around")
    git(around.folder, "config", f"url.{(tmp_path / 'elsewhere').as_uri()}.insteadOf", repository.url)
    variables = {"GIT_DIR": str(around.folder / ".git"), "GIT_INDEX_FILE": str(tmp_path / "index")}
    inside = replace(cache, root=around.folder / "cache" / "git", environ={**cache.environ, **variables})
    commit = resolve_reference(parse_remote(repository.url), DEFAULT_BRANCH, inside)
    kept = fetch_commit(parse_remote(repository.url), commit, inside)
    assert checked_out(kept, around.folder / "cache" / "out", inside) == {"a.txt": "one"}
    assert not (tmp_path / "index").exists()


def test_subdirectories(repository: GitRepository, cache: GitCache, tmp_path: Path) -> None:
    (repository.folder / "out").symlink_to("/etc")
    repository.commit({"libs/one/x.txt": "x"})
    kept = fetch_commit(parse_remote(repository.url), repository.head, cache)
    source = check_out(kept, tmp_path / "a", cache, CheckoutOptions(subdirectory="libs/one"))
    assert files(source) == {"x.txt": "x"}
    with pytest.raises(ArchiveError, match="has no folder lib/one") as caught:
        check_out(kept, tmp_path / "b", cache, CheckoutOptions(subdirectory="lib/one"))
    assert "folders: libs, out" in caught.value.context
    with pytest.raises(ArchiveError, match="leads out of"):
        check_out(kept, tmp_path / "c", cache, CheckoutOptions(subdirectory="out"))


@needs_lfs
def test_large_files(repository: GitRepository, cache: GitCache, tmp_path: Path) -> None:
    content = os.urandom(50_000)
    repository.add_large("weights.bin", content)
    kept = fetch_commit(parse_remote(repository.url), repository.head, cache)
    with pytest.raises(ArchiveError, match="keeps files in git-lfs") as caught:
        check_out(kept, tmp_path / "a", cache, CheckoutOptions())
    assert "weights.bin: 50,000 bytes" in caught.value.context
    assert "lfs = true" in caught.value.hints[0]
    check_out(kept, tmp_path / "b", cache, CheckoutOptions(lfs=False))
    assert (tmp_path / "b" / "weights.bin").read_bytes().startswith(b"version https://git-lfs")
    with pytest.raises(OfflineError):
        check_out(kept, tmp_path / "c", offline(cache), CheckoutOptions(lfs=True))
    check_out(kept, tmp_path / "d", cache, CheckoutOptions(lfs=True))
    assert (tmp_path / "d" / "weights.bin").read_bytes() == content
    assert git(tmp_path / "d", "status", "--porcelain") == ""
    shutil.rmtree(repository.folder)
    check_out(kept, tmp_path / "e", offline(cache), CheckoutOptions(lfs=True))
    assert (tmp_path / "e" / "weights.bin").read_bytes() == content


def test_large_files_without_git_lfs(repository: GitRepository, cache: GitCache, tmp_path: Path) -> None:
    repository.add_large("weights.bin", b"x" * 5000)
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "git").symlink_to(shutil.which("git") or "")
    kept = fetch_commit(parse_remote(repository.url), repository.head, cache)
    with pytest.raises(HostError, match="git-lfs is not installed"):
        poor = replace(cache, environ={**cache.environ, "PATH": str(programs)})
        check_out(kept, tmp_path / "out", poor, CheckoutOptions(lfs=True))


@needs_lfs
def test_large_files_that_their_server_lost(
    repository: GitRepository, cache: GitCache, tmp_path: Path
) -> None:
    repository.add_large("weights.bin", b"x" * 5000)
    shutil.rmtree(repository.folder / ".git" / "lfs")
    kept = fetch_commit(parse_remote(repository.url), repository.head, cache)
    with pytest.raises((ArchiveError, NetworkError), match=r"weights.bin|fetch large files"):
        check_out(kept, tmp_path / "out", cache, CheckoutOptions(lfs=True))


def test_a_server_in_trouble_is_asked_again(repository: GitRepository, cache: GitCache) -> None:
    patient = replace(cache, network=replace(cache.network, retries=2))
    with GitHttpServer(repository.folder.parent) as server:
        remote = parse_remote(f"{server.url}/lib/.git")
        server.failing = 1
        with pytest.raises(NetworkError, match="cannot fetch commit"):
            fetch_commit(remote, repository.head, cache)
        server.failing = 1
        assert fetch_commit(remote, repository.head, patient).commit == repository.head
    assert not list(cache.root.rglob("*.new"))
    assert not list((cache.root / "guards").iterdir())
