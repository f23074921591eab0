"""Targets: what is resolved for, as against the host that does the resolving.

A target is a platform (a conda subdir such as ``linux-64``), a Python and what the system may be
assumed to have. Markers and wheel tags (:mod:`.wheel_ranks`) are evaluated for it, never for the machine
that locks.

Standards: PEP 508 (marker environment), PEP 440 (``Requires-Python``).
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from envforge.errors import ManifestError, RequirementError
from envforge.model.plain_markers import plain_marker_holds
from envforge.model.requirement import normalize_name, specifier_admits
from envforge.struct import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from packaging.markers import Marker

    from envforge.model.requirement import Requirement


class Platform(Struct, frozen=True):
    """One conda subdir in PyPI's words."""

    subdir: str
    sys_platform: str
    platform_machine: str
    wheel_arch: str

    @property
    def os_name(self) -> str:
        return "nt" if self.sys_platform == "win32" else "posix"

    @property
    def platform_system(self) -> str:
        return {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}[self.sys_platform]


_EXTRA_DEMAND = re.compile(r"""(?:^|\band )extra == ["']([^"']+)["'](?: and\b|$)""")

PLATFORMS = {
    platform.subdir: platform
    for platform in (
        Platform("linux-64", "linux", "x86_64", "x86_64"),
        Platform("linux-aarch64", "linux", "aarch64", "aarch64"),
        Platform("linux-ppc64le", "linux", "ppc64le", "ppc64le"),
        Platform("osx-64", "darwin", "x86_64", "x86_64"),
        Platform("osx-arm64", "darwin", "arm64", "arm64"),
        Platform("win-64", "win32", "AMD64", "win_amd64"),
        Platform("win-arm64", "win32", "ARM64", "win_arm64"),
    )
}
DEFAULT_PLATFORMS = ("linux-64", "linux-aarch64", "osx-arm64", "win-64")


class SystemAssumptions(Struct, frozen=True):
    """The oldest system that a target's environment must run on: (major, minor) versions.

    macOS 14 because torch has wheels for nothing older since 2.12: with 13 a lock would hold torch 2.11
    for the Mac beside 2.15 for everybody else.

    Args:
        glibc: of Linux.
        macos: of macOS.
        linux: the kernel's; 4.18 came with glibc 2.28 in the oldest enterprise Linux that is kept up.
        cuda: the newest CUDA that the driver runs, None for no NVIDIA driver.
        archspec: micro-architecture as archspec names it, ``""`` for the platform's plainest.
    """

    glibc: tuple[int, int] = (2, 28)
    macos: tuple[int, int] = (14, 0)
    linux: tuple[int, int] = (4, 18)
    cuda: tuple[int, int] | None = None
    archspec: str = ""


class Target(Struct, frozen=True, kw_only=True, cache_hash=True):
    """What one resolution is for.

    Args:
        platform: conda subdir, a key of :data:`PLATFORMS`.
        python: ``3.12`` (any patch) or ``3.12.4``.
        system: what the platform may be assumed to have.
        variant: name of the manifest's variant, ``""`` for a project without variants.
    """

    platform: str
    python: str
    system: SystemAssumptions = SystemAssumptions()
    variant: str = ""

    def __post_init__(self) -> None:
        if self.platform not in PLATFORMS:
            raise ManifestError(
                f"unknown platform {self.platform!r}", hints=[f"known platforms: {', '.join(PLATFORMS)}"]
            )

    @property
    def id(self) -> str:
        """``linux-64``, with a variant ``linux-64:cuda``."""
        return f"{self.platform}:{self.variant}" if self.variant else self.platform

    @property
    def label(self) -> str:
        """``linux-64 · Python 3.12``, ``linux-64:cuda · Python 3.12``, for people."""
        return f"{self.id} · Python {self.python}"

    @property
    def python_minor(self) -> str:
        """``3.12``, also for a target that names a patch."""
        return ".".join(self.python.split(".")[:2])

    @property
    def python_full(self) -> str:
        """The patch version that markers see.

        A target that names a minor only is evaluated at its first patch: conditions such as
        ``python_full_version < "3.11.3"`` then hold, so that a backport is locked that some hosts
        do not need, rather than missed on hosts that do.
        """
        return self.python if self.python.count(".") == 2 else f"{self.python}.0"


