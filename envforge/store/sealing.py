"""Read-only trees: modes of files and folders, and how such a folder is removed.

Files are created with their mode, so that no second call is needed for each. Folders lose their write
bit when all is in them. The umask takes its share: with 027 others see nothing, as everywhere else; only
where a group shares the store (:mod:`envforge.store.sharing`) that group sees everything.

On a network disk a file that is open somewhere cannot be removed: NFS keeps it as ``.nfs…``, others
answer EBUSY. What is removed is first moved away, so that its place is free, and what is left of it is
for the next sweep.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from envforge.store.sharing import is_shared, share, shared_mode

BYTECODE = "__pycache__"
_IN_USE = (errno.EBUSY, errno.ENOTEMPTY, errno.EEXIST, errno.ESTALE)


_SEALED = 0o2555


def file_mode(executable: bool) -> int:
    """The mode to create a file of a tree with (the umask takes its share)."""
    return 0o555 if executable else 0o444


def seal_folders(staged: Path, paths: Sequence[str]) -> int:
    """Make the folders below ``staged`` read-only, with a writable place for bytecode where modules are.

    The top folder keeps its mode until it is in place: a folder that one cannot write cannot be
    renamed. Returns its mode, which says what the umask allows.
    """
    status = os.stat(staged)
    mode, shared = stat.S_IMODE(status.st_mode), is_shared(os.path.dirname(staged))
    if shared:
        mode = shared_mode(status.st_mode)
        _share_files(staged, paths)
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
        if shared:
            share(f"{staged}/{folder}/{BYTECODE}")
    for folder in folders:
        if not folder.endswith(f"/{BYTECODE}"):
            os.chmod(f"{staged}/{folder}", mode & _SEALED)
    return mode


def seal(place: Path, mode: int) -> None:
    """Make a folder read-only that has this mode."""
    os.chmod(place, mode & _SEALED)


def _share_files(staged: Path, paths: Sequence[str]) -> None:
    """Let the group read the files, where the umask did not."""
    if paths and not os.stat(f"{staged}/{paths[0]}").st_mode & stat.S_IRGRP:
        for path in paths:
            share(f"{staged}/{path}")


def discard(place: Path, aside: Path) -> bool:
    """Take a file or folder away at once, then all that is in it, as far as that can be removed now.

    Args:
        place: what nobody shall find any more. No error if it is not there.
        aside: a new name in the same folder, under which a sweep finds the rest. (In the same one, because
            a read-only folder cannot be moved into another.)

    Returns:
        Whether nothing is left.

    Raises:
        OSError: it cannot be taken away.
    """
    try:
        os.rename(place, aside)
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        aside = place  # a folder of the lower layer of an overlay (a container's image) cannot be renamed
    with suppress(PermissionError):  # of another user, who alone can remove what is in it
        return remove_sealed(aside)
    return False


def remove_sealed(place: Path | str) -> bool:
    """Remove a file, or a folder with all that is in it, read-only folders too; follows no links.

    Returns:
        Whether nothing is left: what is in use somewhere stays.

    Raises:
        OSError: it cannot be removed for another reason.
    """
    try:
        if os.path.islink(place) or not os.path.isdir(place):
            os.unlink(place)
            return True
        with suppress(PermissionError):
            os.chmod(place, 0o700)  # another user's folder that we may write to needs none
        with os.scandir(place) as listing:
            entries = list(listing)
        for entry in entries:
            remove_sealed(entry.path)
        os.rmdir(place)
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno not in _IN_USE:
            raise
        return False
    return True
