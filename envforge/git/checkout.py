"""Puts a commit's files into a folder, with those of its submodules and the large ones of git-lfs.

The folder is a working tree with ``.git``, since some build backends make a version of what git says; objects
stay in the cache and are referred to. Submodules are commits in the cache like all others, so that they are
fetched once and are there offline. Nothing of the repository is executed: no hook, no filter, no ``update``.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from envforge.errors import ArchiveError, EnvforgeError, RequirementError, StoreError
from envforge.git.cache import GitCache, KeptCommit
from envforge.git.fetch import fetch_commit
from envforge.git.lfs import place_large_files
from envforge.git.process import GitFailure, run_local
from envforge.model.git import join_remote
from envforge.struct import Struct

_DEEPEST = 16
_LINK_MODE = "160000"


class CheckoutOptions(Struct, frozen=True, kw_only=True):
    """What belongs to a checkout.

    Args:
        submodules: those of the commit, and theirs.
        lfs: large files; None if nothing is said, and then it is an error that there are some.
        history: what led to the commit, and the tags.
        subdirectory: the part that is going to be used, with ``/``; ``""`` for all.
    """

    submodules: bool = True
    lfs: bool | None = None
    history: bool = False
    subdirectory: str = ""


def check_out(kept: KeptCommit, folder: Path, cache: GitCache, options: CheckoutOptions) -> Path:
    """Put a commit into a folder.

    Args:
        kept: which.
        folder: new or empty, of nobody else.
        cache: where submodules and large files are kept, and fetched into.
        options: what belongs to it.

    Returns:
        The folder, or its subdirectory.

    Raises:
        ArchiveError: the commit cannot be checked out, has no such subdirectory, or leads out of it.
        NetworkError, OfflineError, StoreError, HostError: what belongs to it cannot be had.
    """
    _Checkout(cache, options).put(kept, folder, 0)
    root = folder.resolve()
    source = (root / options.subdirectory).resolve()
    if not source.is_relative_to(root):
        raise ArchiveError(
            f"{options.subdirectory} leads out of {kept.remote}", context=[f"commit: {kept.commit}"]
        )
    if not source.is_dir():
        folders = ", ".join(
            sorted(each.name for each in root.iterdir() if each.is_dir() and each.name != ".git")
        )
        raise ArchiveError(
            f"{kept.remote} has no folder {options.subdirectory}",
            context=[f"commit: {kept.commit}", f"folders: {folders or 'none'}"],
            hints=["correct subdirectory"],
        )
    return source


class _Checkout:
    def __init__(self, cache: GitCache, options: CheckoutOptions) -> None:
        self._cache = cache
        self._options = options

    def put(self, kept: KeptCommit, folder: Path, depth: int) -> None:
        try:
            self._fill(kept, folder)
            place_large_files(
                kept, folder, self._cache, self._options.lfs, "" if depth else self._options.subdirectory
            )
            if self._options.submodules and (folder / ".gitmodules").is_file():
                self._put_submodules(kept, folder, depth)
        except GitFailure as failure:
            raise ArchiveError(
                f"{kept.remote} cannot be checked out",
                context=[
                    f"commit: {kept.commit}",
                    *(f"git: {line}" for line in failure.text.splitlines()[-6:]),
                ],
                hints=["if the cache is damaged: envforge cache prune --all, then run the command again"],
            ) from None
        except OSError as error:
            raise StoreError(f"{kept.remote} cannot be checked out", context=[str(error)]) from None

    def _fill(self, kept: KeptCommit, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        environ = self._cache.environ
        run_local(["init", "--quiet", "--template=", "."], environ, folder=folder)
        information = folder / ".git" / "objects" / "info"
        information.mkdir(parents=True, exist_ok=True)
        (information / "alternates").write_bytes(os.fsencode(kept.repository / "objects") + b"\n")
        for name in ("shallow", "packed-refs"):
            if (kept.repository / name).exists():
                shutil.copyfile(kept.repository / name, folder / ".git" / name)
        run_local(["checkout", "--quiet", "--force", "--detach", kept.commit], environ, folder=folder)

    def _put_submodules(self, kept: KeptCommit, folder: Path, depth: int) -> None:
        if depth == _DEEPEST:
            raise ArchiveError(f"{kept.remote} has submodules in submodules, without an end")
        known = self._submodules(folder)
        for path, commit in self._linked_commits(folder):
            settings = known.get(path, {})
            if not settings.get("url") or settings.get("update") == "none":
                continue
            place = folder / path
            if place.resolve() != folder.resolve() / path:
                raise ArchiveError(f"submodule {path} of {kept.remote} would be outside of its checkout")
            try:
                remote = join_remote(kept.remote, settings["url"])
                part = fetch_commit(remote, commit, self._cache, history=self._options.history)
            except RequirementError as error:
                message = f"submodule {path} of {kept.remote} cannot be followed: its address {error.message}"
                raise ArchiveError(message, hints=[*error.hints, _WITHOUT]) from None
            except EnvforgeError as error:
                raise error.with_context([f"submodule: {path} of {kept.remote}", *error.context]).with_hint(
                    _WITHOUT
                ) from None
            self.put(part, place, depth + 1)

    def _submodules(self, folder: Path) -> dict[str, Mapping[str, str]]:
        """Path → settings, of all that .gitmodules names."""
        if (folder / ".gitmodules").is_symlink():
            return {}
        answer = run_local(
            ["config", "--file", ".gitmodules", "--null", "--list"], self._cache.environ, folder=folder
        )
        sections: dict[str, dict[str, str]] = {}
        for entry in answer.decode("utf-8", "replace").split("\0"):
            key, _, value = entry.partition("\n")
            head, _, setting = key.rpartition(".")
            if head.startswith("submodule."):
                sections.setdefault(head, {})[setting.lower()] = value
        return {section["path"]: section for section in sections.values() if "path" in section}

    def _linked_commits(self, folder: Path) -> Iterator[tuple[str, str]]:
        """(path, commit) of all submodules that the checked out commit has."""
        answer = run_local(["ls-files", "--stage", "-z"], self._cache.environ, folder=folder)
        for entry in answer.split(b"\0"):
            facts, _, path = entry.partition(b"\t")
            if facts.startswith(_LINK_MODE.encode()):
                yield os.fsdecode(path), facts.split()[1].decode()


_WITHOUT = "if it is not needed: submodules = false in tool.envforge.sources"
