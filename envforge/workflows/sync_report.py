"""What a sync did, as a value: for the command line, and for the commands that sync on their way."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from envforge.struct import Struct
from envforge.workflows.chosen_variant import NO_CHOICE, ChosenVariant

if TYPE_CHECKING:
    from envforge.plan.room import PlaceNeed


class PackageChange(Struct, frozen=True, kw_only=True):
    """One difference between two environments; ``old`` or ``new`` is "" for what is not there.

    Args:
        name: of the package, in the words of its ecosystem.
        old: version before; with the build string where nothing else of a conda package differs.
        new: version afterwards.
        ecosystem: ``pypi`` or ``conda``.
    """

    name: str
    old: str
    new: str
    ecosystem: str = "pypi"


class SyncReport(Struct, frozen=True, kw_only=True):
    """What ``sync`` did, or with ``dry_run`` would do.

    Args:
        venv: the project's ``.venv``.
        generation: folder of the environment it points to, None in a dry run that found none.
        python: version of its interpreter.
        package_count: packages of PyPI and of conda in it, the project itself not counted.
        changes: against what ``.venv`` held before, sorted by name.
        fetched_count: archives that had to be downloaded (dry run: would have to be).
        locked: whether the lock was renewed on the way.
        had_lock: whether there was one before, in whatever state.
        changed: whether ``.venv`` points (would point) to another generation than before.
        dry_run: nothing was done.
        variant: the one that this host gets, and why.
        repaired: the environment or parts of it were gone, and were (would be) put back.
        room: in a dry run, what it would need on each file system, and what there is.
    """

    venv: Path
    generation: Path | None
    python: str
    package_count: int
    changes: tuple[PackageChange, ...] = ()
    fetched_count: int = 0
    locked: bool = False
    had_lock: bool = True
    changed: bool = True
    dry_run: bool = False
    variant: ChosenVariant = NO_CHOICE
    repaired: bool = False
    room: tuple[PlaceNeed, ...] = ()
