"""Read-only trees: modes of files and folders, and how such a folder is removed.

Files are created with their mode, so that no second call is needed for each. Folders lose their write
bit when all is in them. The umask takes its share: with 027 others see nothing, as everywhere else.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

BYTECODE = "__pycache__"


def file_mode(executable: bool) -> int:
    """The mode to create a file of a tree with (the umask takes its share)."""
    return 0o555 if executable else 0o444


def seal_folders(staged: Path, paths: Iterable[str]) -> int:
    """Make the folders below ``staged`` read-only, with a writable place for bytecode where modules are.

    The top folder keeps its mode until it is in place: a folder that one cannot write cannot be
    renamed. Returns its mode, which says what the umask allows.
    """
    mode = stat.S_IMODE(os.stat(staged).st_mode)
    folders: set[str] = set()
    modules: set[str] = set()
    for path in paths:
        folder = path.rpartition("/")[0]
        if path.endswith(".py") and folder != "lib":
            modules.add(folder)
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    for folder in modules:
        with suppress(FileExistsError):
            os.mkdir(f"{staged}/{folder}/{BYTECODE}")
    for folder in folders:
        if not folder.endswith(f"/{BYTECODE}"):
            os.chmod(f"{staged}/{folder}", mode & 0o555)
    return mode


def remove_sealed(place: Path | str) -> None:
    """Remove a file, or a folder with all that is in it, read-only folders too; follows no links."""
    with suppress(FileNotFoundError):
        if os.path.islink(place) or not os.path.isdir(place):
            os.unlink(place)
            return
        os.chmod(place, 0o700)
        with os.scandir(place) as listing:
            entries = list(listing)
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                remove_sealed(entry.path)
            else:
                os.unlink(entry.path)
        os.rmdir(place)
