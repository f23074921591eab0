"""What a purge has left of a tier: noticed without a look at every file, and taken out to be mended.

Scratch is emptied by age: at night, every file goes that nobody has read for so many days. Folders stay, and
so does what was in use. Of each tree one file is never read by those who use it, the list of its files; it
was written last. If it is there, so are the files that were written before. The same holds for a file of each
generation, and for conda's record of a package in each prefix. ``envforge verify`` looks at every file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from envforge.environment.generation import Generation, is_whole
from envforge.environment.spec import GenerationPrefix
from envforge.store.store import Store
from envforge.struct import Struct
from envforge.workflows.session import Session


class Remains(Struct, frozen=True, kw_only=True):
    """What is left of an environment and what it stands on.

    Args:
        purged: ids of the trees that are there in part.
        is_damaged: the generation itself is there in part.
        witness: the file among those looked at that a purge would take first, "" for none.
    """

    purged: tuple[str, ...] = ()
    is_damaged: bool = False
    witness: str = ""


def look_for_remains(generation: Generation | None, tree_ids: Iterable[str], store: Store) -> Remains:
    """Look whether a purge has been at work. Two looks at the disk for a tree at most, mostly one.

    Args:
        generation: that a sync has found, None for none.
        tree_ids: what the environment needs beside what the generation has.
        store: of the tier.
    """
    wanted = set(tree_ids)
    if generation is not None:
        wanted.update(tree.id for tree in generation.spec.trees)
    purged: list[str] = []
    ages: list[tuple[float, str]] = []
    for tree_id in sorted(wanted):
        listing = f"{store.trees}/{tree_id}.files"
        with suppress(FileNotFoundError, NotADirectoryError):
            ages.append((_age_s(listing), listing))
            continue
        if Path(f"{store.trees}/{tree_id}.json").exists():
            purged.append(tree_id)
    if generation is not None and generation.spec.prefix is not None:
        record = _some_record(generation.spec.prefix)
        with suppress(OSError):
            ages.append((_age_s(record), record))
    return Remains(
        purged=tuple(purged),
        is_damaged=generation is not None and not is_whole(generation),
        witness=min(ages, default=(0.0, ""))[1],
    )


def any_witness(generation: Generation, store: Store) -> str:
    """A file that a purge would take among the first, where all is new; "" for none."""
    listings = (f"{store.trees}/{tree.id}.files" for tree in generation.spec.trees)
    return next((listing for listing in listings if Path(listing).exists()), "")


def take_out(remains: Remains, generation: Generation | None, store: Store, session: Session) -> None:
    """Take out what is there in part, so that it is fetched and made again.

    Raises:
        StoreError: it cannot be removed.
    """
    for tree_id in remains.purged:
        # another process may have been faster, and have published the tree again
        with store.guard(tree_id).hold(session.reporter, "a package"):
            if look_for_remains(None, [tree_id], store).purged:
                store.remove_tree(tree_id)
    if remains.is_damaged and generation is not None:
        from envforge.environment.collect import remove_generation

        remove_generation(generation.path)


def _age_s(place: str) -> float:
    return os.stat(place).st_mtime  # noqa: PTH116 - one for each tree


def _some_record(prefix: GenerationPrefix) -> str:
    package = prefix.packages[0]
    return f"{prefix.path}/conda-meta/{package.stem}.json"
