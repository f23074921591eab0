"""What of a cache may go, and in which order. Pure: facts come in, a list of removals comes out.

Things hold each other: a generation holds the trees, the bundles and the conda prefix that it was made of, a
remembered build holds its tree. What nothing holds that stays may go. Nothing here is removed: see
:mod:`envforge.workflows.cache_prune`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from envforge.struct import Struct, field

DAY_S = 24 * 3600.0
IDLE_S = 90 * DAY_S
"""How long what can be fetched again stays without being used, where no size is asked for."""


class Kind(StrEnum):
    """What there is in a cache."""

    GENERATION = "environment"
    TREE = "tree"
    BUNDLE = "bundle"
    PREFIX = "prefix"
    BUILD = "build"
    BLUEPRINT = "blueprint"
    ARCHIVE = "archive"
    CONDA_PACKAGE = "conda package"
    COMMIT = "git commit"
    ENTRY = "index entry"


class Key(NamedTuple):
    """A thing in a cache, by kind and name (``<project>/<digest>`` of a generation)."""

    kind: Kind
    name: str


class Stay(StrEnum):
    """Why a generation stays; the value is what people are told."""

    CURRENT = "current"
    RUNNING = "in use"
    FRESH = "used within the hour"
    OTHERS = "perhaps current on another host"
    RECENT = "one of the last"


_FIRM = (Stay.CURRENT, Stay.RUNNING, Stay.FRESH, Stay.OTHERS)


class Item(Struct, frozen=True):
    """A thing in a cache.

    Args:
        key: what it is.
        size_bytes: what its removal frees.
        used_s: when it was last used, seconds since the epoch.
        holds: what it needs.
        stay: why it stays whatever it holds or is held by; None for what only stays if it is held.
        label: for people.
    """

    key: Key
    size_bytes: int
    used_s: float
    holds: frozenset[Key] = frozenset()
    stay: Stay | None = None
    label: str = ""


class PruneDemand(Struct, frozen=True, kw_only=True):
    """What is asked for.

    Args:
        now_s: seconds since the epoch, by the file system's clock.
        grace_s: what was used more recently stays.
        max_size_bytes: remove until all fits, least recently used first; None to remove what nothing needs.
        everything: also earlier generations, and all that can be fetched again, however recently used.
    """

    now_s: float
    grace_s: float
    max_size_bytes: int | None = None
    everything: bool = False


class PrunePlan(Struct, frozen=True, kw_only=True):
    """What goes, in order: a holder before what it holds.

    Args:
        removals: all of it.
        size_bytes: of everything before.
        left_bytes: of everything afterwards.
        fits: whether the size that was asked for is reached.
        kept_bytes: why → bytes of what had to stay although there is more than was asked for.
    """

    removals: Sequence[Item]
    size_bytes: int
    left_bytes: int
    fits: bool = True
    kept_bytes: Mapping[str, int] = field(default_factory=dict)

    @property
    def freed_bytes(self) -> int:
        return self.size_bytes - self.left_bytes


def plan_prune(items: Iterable[Item], demand: PruneDemand) -> PrunePlan:
    """Choose what goes.

    Without a size: every generation without a reason to stay, then all that nothing holds any more. What
    can be fetched again (archives, packages of conda, answers of indexes) goes when it was idle for long.
    With a size: the least recently used of these first and only until it fits, whatever their age; then,
    if that is not enough, earlier generations. What is in use never goes.
    """
    shelf = _Shelf(items, demand)
    removals = list(shelf.take_for_size() if demand.max_size_bytes is not None else shelf.take_unneeded())
    limit = demand.max_size_bytes
    fits = limit is None or shelf.left_bytes <= limit
    return PrunePlan(
        removals=removals,
        size_bytes=shelf.size_bytes,
        left_bytes=shelf.left_bytes,
        fits=fits,
        kept_bytes={} if fits and not demand.everything else shelf.kept_bytes(),
    )


_IDLE_FIRST = frozenset(
    {Kind.BUILD, Kind.BLUEPRINT, Kind.ARCHIVE, Kind.CONDA_PACKAGE, Kind.COMMIT, Kind.ENTRY}
)
"""What is kept for the next time it is needed, although nothing needs it now."""


class _Shelf:
    """Items that are left, and how many hold each."""

    def __init__(self, items: Iterable[Item], demand: PruneDemand) -> None:
        self._demand = demand
        self._left = {item.key: item for item in items}
        self._holders = Counter(key for item in self._left.values() for key in item.holds)
        self._used_s = {key: item.used_s for key, item in self._left.items()}
        for item in self._left.values():
            for key in item.holds:
                if key in self._used_s:
                    self._used_s[key] = max(self._used_s[key], item.used_s)
        self.size_bytes = self.left_bytes = sum(item.size_bytes for item in self._left.values())

    def take_unneeded(self) -> Iterator[Item]:
        """Take what nothing needs; a holder before what it holds."""
        waiting = [key for key in self._left if self._may_go(key) and self._is_wanted_gone(key)]
        waiting.sort(key=lambda key: (self._used_s[key], key))
        for key in waiting:
            freed = self._take(key)
            waiting += [held for held in freed if self._may_go(held) and self._is_wanted_gone(held)]
            yield self._taken

    def take_for_size(self) -> Iterator[Item]:
        """Take the least recently used until the rest fits, earlier generations last."""
        limit = self._demand.max_size_bytes or 0
        queue = [(self._rank(key), key) for key in self._left if self._may_go(key, soft=True)]
        heapify(queue)
        while queue and self.left_bytes > limit:
            _, key = heappop(queue)
            for freed in self._take(key):
                if self._may_go(freed, soft=True):
                    heappush(queue, (self._rank(freed), freed))
            yield self._taken

    def kept_bytes(self) -> dict[str, int]:
        """Why what is left has to stay → bytes."""
        reasons: Counter[str] = Counter()
        for key, item in self._left.items():
            fresh = not self._holders[key] and self._is_fresh(key)
            reasons[str(Stay.FRESH) if fresh else "needed by environments in use"] += item.size_bytes
        return {why: size_bytes for why, size_bytes in reasons.items() if size_bytes}

    def _rank(self, key: Key) -> tuple[bool, float]:
        return self._left[key].stay is Stay.RECENT, self._used_s[key]

    def _take(self, key: Key) -> list[Key]:
        """Take an item off; returns what nothing holds any more."""
        self._taken = self._left.pop(key)
        self.left_bytes -= self._taken.size_bytes
        freed = []
        for held in self._taken.holds:
            self._holders[held] -= 1
            if not self._holders[held] and held in self._left:
                freed.append(held)
        return freed

    def _may_go(self, key: Key, *, soft: bool = False) -> bool:
        item = self._left[key]
        if self._holders[key] or item.stay in _FIRM or self._is_fresh(key):
            return False
        return item.stay is None or soft or self._demand.everything

    def _is_wanted_gone(self, key: Key) -> bool:
        """Whether it goes where no size is asked for."""
        return key.kind not in _IDLE_FIRST or self._demand.everything or self._idle_s(key) > IDLE_S

    def _is_fresh(self, key: Key) -> bool:
        return self._idle_s(key) < self._demand.grace_s

    def _idle_s(self, key: Key) -> float:
        """How long ago it was used itself: what it was held by has been looked at."""
        age_s = self._demand.now_s - self._left[key].used_s
        return age_s if age_s > -self._demand.grace_s else self._demand.grace_s
