"""The life of cached answers: how much there is, what killed processes left, what nobody has used in long.

The folders are those of :class:`envforge.net.cache.EntryFolder` and of py-rattler (repodata); what another
version of envforge keeps beside them counts, too, because its name tells that it is one of them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from envforge.struct import Struct

_FOLDER = re.compile(
    r"(pages|metadata|file-hosts|upload-times|repodata|conda-folders)-v\d+|build-logs|downloads"
)
_ASIDE = re.compile(r"[0-9a-f]{39}\.[0-9a-f]{16}")
"""What an entry is called while it is being written. What is in ``downloads`` is there for a moment only."""


class CachedFile(Struct, frozen=True):
    """An entry.

    Args:
        path: relative to the cache root.
        size_bytes: of the file.
        used_s: when it was written, confirmed or (where the file system notes that) read.
        is_unfinished: it was being written; if it is not young, by a process that was killed.
    """

    path: str
    size_bytes: int
    used_s: float
    is_unfinished: bool

    @property
    def folder(self) -> str:
        """``pages-v1``."""
        return self.path.partition(os.sep)[0]


def list_entries(cache: Path) -> Iterator[CachedFile]:
    """All entries below a cache root."""
    with suppress(OSError):
        for folder in sorted(cache.iterdir()):
            if _FOLDER.fullmatch(folder.name):
                yield from _walk(str(cache), folder.name)


def remove_entry(cache: Path, path: str) -> bool:
    """Remove an entry; False where the disk does not let us, or it is gone.

    Who is reading it has it open; who has found it and opens it now asks the server again.
    """
    try:
        (cache / path).unlink()
    except OSError:
        return False
    return True


def _walk(cache: str, folder: str) -> Iterator[CachedFile]:
    with suppress(OSError), os.scandir(f"{cache}{os.sep}{folder}") as listing:
        for item in listing:
            path = f"{folder}{os.sep}{item.name}"
            if item.is_dir(follow_symlinks=False):
                yield from _walk(cache, path)
                continue
            with suppress(OSError):
                status = item.stat(follow_symlinks=False)
                unfinished = folder.startswith("downloads") or _ASIDE.fullmatch(item.name) is not None
                used_s = max(status.st_mtime, status.st_atime)
                yield CachedFile(path, status.st_size, used_s, unfinished)
