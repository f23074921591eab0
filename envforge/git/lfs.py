"""Large files that a repository only has pointers to: fetched by git-lfs, checked, and put in their place.

Source: the git-lfs specification, docs/spec.md there. A pointer that is not replaced would be built into a
wheel as if it were the file, so it is an error unless the user has said that it does not matter.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from envforge.errors import ArchiveError, HostError
from envforge.git.cache import GitCache, KeptCommit
from envforge.git.failures import offline_failure, remote_failure
from envforge.git.patience import ask_patiently
from envforge.git.process import GitFailure, run_local
from envforge.struct import replace

_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-[^\n]*\n)*"
    rb"oid sha256:([0-9a-f]{64})\nsize (\d+)\n?"
)
_POINTER_BYTES = 1024
_CHUNK_BYTES = 1 << 20
_MOST_SHOWN = 5
_MOST_ARGUMENTS = 500


class _Pointer(NamedTuple):
    path: str
    digest: str
    size_bytes: int


def place_large_files(
    kept: KeptCommit, folder: Path, cache: GitCache, wanted: bool | None, part: str
) -> None:
    """Replace the pointers in a checkout by the files that they stand for.

    Args:
        kept: what is checked out.
        folder: where.
        cache: where the files are kept, and fetched into.
        wanted: False to leave pointers as they are; None if nobody has said what to do.
        part: folder of the checkout that is used, ``""`` for all; elsewhere pointers do no harm.

    Raises:
        ArchiveError: there are pointers and nobody has said what to do, or a file is not the right one.
        HostError: git-lfs is needed and not there.
        NetworkError, OfflineError: the files cannot be had.
    """
    if wanted is False:
        return
    pointers = list(_find_pointers(folder, part, cache))
    if not pointers:
        return
    if wanted is None:
        raise _undecided(kept, pointers)
    objects = cache.objects(kept.remote) / "objects"
    if any(not _object(objects, pointer).is_file() for pointer in pointers):
        _fetch(kept, folder, cache, part)
    for pointer in pointers:
        _replace(folder / pointer.path, _object(objects, pointer), pointer, kept)
    paths = [pointer.path for pointer in pointers]
    for first in range(0, len(paths), _MOST_ARGUMENTS):  # or the checkout would seem to have been changed
        some = paths[first : first + _MOST_ARGUMENTS]
        run_local(["update-index", "--assume-unchanged", "--", *some], cache.environ, folder=folder)


def _find_pointers(folder: Path, part: str, cache: GitCache) -> Iterator[_Pointer]:
    names = run_local(["ls-files", "-z"], cache.environ, folder=folder).split(b"\0")
    if not any(
        name.rpartition(b"/")[2] == b".gitattributes" and _mentions_lfs(folder / os.fsdecode(name))
        for name in names
    ):
        return
    for name in map(os.fsdecode, filter(None, names)):
        if part and not name.startswith(f"{part}/"):
            continue
        place = folder / name
        if place.is_symlink() or not place.is_file() or place.stat().st_size > _POINTER_BYTES:
            continue
        found = _POINTER.fullmatch(place.read_bytes())
        if found:
            yield _Pointer(name, found[1].decode(), int(found[2]))


def _mentions_lfs(place: Path) -> bool:
    return not place.is_symlink() and place.is_file() and b"filter=lfs" in place.read_bytes()


def _fetch(kept: KeptCommit, folder: Path, cache: GitCache, part: str) -> None:
    if cache.network.offline:
        raise offline_failure(kept.remote, f"a large file of commit {kept.commit[:12]}")
    if shutil.which("git-lfs", path=cache.environ.get("PATH")) is None:
        raise HostError(
            f"{kept.remote} has large files, and git-lfs is not installed",
            hints=["install git-lfs (apt install git-lfs, conda install git-lfs, https://git-lfs.com)"],
        )
    # in the checkout's own settings: git-lfs reads those of the command also for a remote that is a folder
    for key, value in (("lfs.storage", cache.objects(kept.remote)), ("remote.origin.url", kept.remote.url)):
        run_local(["config", key, value], cache.environ, folder=folder)
    include = [f"--include={part}/**"] if part else ["--include="]
    try:
        words = ["lfs", "fetch", *include, "--exclude=", "origin", kept.commit]
        ask_patiently(words, kept.remote, _told_of_progress(cache), folder, timeouts=4)
    except GitFailure as failure:
        raise remote_failure(kept.remote, failure, "fetch large files") from None


def _told_of_progress(cache: GitCache) -> GitCache:
    """The same cache; git-lfs says how far it is, so that it is not taken for stuck."""
    return replace(cache, environ={**cache.environ, "GIT_LFS_FORCE_PROGRESS": "1"})


def _object(objects: Path, pointer: _Pointer) -> Path:
    return objects / pointer.digest[:2] / pointer.digest[2:4] / pointer.digest


def _replace(place: Path, source: Path, pointer: _Pointer, kept: KeptCommit) -> None:
    """Put the file into the place of its pointer."""
    digest, aside = sha256(), place.with_name(f".{pointer.digest[:16]}.lfs")
    try:
        with source.open("rb") as content, aside.open("wb") as file:
            while piece := content.read(_CHUNK_BYTES):
                digest.update(piece)
                file.write(piece)
    except FileNotFoundError:
        raise ArchiveError(
            f"{pointer.path} of {kept.remote} is a large file that its server does not have",
            context=[f"commit: {kept.commit}", f"sha256: {pointer.digest}"],
        ) from None
    if digest.hexdigest() != pointer.digest:
        source.unlink(missing_ok=True)
        raise ArchiveError(f"{pointer.path} of {kept.remote} is not the file that its pointer names")
    shutil.copymode(place, aside)
    aside.replace(place)


def _undecided(kept: KeptCommit, pointers: Sequence[_Pointer]) -> ArchiveError:
    shown = [f"{pointer.path}: {pointer.size_bytes:,} bytes" for pointer in pointers[:_MOST_SHOWN]]
    more = [f"and {len(pointers) - _MOST_SHOWN} more"] if len(pointers) > _MOST_SHOWN else []
    return ArchiveError(
        f"{kept.remote} keeps files in git-lfs, of which it only has pointers",
        context=[f"commit: {kept.commit}", *shown, *more],
        hints=["to fetch them: lfs = true in tool.envforge.sources; if they are not needed: lfs = false"],
    )