@cache
def marker_environment(target: Target) -> Mapping[str, str]:
    """The PEP 508 marker variables of a target, ``extra`` excluded.

    ``platform_release`` and ``platform_version`` are empty: a lock cannot know a kernel.
    """
    platform = PLATFORMS[target.platform]
    return {
        "implementation_name": "cpython",
        "implementation_version": target.python_full,
        "os_name": platform.os_name,
        "platform_machine": platform.platform_machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": platform.platform_system,
        "platform_version": "",
        "python_full_version": target.python_full,
        "python_version": target.python_minor,
        "sys_platform": platform.sys_platform,
    }


def marker_holds(marker: str, target: Target, extra: str = "") -> bool:
    """Whether a canonical marker holds for a target, with one extra (or none) asked for."""
    return not marker or _marker_truths(target, extra)[marker]


def holding_requirements(
    requirements: Iterable[Requirement], target: Target, extras: Iterable[str]
) -> Iterator[Requirement]:
    """The requirements whose markers hold for a target, with no extra or with one of some."""
    truths = [_marker_truths(target, extra) for extra in ("", *extras)]
    for requirement in requirements:
        marker = requirement.marker
        if not marker:
            yield requirement
            continue
        for holds in truths:  # a loop, because any() with a generator takes three times as long
            if holds[marker]:
                yield requirement
                break


@cache
def _marker_truths(target: Target, extra: str) -> _MarkerTruths:
    """What is known about markers, for those who have thousands of questions."""
    return _truths_of_python(target.platform, target.python, extra)


@cache
def _truths_of_python(platform: str, python: str, extra: str) -> _MarkerTruths:
    """Markers know nothing of variants and of what a system may be assumed to have: all share the answers."""
    return _MarkerTruths(Target(platform=platform, python=python), extra)


class _MarkerTruths(dict[str, bool]):
    """Canonical marker → whether it holds, for every marker."""

    def __init__(self, target: Target, extra: str) -> None:
        self._extra = extra
        self._environment = {**marker_environment(target), "extra": extra}

    def __missing__(self, marker: str) -> bool:
        holds = self[marker] = self._holds(marker)
        return holds

    def _holds(self, marker: str) -> bool:
        demanded = _demanded_extra(marker)
        if demanded is not None and demanded != self._extra:
            return False
        holds = plain_marker_holds(marker, self._environment)
        return _parse_marker(marker).evaluate(self._environment) if holds is None else holds


@cache
def _parse_marker(text: str) -> Marker:
    from packaging.markers import Marker

    return Marker(text)


@cache
def _demanded_extra(marker: str) -> str | None:
    """The extra without which a marker cannot hold, None where that is not plain to see.

    Nearly all markers of a release are about extras that nobody asks for, and parsing one costs 50
    times as much as this.
    """
    if " or " in marker:
        return None
    found = _EXTRA_DEMAND.search(marker)
    return normalize_name(found[1]) if found else None


@cache
def python_admitted(requires_python: str, target: Target) -> bool:
    """Whether a ``Requires-Python`` admits the target.

    A target that names a minor only is admitted if any of its patches is: ``>=3.11.4`` is no reason
    to refuse Python 3.11. The host's own patch is checked when the environment is made.
    """
    full = target.python.count(".") == 2
    versions = [target.python] if full else [f"{target.python}.{patch}" for patch in (0, 5, 20, 99)]
    try:
        return any(specifier_admits(requires_python, version) for version in versions)
    except RequirementError:  # released files with a broken Requires-Python exist; pip ignores it too
        return True
