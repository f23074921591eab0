"""PyPI requirements, versions, specifiers and markers, parsed once and kept.

Reading a requirement costs :mod:`packaging` 30-100 microseconds and a resolution meets the same few
hundred texts thousands of times, so every parser here remembers its answers, and a
:class:`Requirement` keeps its specifier and marker as canonical text until somebody asks.

Standards: PEP 440 (versions), PEP 508 (requirements, markers), PEP 503 (names).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from envforge.errors import RequirementError

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

_SEPARATORS = re.compile(r"[-_.]+")
_VALID_NAME = re.compile(r"[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9._-]*[A-Za-z0-9]")


@cache
def normalize_name(name: str) -> str:
    """The one spelling of a project's or extra's name (PEP 503): ``Foo.Bar`` is ``foo-bar``."""
    return _SEPARATORS.sub("-", name).lower()


def is_valid_name(name: str) -> bool:
    """Whether ``name`` may be a project's name (PEP 508)."""
    return _VALID_NAME.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class Requirement:
    """A demand for a distribution from PyPI or an index like it.

    Args:
        name: normalized project name.
        extras: normalized names, sorted.
        specifier: canonical PEP 440 specifier set, ``""`` for any version.
        marker: canonical PEP 508 marker, ``""`` for always.
        url: direct reference, ``""`` for none.
    """

    name: str
    extras: tuple[str, ...] = ()
    specifier: str = ""
    marker: str = ""
    url: str = ""

    def __str__(self) -> str:
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        where = f" @ {self.url}" if self.url else self.specifier
        # A marker after a URL needs the space, PEP 508 says, or it would be part of the URL.
        marker = f"{' ' if self.url else ''}; {self.marker}" if self.marker else ""
        return f"{self.name}{extras}{where}{marker}"


@cache
def parse_requirement(text: str) -> Requirement:
    """Read one PEP 508 requirement.

    Raises:
        RequirementError: the text is no requirement; the context holds it with a caret at the fault.
    """
    from packaging.requirements import InvalidRequirement
    from packaging.requirements import Requirement as PackagingRequirement

    try:
        parsed = PackagingRequirement(text)
    except InvalidRequirement as error:
        raise RequirementError(f"{text!r} is not a requirement", context=str(error).splitlines()) from None
    return Requirement(
        name=normalize_name(parsed.name),
        extras=tuple(sorted({normalize_name(extra) for extra in parsed.extras})),
        specifier=str(parsed.specifier),
        marker=str(parsed.marker) if parsed.marker else "",
        url=parsed.url or "",
    )


@cache
def parse_specifier(text: str) -> SpecifierSet:
    """Read a PEP 440 specifier set.

    Raises:
        RequirementError: the text is no specifier set.
    """
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        return SpecifierSet(text)
    except InvalidSpecifier:
        raise RequirementError(
            f"{text!r} is not a version specifier", hints=["write e.g. >=1.2,<2"]
        ) from None


@cache
def parse_version(text: str) -> Version:
    """Read a PEP 440 version.

    Raises:
        RequirementError: the text is no version.
    """
    from packaging.version import InvalidVersion, Version

    try:
        return Version(text)
    except InvalidVersion:
        raise RequirementError(f"{text!r} is not a version", hints=["write e.g. 1.2.3"]) from None


@cache
def specifier_admits(specifier: str, version: str) -> bool:
    """Whether ``version`` meets ``specifier``; who may have pre-releases is asked elsewhere."""
    return not specifier or parse_specifier(specifier).contains(parse_version(version), prereleases=True)
