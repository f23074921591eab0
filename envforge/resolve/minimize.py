"""The smallest part of something that fails, which is what a user can act on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

_Item = TypeVar("_Item")


def smallest_failing(items: Sequence[_Item], fails: Callable[[list[_Item]], bool]) -> list[_Item]:
    """A part of which nothing can be left out, in the order of the whole (deletion filter, Chinneck 1991).

    Args:
        items: together they fail; each its own object.
        fails: whether a part fails, too; asked once for each item.
    """
    kept = list(items)
    for item in items:
        fewer = [other for other in kept if other is not item]
        if fails(fewer):
            kept = fewer
    return kept
