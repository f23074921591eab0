"""Wheel tags of a target, best first.

They are made here and not by :mod:`packaging.tags`, which takes 7 ms to be imported because it can also
ask the machine that it runs on. A property test holds both to the same tags; for macOS before 11
:mod:`packaging.tags` is asked.

Standards: PEP 425 (tags), PEP 600 (manylinux).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache

from envforge.model.release import expand_tags
from envforge.model.target import PLATFORMS, Target


class TagRanks(dict[str, int]):
    """Tag, as ``cp312-cp312-manylinux_2_28_x86_64`` → rank, 0 best.

    Args:
        tags: best first.
    """

    def __init__(self, tags: Iterable[str]) -> None:
        super().__init__()
        for tag in tags:
            self.setdefault(tag, len(self))
        self._known: dict[str, int | None] = {}

    def best_of(self, tags: str) -> int | None:
        """The rank of a set of tags as a wheel's name has it (``py2.py3-none-any``), None for no use.

        Remembered, because thousands of wheels share a few hundred sets.
        """
        if tags not in self._known:
            self._known[tags] = min((self[tag] for tag in expand_tags(tags) if tag in self), default=None)
        return self._known[tags]


@cache
def wheel_tag_ranks(target: Target) -> TagRanks:
    """Every wheel tag that a target can use."""
    return TagRanks(_tags(target))


def _tags(target: Target) -> Iterator[str]:
    """As :func:`packaging.tags.cpython_tags` and :func:`packaging.tags.compatible_tags` order them."""
    major, minor = (int(part) for part in target.python_minor.split("."))
    cpython = f"cp{major}{minor}"
    older = range(minor - 1, -1, -1)
    pythons = [f"py{major}{minor}", f"py{major}", *(f"py{major}{older_minor}" for older_minor in older)]
    stable = [f"cp{major}{older_minor}-abi3" for older_minor in older if older_minor >= 2]
    platforms = list(_platforms(target))
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
