"""Brings a commit of a remote into the cache: by one process, the others wait; complete or absent.

The commit alone is asked for, without what led to it. Servers that only hand out what they advertise (old
ones, and files on a plain web server) are asked for everything.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from envforge.errors import NetworkError
from envforge.events import DownloadFinished, DownloadStarted
from envforge.git.cache import (
    GitCache,
    KeptCommit,
    aside_name,
    entry_name,
    find_commit,
    write_marker,
)
from envforge.git.failures import offline_failure, remote_failure
from envforge.git.patience import ask_patiently
from envforge.git.process import GitFailure, run_local
from envforge.model.git import GitRemote
from envforge.store.failures import store_failures
from envforge.store.guard import Hold
from envforge.store.sharing import is_shared, make_folders, share_all

_GONE = re.compile(r"not our ref|[Cc]ouldn't find remote ref|no such remote ref|bad object")
_ASKS_TOO_MUCH = re.compile(r"unadvertised object|does not support (shallow|--)|dumb http transport")
_EVERYTHING = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")


def fetch_commit(remote: GitRemote, commit: str, cache: GitCache, *, history: bool = False) -> KeptCommit:
    """A commit out of the cache, fetched before if it has to be.

    Args:
        remote: whose.
        commit: all 40 digits.
        cache: where it is kept.
        history: also what led to it, and the tags; for builds that make a version of these.

    Raises:
        NetworkError: the server does not answer, or does not have the commit any more.
        OfflineError: it is not here, and nobody may be asked.
        StoreError: the cache cannot be written.
        HostError: there is no git.
    """
    found = find_commit(remote, commit, cache, history=history)
    if found is not None:
        return found
    if cache.network.offline:
        raise offline_failure(remote, f"the history of {commit}" if history else f"commit {commit}")
    what = f"{remote.label} at {commit[:12]}"
    name = entry_name(commit, history=history)
    with (
        store_failures(cache.root, f"fetch {what}"),
        cache.guard(remote, name).hold(cache.reporter, what) as hold,
    ):
        found = find_commit(remote, commit, cache, history=history)
        if found is None:
            cache.reporter.report(DownloadStarted(filename=what, size_bytes=None))
            found = _Fetch(remote, commit, cache, hold, history=history).run(name)
            cache.reporter.report(DownloadFinished(filename=what))
        return found


class _Fetch:
    """One commit on its way into a repository that nobody sees yet."""

    def __init__(self, remote: GitRemote, commit: str, cache: GitCache, hold: Hold, *, history: bool) -> None:
        self._remote = remote
        self._commit = commit
        self._cache = cache
        self._hold = hold
        self._history = history
        self._folder = cache.folder(remote)

    def run(self, name: str) -> KeptCommit:
        make_folders(self._folder)
        aside = aside_name(self._folder)
        place = self._folder / f"{name}.git"
        try:
            self._local(["init", "--quiet", "--bare", "--template=", aside], self._folder)
            self._borrow(aside)
            self._fetch(aside)
            self._local(["pack-refs", "--all"], aside)
            (aside / "FETCH_HEAD").unlink(missing_ok=True)
            if is_shared(self._folder):
                share_all(aside)
            size_bytes = _size_bytes(aside)
            shutil.rmtree(place, ignore_errors=True)  # of one who was killed just before it was complete
            aside.rename(place)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        write_marker(self._folder / f"{name}.json", self._remote, size_bytes)
        return KeptCommit(self._commit, place, self._remote)

    def _fetch(self, aside: Path) -> None:
        own = f"+{self._commit}:refs/envforge/{self._commit}"
        try:
            if self._history:
                depth = ["--unshallow"] if (aside / "shallow").exists() else []
                self._ask([*depth, "--", self._remote.url, own, _EVERYTHING[1]], aside)
            else:
                self._ask(["--depth=1", "--", self._remote.url, own], aside)
        except GitFailure as failure:
            if _GONE.search(failure.text):
                raise self._gone() from None
            if not _ASKS_TOO_MUCH.search(failure.text):
                raise remote_failure(self._remote, failure, f"fetch commit {self._commit[:12]}") from None
            self._fetch_everything(aside)

    def _fetch_everything(self, aside: Path) -> None:
        try:
            self._ask(["--", self._remote.url, *_EVERYTHING], aside)
            self._local(["update-ref", f"refs/envforge/{self._commit}", f"{self._commit}^{{commit}}"], aside)
        except GitFailure as failure:
            if "refs/envforge" in failure.text or "not a valid SHA1" in failure.text:
                raise self._gone() from None
            raise remote_failure(self._remote, failure, f"fetch commit {self._commit[:12]}") from None

    def _ask(self, arguments: Sequence[str], aside: Path) -> None:
        words = ["fetch", "--progress", "--no-tags", *arguments]
        ask_patiently(words, self._remote, self._cache, aside, timeouts=4, hear=self._hear)

    def _hear(self, text: str) -> None:
        if "%" in text:
            self._hold.progress = text

    def _borrow(self, aside: Path) -> None:
        """Link the packs of the commit that was fetched last, so that only the difference is sent."""
        markers = sorted(self._folder.glob("*.json"), key=lambda place: place.stat().st_mtime)
        for marker in markers[-1:]:
            with suppress(OSError):  # taken away just now: then all is fetched
                _link_packs(marker.with_suffix(".git"), aside)

    def _local(self, arguments: Sequence[str | Path], folder: Path) -> None:
        run_local(arguments, self._cache.environ, folder=folder)

    def _gone(self) -> NetworkError:
        return NetworkError(
            f"{self._remote} does not have commit {self._commit} any more",
            context=["it may have been removed by a force push, or it is in another repository"],
            hints=["take the newest: envforge lock --upgrade-package NAME; or name a commit that is there"],
        )


def _link_packs(source: Path, destination: Path) -> None:
    """Give a new repository what another has; a pack counts once its index is there, so that comes last."""
    packs = sorted((source / "objects" / "pack").iterdir(), key=lambda place: place.suffix == ".idx")
    refs, shallow = (source / "packed-refs").read_bytes(), source / "shallow"
    boundary = shallow.read_bytes() if shallow.exists() else b""
    target = destination / "objects" / "pack"
    target.mkdir(parents=True, exist_ok=True)
    for pack in packs:
        try:
            os.link(pack, target / pack.name)
        except OSError:
            shutil.copy2(pack, target / pack.name)
    if boundary:
        (destination / "shallow").write_bytes(boundary)
    (destination / "packed-refs").write_bytes(refs)


def _size_bytes(folder: Path) -> int:
    """What a repository takes beyond what it shares with others."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            status = os.stat(os.path.join(root, name))  # noqa: PTH116, PTH118
            total += status.st_size if status.st_nlink == 1 else 0
    return total
