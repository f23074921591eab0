"""Commits that the cache has, each in a bare repository of its own.

``<root>/<remote>/<commit>.git`` is a repository that has the commit whole: its files, and with
``+history`` in the name also what led to it and all tags. It is made aside, complete because of
``<commit>.json`` beside it, and never changed: a git that outlives its envforge writes where nobody looks.
Packs of the commit that was fetched before are linked, and only the difference is sent. The remote's folder
is named by a digest of its address without credentials.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from envforge.events import Reporter
from envforge.model.git import GitReference, GitRemote
from envforge.net.settings import NetworkSettings
from envforge.store.guard import Guard
from envforge.store.owner import this_process
from envforge.store.sharing import is_shared, make_folders, share
from envforge.store.uses import note_use
from envforge.struct import Struct

FOLDER = "git-v1"
"""In the cache root; the number is that of the layout."""
_HISTORY = "+history"


class GitCache(Struct, frozen=True, kw_only=True):
    """Where commits are kept, and how servers may be asked.

    Args:
        root: folder of all remotes.
        network: whether, and how long.
        environ: of this process.
        reporter: who listens.
    """

    root: Path
    network: NetworkSettings
    environ: Mapping[str, str]
    reporter: Reporter

    def folder(self, remote: GitRemote) -> Path:
        """What is of a remote."""
        address = remote.url.rstrip("/").removesuffix(".git")
        return self.root / sha256(address.encode()).hexdigest()[:20]

    def objects(self, remote: GitRemote) -> Path:
        """Where git-lfs keeps the large files of a remote, by their digests."""
        return self.folder(remote) / "lfs"

    def guard(self, remote: GitRemote, name: str) -> Guard:
        """For who fetches something of a remote."""
        return Guard(self.root / "guards" / f"{self.folder(remote).name}-{name}.guard")


class KeptCommit(Struct, frozen=True):
    """A commit that is here.

    Args:
        commit: 40 hexadecimal digits.
        repository: bare, that has it.
        remote: where it came from.
    """

    commit: str
    repository: Path
    remote: GitRemote


def entry_name(commit: str, *, history: bool) -> str:
    """How a commit's repository is named, without ``.git``."""
    return f"{commit}{_HISTORY}" if history else commit


def find_commit(
    remote: GitRemote, commit: str, cache: GitCache, *, history: bool = False
) -> KeptCommit | None:
    """A commit that the cache has; its use is noted, and keeps it for an hour.

    Args:
        remote: whose.
        commit: all 40 digits.
        cache: where to look.
        history: what led to it has to be there, too.
    """
    folder = cache.folder(remote)
    for name in {entry_name(commit, history=history), entry_name(commit, history=True)}:
        if note_use(str(folder / f"{name}.json")):
            return KeptCommit(commit, folder / f"{name}.git", remote)
    return None


def find_by_prefix(remote: GitRemote, prefix: str, cache: GitCache) -> list[str]:
    """The commits of a remote, among those that are here, that begin with some digits."""
    names = {place.stem.partition("+")[0] for place in cache.folder(remote).glob("*.json")}
    return sorted(name for name in names if name.startswith(prefix.lower()))


def recall_reference(remote: GitRemote, reference: GitReference, cache: GitCache) -> str:
    """The commit that a reference named when it was last asked for, ``""`` if it never was."""
    with suppress(OSError, ValueError):
        commit = _memo(remote, reference, cache).read_text(encoding="ascii").strip()
        return commit if len(commit) == 40 else ""
    return ""


def note_reference(remote: GitRemote, reference: GitReference, commit: str, cache: GitCache) -> None:
    """Remember what a reference names now, for the time without a network. Costs nothing if it cannot be."""
    with suppress(OSError):
        write_whole(_memo(remote, reference, cache), commit)


def write_whole(place: Path, text: str) -> None:
    """Write a small file so that readers see all of it or what was there before.

    Raises:
        OSError: it cannot be written.
    """
    make_folders(place.parent)
    aside = aside_name(place.parent)
    aside.write_text(text, encoding="utf-8")
    if is_shared(place.parent):
        share(aside)
    aside.replace(place)


def write_marker(place: Path, remote: GitRemote, size_bytes: int) -> None:
    """Make what stands beside a marker complete."""
    write_whole(place, json.dumps({"size": size_bytes, "url": remote.url}))


def aside_name(folder: Path) -> Path:
    """A new name in a folder, from which a sweep knows whose it is."""
    return folder / f"{this_process()}.{os.urandom(6).hex()}.new"


def _memo(remote: GitRemote, reference: GitReference, cache: GitCache) -> Path:
    digest = sha256(f"{reference.kind or ''} {reference.name}".encode()).hexdigest()[:20]
    return cache.folder(remote) / "references" / digest
