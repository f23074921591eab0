"""Which commit a branch, a tag or a revision of a remote is now.

Asked with ``git ls-remote``, which transfers names only. The beginning of a commit's digest is the exception:
no server is asked for that, so the names of all commits have to be fetched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from envforge.errors import PackageIndexError
from envforge.git.cache import GitCache, aside_name, find_by_prefix, note_reference, recall_reference
from envforge.git.failures import offline_failure, remote_failure
from envforge.git.patience import ask_patiently
from envforge.git.process import GitFailure, run_local
from envforge.model.git import GitReference, GitRemote, ReferenceKind
from envforge.store.failures import store_failures
from envforge.store.sharing import make_folders

_MOST_SHOWN = 10


def resolve_reference(remote: GitRemote, reference: GitReference, cache: GitCache) -> str:
    """The commit that a reference names.

    Args:
        remote: whose.
        reference: what is asked for; a whole commit is taken at its word.
        cache: whose network is asked; without one, what was last seen holds.

    Returns:
        40 hexadecimal digits.

    Raises:
        NetworkError: the server does not answer.
        OfflineError: only the server knows.
        PackageIndexError: it has no such name, or several of it.
        HostError: there is no git.
    """
    if reference.commit:
        return reference.commit
    if cache.network.offline:
        return _known_commit(remote, reference, cache)
    commit = _ask(remote, reference, cache)
    note_reference(remote, reference, commit, cache)
    return commit


def _known_commit(remote: GitRemote, reference: GitReference, cache: GitCache) -> str:
    commit = recall_reference(remote, reference, cache)
    if not commit and reference.is_short_commit:
        found = find_by_prefix(remote, reference.name, cache)
        commit = found[0] if len(found) == 1 else ""
    if not commit:
        raise offline_failure(remote, str(reference))
    return commit


def _ask(remote: GitRemote, reference: GitReference, cache: GitCache) -> str:
    wanted = _possible_names(reference)
    there = list_references(remote, cache, wanted)
    found = {
        name: there[f"{name}^{{}}"] if f"{name}^{{}}" in there else there[name]
        for name in wanted
        if name in there
    }
    if len(set(found.values())) > 1:
        raise PackageIndexError(
            f"{reference.name} is both a branch and a tag of {remote}",
            context=[f"{name}: {commit}" for name, commit in found.items()],
            hints=["say which one is meant: branch = …, or tag = …"],
        )
    if found:
        return next(iter(found.values()))
    everything = list_references(remote, cache)
    if reference.is_short_commit:
        return _whole_commit(remote, reference, everything, cache)
    raise _unknown(remote, reference, everything)


def _possible_names(reference: GitReference) -> tuple[str, ...]:
    """Whole names that a reference may mean; those of tags come with what they point to (``^{}``)."""
    name = reference.name
    if reference.kind is None:
        return ("HEAD",)
    if reference.kind is ReferenceKind.BRANCH:
        return (f"refs/heads/{name}",)
    if reference.kind is ReferenceKind.TAG:
        return (f"refs/tags/{name}",)
    return (
        (name,) if name.startswith("refs/") or name == "HEAD" else (f"refs/tags/{name}", f"refs/heads/{name}")
    )


def list_references(remote: GitRemote, cache: GitCache, names: Sequence[str] = ()) -> dict[str, str]:
    """Names of a remote → commits, or the tags' own objects; ``NAME^{}`` → what such a tag points to.

    Args:
        remote: whose.
        cache: whose network is asked.
        names: whole ones that are asked for; none for all.

    Raises:
        NetworkError: the server does not answer.
        HostError: there is no git.
    """
    patterns = [part for name in names for part in (name, f"{name}^{{}}")]
    with store_failures(cache.root, "use the cache of git"):
        make_folders(cache.root)
    answer = ask_remote(
        ["ls-remote", "--", remote.url, *patterns], remote, cache, cache.root, "read the references"
    )
    pairs = (line.split("\t", 1) for line in answer.decode("utf-8", "replace").splitlines() if "\t" in line)
    return {name: commit for commit, name in pairs}


def ask_remote(
    arguments: Sequence[str | Path], remote: GitRemote, cache: GitCache, folder: Path, doing: str
) -> bytes:
    """Run a small command that talks to a server, again if what went wrong may pass.

    Raises:
        NetworkError: it fails.
        HostError: there is no git.
    """
    try:
        return ask_patiently(arguments, remote, cache, folder, timeouts=2)
    except GitFailure as failure:
        raise remote_failure(remote, failure, doing) from None


def _whole_commit(
    remote: GitRemote, reference: GitReference, everything: Mapping[str, str], cache: GitCache
) -> str:
    """The commit whose digest begins with some digits."""
    prefix = reference.name.lower()
    tips = {commit for name, commit in everything.items() if commit.startswith(prefix)}
    tips -= {everything[name] for name in everything if f"{name}^{{}}" in everything}
    if len(tips) == 1:
        return tips.pop()
    import shutil

    aside = aside_name(cache.root)
    try:
        run_local(["init", "--quiet", "--bare", "--template=", aside], cache.environ, folder=cache.root)
        both = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
        ask_remote(
            ["fetch", "--quiet", "--no-tags", "--", remote.url, *both],
            remote,
            cache,
            aside,
            "read the commits",
        )
        answer = run_local(["rev-parse", "--verify", f"{prefix}^{{commit}}"], cache.environ, folder=aside)
        return answer.decode().strip()
    except GitFailure as failure:
        if "ambiguous" in failure.text:
            raise PackageIndexError(
                f"{prefix} is the beginning of several commits of {remote}",
                context=[line for line in failure.text.splitlines() if " commit " in line][:_MOST_SHOWN],
                hints=["write more of its digits"],
            ) from None
        raise _unknown(remote, reference, everything) from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _unknown(remote: GitRemote, reference: GitReference, everything: Mapping[str, str]) -> PackageIndexError:
    """The error for a name that a remote does not have: what it has, and what may be meant."""
    if not everything:
        return PackageIndexError(f"{remote} has no commits yet", hints=["check the address"])
    branches = [name.removeprefix("refs/heads/") for name in everything if name.startswith("refs/heads/")]
    tags = [
        name.removeprefix("refs/tags/")
        for name in everything
        if name.startswith("refs/tags/") and not name.endswith("^{}")
    ]
    other = {ReferenceKind.BRANCH: tags, ReferenceKind.TAG: branches}.get(
        reference.kind or ReferenceKind.REV, []
    )
    if reference.name in other:
        right = ReferenceKind.TAG if reference.kind is ReferenceKind.BRANCH else ReferenceKind.BRANCH
        hint = f'it has a {right} of this name: {right} = "{reference.name}"'
    else:
        hint = _nearest(reference.name, [*branches, *tags])
    return PackageIndexError(
        f"{remote} has no {reference}",
        context=[f"branches: {_listed(branches)}", f"tags: {_listed(tags[::-1])}"],
        hints=[hint],
    )


def _nearest(name: str, names: Sequence[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, names, 1)
    return f"did you mean {near[0]}?" if near else "check the name, or whether it was deleted there"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else ""
    return (", ".join(names[:_MOST_SHOWN]) or "none") + more
