"""Removing, and waiting until the disk has done with it: both outside the clock.

Gigabytes that are removed are written back, journalled and (on a virtual disk or a solid one) discarded for
seconds after the call has returned, and whoever is timed then pays for it.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

_LARGE_BYTES = 64 * 2**20
_LOOK_EVERY_S = 0.25
_QUIET_BYTES = 2 * 2**20  # between two looks; a machine is never quite still
_LONGEST_WAIT_S = 60.0
_SECTOR_BYTES = 512


def remove(*folders: Path) -> None:
    """Remove folders, or links to them; if that frees much, wait until the disk is quiet."""
    there = [folder for folder in folders if os.path.lexists(folder)]
    if not there:
        return
    before = free_bytes(there[0].parent)
    for folder in there:
        if folder.is_symlink() or folder.is_file():
            folder.unlink()
        else:
            shutil.rmtree(folder)
    if free_bytes(there[0].parent) - before > _LARGE_BYTES:
        wait_until_quiet(there[0].parent)


def free_bytes(folder: Path) -> int:
    """What may still be written to the file system of a folder."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def wait_until_quiet(folder: Path) -> float:
    """Wait until next to nothing is written to the disk of a folder, for a minute at most.

    Returns:
        seconds waited after the kernel had written what it had; 0.0 where the disk does not count (tmpfs,
        network, another system than Linux).
    """
    os.sync()
    device = folder.stat().st_dev
    start_s = time.monotonic()
    moved = _moved_bytes(device)
    while moved is not None and time.monotonic() - start_s < _LONGEST_WAIT_S:
        time.sleep(_LOOK_EVERY_S)
        now = _moved_bytes(device)
        if now is None or now - moved < _QUIET_BYTES:
            break
        moved = now
    return time.monotonic() - start_s if moved is not None else 0.0


def _moved_bytes(device: int) -> int | None:
    """Bytes written to and discarded of a block device since it is there."""
    # The fields are those of Documentation/admin-guide/iostats.rst; discards came with Linux 4.18.
    place = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat")
    try:
        fields = [int(word) for word in place.read_text(encoding="ascii").split()]
    except (OSError, ValueError):
        return None
    return sum(fields[number] for number in (6, 13) if number < len(fields)) * _SECTOR_BYTES
