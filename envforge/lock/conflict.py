"""A lock with git's conflict markers: both sides, to be resolved again with little moving."""

from __future__ import annotations

from envforge.errors import LockError
from envforge.lock.parse import parse_lock
from envforge.model.lock import Lock


def parse_conflicted(text: str) -> tuple[Lock | None, Lock | None]:
    """Our and their lock out of a text with conflict markers; None for a side that is no lock.

    Both of git's styles are read: ``merge``, and ``diff3`` with the common ancestor between.
    """
    ours, theirs = _sides(text)
    return _parse_side(ours), _parse_side(theirs)


def _sides(text: str) -> tuple[str, str]:
    ours: list[str] = []
    theirs: list[str] = []
    receiving: tuple[list[str], ...] = (ours, theirs)
    for line in text.splitlines(keepends=True):
        marker = line[:7]
        if marker == "<<<<<<<":
            receiving = (ours,)
        elif marker == "|||||||":
            receiving = ()
        elif marker == "=======":
            receiving = (theirs,)
        elif marker == ">>>>>>>":
            receiving = (ours, theirs)
        else:
            for side in receiving:
                side.append(line)
    return "".join(ours), "".join(theirs)


def _parse_side(text: str) -> Lock | None:
    try:
        return parse_lock(text)
    except LockError:
        return None
