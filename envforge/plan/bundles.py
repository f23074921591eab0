"""Bundles: which trees need to be physical siblings, because a native library finds the other through ``..``.

The kernel resolves ``..`` after a symlink: a library in ``torch/lib`` that looks for
``$ORIGIN/../../nvidia/cublas/lib`` finds it only where both stand in one real folder. Such trees are
hardlinked into a bundle of the store, and the environment links to ``bundles/<id>/lib/<name>``
instead of ``trees/<id>/lib/<name>``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from envforge.hashing import base32, sha256
from envforge.model.tree import Tree, TreeListing


def bundle_id(tree_ids: Iterable[str]) -> str:
    """The id of the bundle of these trees: 20 letters of the digest of their sorted ids."""
    return base32(sha256("\n".join(sorted(tree_ids)).encode()).digest(), 20)


def plan_bundles(trees: Sequence[Tree], listing: TreeListing) -> list[tuple[str, ...]]:
    """Group the trees that have to stand in one real folder.

    A tree belongs to a group if it is coupled to a folder that another one owns, or owns such a
    folder. Groups with a common member are one group: an environment has one link for a folder.

    Args:
        trees: everything that the environment gets.
        listing: asked for coupled folders only.

    Returns:
        Groups of at least two tree ids, each sorted, the groups sorted too.
    """
    groups: dict[str, set[str]] = {tree.id: {tree.id} for tree in trees}
    for tree in trees:
        for folder in tree.couplings:
            for owner in _owners(folder, trees, listing):
                _join(groups, tree.id, owner)
    distinct = {id(group): group for group in groups.values() if len(group) > 1}
    return sorted(tuple(sorted(group)) for group in distinct.values())


def _owners(folder: str, trees: Sequence[Tree], listing: TreeListing) -> list[str]:
    """Ids of the trees that have something in ``lib/<folder>``."""
    top = folder.partition("/")[0]
    return [
        tree.id
        for tree in trees
        if tree.top_level.get(top) == "d" and any(True for _ in listing.entries(tree.id, folder))
    ]


def _join(groups: dict[str, set[str]], first: str, second: str) -> None:
    """Make two trees members of one group."""
    if groups[first] is groups[second]:
        return
    groups[first] |= groups[second]
    for member in groups[second]:
        groups[member] = groups[first]
