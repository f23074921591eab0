"""Wheel tags of a target, best first.

They are made here and not by :mod:`packaging.tags`, which takes 7 ms to be imported because it can also
ask the machine that it runs on. A property test holds both to the same tags; for macOS before 11
:mod:`packaging.tags` is asked.

Standards: PEP 425 (tags), PEP 600 (manylinux).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache

from envforge.model.release import expand_tags
from envforge.model.target import PLATFORMS, Target


class WheelRanks(dict[str, int | None]):
    """How well wheels fit a target, by the tags in their names (``py2.py3-none-any``): 0 best, None no use.

    Every set of tags is in it. Thousands of wheels share a few hundred, so that each is looked at once.

    Args:
        tags: what the target can use, as ``cp312-cp312-manylinux_2_28_x86_64``, best first.
        platforms: the platform parts of them without ``any``.
    """

    def __init__(self, tags: Iterable[str], platforms: Iterable[str]) -> None:
        super().__init__()
        self.tags = list(dict.fromkeys(tags))
        self.platforms = frozenset(platforms)
        self._ranks = {tag: rank for rank, tag in enumerate(self.tags)}

    def __missing__(self, tags: str) -> int | None:
        ranks: list[int] = []
        platforms = tags.rpartition("-")[2].split(".")
        if not self.platforms.isdisjoint(platforms) or "any" in platforms:
            ranks = [self._ranks[tag] for tag in expand_tags(tags) if tag in self._ranks]
        rank = self[tags] = min(ranks, default=None)
        return rank


@cache
def wheel_ranks(target: Target) -> WheelRanks:
    """The ranks of wheels for a target."""
    platforms = list(_platforms(target))
    return WheelRanks(_tags(target.python_minor, platforms), platforms)


def _tags(python_minor: str, platforms: Sequence[str]) -> Iterator[str]:
    """As :func:`packaging.tags.cpython_tags` and :func:`packaging.tags.compatible_tags` order them."""
    major, minor = (int(part) for part in python_minor.split("."))
    cpython = f"cp{major}{minor}"
    older = range(minor - 1, -1, -1)
    pythons = [f"py{major}{minor}", f"py{major}", *(f"py{major}{older_minor}" for older_minor in older)]
    stable = [f"cp{major}{older_minor}-abi3" for older_minor in older if older_minor >= 2]
    for start in (f"{cpython}-{cpython}", f"{cpython}-abi3", f"{cpython}-none", *stable):
        yield from (f"{start}-{platform}" for platform in platforms)
    for python in pythons:
        yield from (f"{python}-none-{platform}" for platform in platforms)
    yield f"{cpython}-none-any"
    yield from (f"{python}-none-any" for python in pythons)


def _platforms(target: Target) -> Iterator[str]:
    """The platform parts of a target's tags, best first."""
    platform = PLATFORMS[target.platform]
    if platform.sys_platform == "linux":
        yield from _manylinux(target.system.glibc, platform.wheel_arch)
        yield f"linux_{platform.wheel_arch}"
    elif platform.sys_platform == "darwin":
        yield from _macos(target.system.macos, platform.wheel_arch)
    else:
        yield platform.wheel_arch


def _manylinux(glibc: tuple[int, int], arch: str) -> Iterator[str]:
    """``manylinux_2_N`` downwards with the legacy names beside their equals (PEP 600)."""
    legacy = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
    oldest = 5 if arch == "x86_64" else 17
    major, newest = glibc
    for minor in range(newest, oldest - 1, -1):
        yield f"manylinux_{major}_{minor}_{arch}"
        if minor in legacy:
            yield f"{legacy[minor]}_{arch}"


def _macos(newest: tuple[int, int], arch: str) -> Iterator[str]:
    """``macosx_14_0`` downwards; of what is older than arm64 on macOS its machines run universal2 only."""
    if newest < (11, 0):
        from packaging.tags import mac_platforms

        yield from mac_platforms(newest, arch)
        return
    intel = ("x86_64", "intel", "fat64", "fat3", "universal2", "universal")
    formats = {"x86_64": intel, "arm64": ("arm64", "universal2")}[arch]
    for major in range(newest[0], 10, -1):
        yield from (f"macosx_{major}_0_{form}" for form in formats)
    for minor in range(16, 3, -1):
        yield from (f"macosx_10_{minor}_{form}" for form in formats if form != "arm64")
