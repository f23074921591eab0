"""Markers and ``Requires-Python`` as a target answers them, each asked once.

Standards: PEP 508 (marker environment), PEP 440 (``Requires-Python``).
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from envforge.errors import RequirementError
from envforge.model.names import normalize_name
from envforge.model.plain_markers import plain_marker_holds
from envforge.model.requirement import specifier_admits
from envforge.model.target import PLATFORMS, Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from packaging.markers import Marker

    from envforge.model.requirement import Requirement

_EXTRA_DEMAND = re.compile(r"""(?:^|\band )extra == ["']([^"']+)["'](?: and\b|$)""")


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
