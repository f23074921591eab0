"""PyPI requirements, versions, specifiers and markers, parsed once and kept.

Reading a requirement costs :mod:`packaging` 30-100 microseconds and a resolution meets the same few
hundred texts thousands of times, so every parser here remembers its answers, and a
:class:`Requirement` keeps its specifier and marker as canonical text until somebody asks. What is of the
usual form (nearly everything) is read without importing :mod:`packaging`, which takes 15 ms.

Standards: PEP 440 (versions), PEP 508 (requirements, markers).
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from envforge.errors import RequirementError
from envforge.model.names import is_valid_name, normalize_name
from envforge.model.plain_versions import canonical_plain_specifier, plain_specifier, plain_version
from envforge.struct import Struct

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

# name, extras, specifier with or without parentheses, marker: nearly every requirement there is
_USUAL = re.compile(
    r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)[ ]*(?:\[([A-Za-z0-9._, -]*)\])?[ ]*"
    r"(?:\(([^()@;\[\]]*)\)|([<>=!~][^()@;\[\]]*))?[ ]*(?:;(.*))?"
)


class Requirement(Struct, frozen=True):
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
    return _usual_requirement(text) or _any_requirement(text)


def _usual_requirement(text: str) -> Requirement | None:
    """Read a requirement by its parts, None if it is not of the usual form.

    The same few hundred specifiers and markers stand in thousands of requirements: read once each, they
    cost half of what whole requirements cost. Equal to :func:`_any_requirement`, a property test says.
    """
    found = _USUAL.fullmatch(text)
    if found is None:
        return None
    name, extras, bracketed, bare, marker = found.groups()
    specifier = _canonical_specifier((bracketed or bare or "").strip())
    canonical_marker = _canonical_marker(marker.strip()) if marker is not None else ""
    names = [extra.strip() for extra in extras.split(",")] if extras and extras.strip() else []
    if specifier is None or canonical_marker is None or not all(map(is_valid_name, names)):
        return None
    return Requirement(
        name=normalize_name(name),
        extras=tuple(sorted({normalize_name(extra) for extra in names})),
        specifier=specifier,
        marker=canonical_marker,
    )


@cache
def _canonical_specifier(text: str) -> str | None:
    if not text:
        return ""
    if text.endswith(","):
        return None
    canonical = canonical_plain_specifier(text)
    if canonical is not None:
        return canonical
    try:
        return str(parse_specifier(text))
    except RequirementError:
        return None


@cache
def _canonical_marker(text: str) -> str | None:
    from packaging.markers import InvalidMarker, Marker

    try:
        return str(Marker(text))
    except InvalidMarker:
        return None


def _any_requirement(text: str) -> Requirement:
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


def check_specifier(text: str) -> None:
    """Make sure that a text is a PEP 440 specifier set.

    Raises:
        RequirementError: it is none.
    """
    if text and plain_specifier(text) is None:
        parse_specifier(text)


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
    if not specifier:
        return True
    tests, plain = plain_specifier(specifier), plain_version(version)
    if tests is not None and plain is not None:
        return all(test(plain) for test in tests)
    return parse_specifier(specifier).contains(parse_version(version), prereleases=True)
