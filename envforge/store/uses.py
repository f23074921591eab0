"""When things were last used, and how they are taken away so that nobody loses what it has just found.

A tree, a bundle, a conda prefix and a generation are each complete because of one small file, the
completion marker. Its modification time is the last use: who is going to use a thing for something that no
other process can see yet calls :func:`note_use`, and believes that the thing is there only if that says so.
Who removes a thing calls :func:`withdraw` first. Why the one cannot lose it to the other:

1.  ``note_use`` sets the time (where it is older than :data:`NOTED_S`) and *then* sees that the marker is
    still there under its name. ``withdraw`` renames the marker away and *then* reads its time. Whichever
    comes first: either the use finds no marker, and goes as if the thing had never been there (fetches it
    again, under the guard that the remover holds); or the remover finds a time younger than
    :data:`GRACE_S`, and puts the marker back.
2.  So what was noted at time t is there until t + GRACE_S - NOTED_S, half an hour, by the file system's own
    clock. By then its user has either made it visible that it needs the thing (a generation that stands on
    it) or notes the use again: a sync does that for every tree, bundle and prefix of a generation *after*
    that is in its place, and begins again if one is gone.
3.  A remover looks for generations, and what they need, again when what it knows is older than
    :data:`SNAPSHOT_S`. A generation that came after such a look was noted by its maker after it had come,
    less than SNAPSHOT_S ago; so a thing of it is younger than NOTED_S + SNAPSHOT_S, which is less than
    GRACE_S. The difference, twenty minutes, is for clocks of nodes that differ.
4.  Without its marker a thing is as good as gone. A remover that is killed after ``withdraw`` leaves what
    the next sweep takes away, and what a sync finds missing and fetches again.

NFS may show a name for some seconds after another node has renamed it away, so that step 1 can be wrong
there for as long as attributes are cached. It takes two such errors in a row, half a minute and a whole fetch
apart, to make a generation that lacks a tree; the next sync sees that and mends it.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from envforge.store.owner import this_process

NOTED_S = 1800.0
"""A use that is younger is not noted again."""
SNAPSHOT_S = 600.0
"""How long a remover believes what it has found out about generations."""
GRACE_S = 3600.0
"""What was used more recently is not removed."""


def note_use(marker: str) -> bool:
    """Note that something is being used.

    Args:
        marker: path of its completion marker.

    Returns:
        Whether it is there: then it stays for half an hour at least. Where its time cannot be set (another
        user's, a read-only place) it is believed to be there.
    """
    try:
        age_s = time.time() - os.stat(marker).st_mtime
        if -NOTED_S < age_s < NOTED_S:
            return True
        with suppress(PermissionError):
            os.utime(marker)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        pass  # read-only
    return os.path.exists(marker)


def withdraw(marker: Path, aside: Path, now_s: float) -> bool:
    """Make a thing incomplete, unless it was used within :data:`GRACE_S`.

    Args:
        marker: its completion marker.
        aside: where the marker goes, on the same file system; see :func:`aside_path`.
        now_s: by the file system's clock.

    Returns:
        Whether nobody can find the thing any more, and it may be removed. False if it was used, or was gone.

    Raises:
        OSError: the marker cannot be moved.
    """
    try:
        if is_fresh(_last_use_s(marker), now_s):
            return False
        marker.rename(aside)
        if not is_fresh(_last_use_s(aside), now_s):
            return True
        aside.rename(marker)
    except FileNotFoundError:
        pass
    return False


def is_fresh(used_s: float, now_s: float) -> bool:
    """Whether a time is so young that it protects; one from the future is no time that anybody noted."""
    return abs(now_s - used_s) < GRACE_S


def aside_path(folder: Path) -> Path:
    """A new name in a folder, from which a sweep knows whose it was."""
    return folder / f"{this_process()}.{os.urandom(6).hex()}.withdrawn"


def file_system_time_s(probe: Path) -> float:
    """What time a file system has, which the clocks of two nodes need not agree with.

    Args:
        probe: a new file in it, there for a moment; named so that a sweep finds it.

    Raises:
        OSError: it cannot be made.
    """
    try:
        with open(probe, "wb") as file:
            os.utime(probe)
            return os.fstat(file.fileno()).st_mtime
    finally:
        probe.unlink(missing_ok=True)


def _last_use_s(place: Path) -> float:
    """The time of a marker. Opened, because NFS serves old times to ``stat``."""
    with open(place, "rb") as file:
        return os.fstat(file.fileno()).st_mtime
