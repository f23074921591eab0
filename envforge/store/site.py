"""The site layer: a store that others look after, below the user's own. It is read, never written to.

A tree that is complete there is not fetched. The own store gets a symlink to it under the tree's id, so
that whoever looks for trees finds all of them in one place. The summary stays over there: when the site's
store loses the tree, it counts as missing, and a fetch puts an own one in place of the symlink. What was
found damaged over there is refused from then on.

Site stores are made by ``envforge sync`` with another ``--tier``. Bundles are used like trees. Conda
prefixes are not: they have their own path inside.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from envforge.errors import StoreError

_USUAL_TIER = "tier"
"""Where the store is in a folder that is named as a cache."""
_REFUSED = ".refused"
_ATTEMPTS = 5


class SiteLayer:
    """Trees and bundles of one site store.

    Args:
        root: the site's tier.
        trees: of the own store: symlinks and refusals stand there.
    """

    def __init__(self, root: Path, trees: Path) -> None:
        self.root = root
        self._trees = trees

    def home(self, tree_id: str) -> Path | None:
        """The folder in which the site has a complete tree, with its sidecars; None if it has not."""
        trees = self.root / "trees"
        if os.path.exists(f"{trees}/{tree_id}.json") and not os.path.exists(self._refusal(tree_id)):
            return trees
        return None

    def bundle(self, bundle_id: str, tree_ids: Iterable[str]) -> Path | None:
        """The complete bundle of these trees, None if the site has it not, or one of them is refused."""
        place = self.root / "bundles" / bundle_id
        if not os.path.exists(f"{place}.json") or any(self.home(tree_id) is None for tree_id in tree_ids):
            return None
        return place

    def refuse(self, tree_id: str) -> None:
        """Use the site's tree no more: it is damaged, and we cannot mend it."""
        if self.home(tree_id) is not None:
            with open(self._refusal(tree_id), "wb"):
                pass

    def _refusal(self, tree_id: str) -> str:
        return f"{self._trees}/{tree_id}{_REFUSED}"


def find_site(root: Path | None, own: Path, is_readable: Callable[[Path], bool]) -> tuple[Path | None, str]:
    """The site's store, if it can be used, and else why not (``""``: none is wanted).

    Args:
        root: where it should be.
        own: root of the own store; the two may be one, for who looks after the site's.
        is_readable: whether there is a store of our layout in a folder; raises StoreError if of another.
    """
    if root is None:
        return None, ""
    try:
        if not is_readable(root):
            below = root / _USUAL_TIER
            return None, "there is no store" + (f", but one in {below}" if is_readable(below) else "")
        return (None, "") if own.exists() and root.samefile(own) else (root, "")
    except (StoreError, OSError) as error:
        return None, error.message if isinstance(error, StoreError) else str(error)


def link_to(target: Path, place: Path) -> None:
    """Point a name of the own store to something of the site's; a link that is there may point elsewhere.

    Raises:
        OSError: it cannot be made, or a folder stands there (EEXIST).
    """
    for attempt in range(_ATTEMPTS):
        try:
            os.symlink(target, place, target_is_directory=True)
            return
        except FileExistsError:
            if not os.path.islink(place) or attempt == _ATTEMPTS - 1:
                raise
        with suppress(FileNotFoundError):
            if os.readlink(place) == str(target):
                return
            os.unlink(place)
