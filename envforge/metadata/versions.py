"""Versions out of file names, and their order, without :mod:`packaging` where a version is plain.

An index page names a thousand files, nearly all with versions such as ``1.26.4``: reading those costs
:mod:`packaging` microseconds each, and the order needs nothing but their numbers.

Standards: PEP 440 (versions), PEP 427 and the binary distribution format (wheel names), PEP 625 (sdist
names; older ones, with dashes in the project's name, are read too).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any, TypeAlias

from envforge.model.names import normalize_name
from envforge.model.plain_versions import plain_version
from envforge.model.release import SDIST_SUFFIXES

SortKey: TypeAlias = tuple[Any, ...]

_PLAIN = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))*", re.ASCII)
_WHEEL_NAME = re.compile(r"\w[\w.]*", re.UNICODE)
_LONGEST = 160  # Python does not read numbers of more than 4,300 digits


@cache
def canonical_version(text: str) -> str | None:
    """The canonical spelling (``1.0-RC1`` is ``1.0rc1``), None if it is no PEP 440 version."""
    if len(text) > _LONGEST:
        return None
    if _PLAIN.fullmatch(text):
        return text
    from packaging.version import InvalidVersion, Version

    try:
        return str(Version(text))
    except InvalidVersion:
        return None


def version_sort_key(version: str) -> SortKey:
    """A key that orders canonical versions as PEP 440 does; equal for ``1.0`` and ``1.0.0``."""
    plain = plain_version(version)
    if plain is not None:
        return (0, *plain, ())
    from packaging.version import Version

    parsed = Version(version)
    public = plain_version(parsed.public.rpartition("!")[2])
    assert public is not None  # what packaging spells is canonical
    return (parsed.epoch, *public, _local_key(parsed.local))


def _local_key(local: str | None) -> SortKey:
    """Numbers come after words (PEP 440), and none before all."""
    parts = local.split(".") if local else []
    return tuple((1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts)


def is_release(found: str, expected: str) -> bool:
    """Whether a version is the expected one, where either may lack the label that the other has.

    Builds for one kind of hardware are published under names with a local label (``2.8.3+cu12torch2.8``),
    while the metadata inside them says ``2.8.3``; other backends add the label when they build.

    Args:
        found: as a distribution spells it.
        expected: canonical.
    """
    canonical = canonical_version(found)
    if canonical is None:
        return False
    if "+" in canonical and "+" in expected:
        return version_sort_key(canonical) == version_sort_key(expected)
    return version_sort_key(canonical.partition("+")[0]) == version_sort_key(expected.partition("+")[0])


def is_distribution(filename: str) -> bool:
    """Whether a name ends like a wheel or an sdist."""
    return filename.endswith(".whl") or filename.endswith(SDIST_SUFFIXES)


def release_of(filename: str) -> tuple[str, str] | None:
    """(project, canonical version) as a file's name tells them, None where nobody understands it.

    Of the names that an old sdist with dashes may have, the longest.
    """
    for project in _possible_projects(filename):
        version = version_of(filename, project)
        if version is not None:
            return project, version
    return None


def _possible_projects(filename: str) -> Iterable[str]:
    """Normalized names that a file name may begin with, the likeliest first."""
    if filename.endswith(".whl"):
        return [normalize_name(filename.partition("-")[0])]
    stem = next((filename.removesuffix(end) for end in SDIST_SUFFIXES if filename.endswith(end)), "")
    parts = stem.split("-")
    return [normalize_name("-".join(parts[:count])) for count in range(len(parts) - 1, 0, -1)]


def version_of(filename: str, project: str) -> str | None:
    """The canonical version that a file of a project has.

    Args:
        filename: basename, percent-decoded.
        project: normalized name.

    Returns:
        None where it is no wheel and no sdist, belongs to another project, or breaks the rules for
        names: such a file is as good as not there.
    """
    # A name, not a path: others make files of it. Of all that a cold lock does to a name, a set of these
    # characters took a third.
    if "/" in filename or "\\" in filename or "\0" in filename or "\n" in filename or "\r" in filename:
        return None
    if filename.endswith(".whl"):
        parts = filename[:-4].split("-")
        if len(parts) not in (5, 6) or (len(parts) == 6 and not parts[2][:1].isdecimal()):
            return None
        if not _is_wheel_name(parts[0]) or normalize_name(parts[0]) != project:
            return None
        return canonical_version(parts[1])
    for suffix in SDIST_SUFFIXES:
        if filename.endswith(suffix):
            return _sdist_version(filename[: -len(suffix)], project)
    return None


@cache  # a page has thousands of wheels of one name
def _is_wheel_name(name: str) -> bool:
    return "__" not in name and _WHEEL_NAME.fullmatch(name) is not None


def _sdist_version(stem: str, project: str) -> str | None:
    """Split at the dash that leaves the project's name; name and version may have dashes themselves."""
    dash = stem.find("-")
    while dash >= 0:
        if normalize_name(stem[:dash]) == project:
            version = canonical_version(stem[dash + 1 :])
            if version is not None:
                return version
        dash = stem.find("-", dash + 1)
    return None
