"""What is swept out of a store: the remains of dead processes, and of what could not be removed at once.

In ``tmp``, on this host a process is dead when it is gone; of other hosts, what is older than a day goes.
Trees that were never finished go if nobody is at them, and guards of the dead. What belongs to another
user, or is in use, stays without a word.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from envforge.errors import StoreError
from envforge.store.layout import REMOVED
from envforge.store.owner import is_dead, parse_owner
from envforge.store.sealing import discard, remove_sealed
from envforge.store.store import Store

_STALE_S = 24 * 3600


def sweep_store(store: Store) -> int:
    """Remove what can be removed now; returns how much that was."""
    removed = 0
    for place in _list(store.tmp):
        removed += is_abandoned(place) and _remove(place)
    for folder in (store.trees, store.bundles):
        for place in _remains(folder):
            removed += _remove(place) if place.suffix == REMOVED else _sweep_unfinished(store, place)
    if any(_list(store.guards)):
        from envforge.store.guard import sweep_guards  # takes threads along, 1 ms

        removed += sweep_guards(store.guards)
    return removed


def _remains(folder: Path) -> Iterator[Path]:
    """What is being removed, and trees or bundles without a summary; links are the site's."""
    with suppress(OSError):
        # One listing, and no question to the disk for what is complete: a store has thousands.
        names = set(os.listdir(folder))
        for name in sorted(names):
            unfinished = "." not in name and f"{name}.json" not in names
            if name.endswith(REMOVED) or (unfinished and not os.path.islink(f"{folder}/{name}")):
                yield folder / name


def _list(folder: Path) -> Iterator[Path]:
    with suppress(OSError):
        yield from sorted(folder.iterdir())


def _remove(place: Path) -> bool:
    with suppress(OSError):
        return remove_sealed(place)
    return False


def _sweep_unfinished(store: Store, place: Path) -> bool:
    """Remove a tree or bundle without summary unless somebody is making it."""
    guard = place.name if place.parent == store.trees else f"bundle-{place.name}"
    with suppress(StoreError, OSError), store.guard(guard).try_hold() as mine:
        if mine and not place.with_suffix(".json").exists():
            return discard(place, place.with_name(f"{place.name}.{os.urandom(6).hex()}{REMOVED}"))
    return False


def is_abandoned(place: Path) -> bool:
    """Whether the process that made something in ``tmp`` is gone."""
    owner = parse_owner(".".join(place.name.split(".")[:3]))
    dead = is_dead(owner) if owner is not None else None
    if dead is not None:
        return dead
    try:
        return time.time() - place.stat().st_mtime > _STALE_S
    except OSError:
        return False
