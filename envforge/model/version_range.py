"""Ranges of (major, minor) versions in a variant's ``when``: ``>=12.8``, ``>=12.4,<13``, ``==12.*``.

The words are those of PEP 440's specifiers, which compare the versions; here are their bounds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from envforge.model.requirement import specifier_admits

Version = tuple[int, int]

# texts, not compiled: read only where a project has variants
_CLAUSE = r"(>=|<=|==|!=|~=|<|>)\s*([0-9]{1,4}(?:\.[0-9]{1,4}){0,2})(\.\*)?"
_LONE_VERSION = r"v?([0-9]{1,4}(?:\.[0-9]{1,4}){0,2})"


def canonical_range(text: str) -> str:
    """A range without blanks, ``""`` for what is no range: a lone version, another operator, no number."""
    clauses = [re.fullmatch(_CLAUSE, clause.strip()) for clause in text.split(",")]
    if not all(found and _is_meant(*found.groups()) for found in clauses):
        return ""
    return ",".join("".join(part or "" for part in found.groups()) for found in clauses if found)


def _is_meant(operator: str, version: str, star: str | None) -> bool:
    """``~=12`` says nothing, and ``>=12.*`` says what ``>=12`` says."""
    if operator == "~=":
        return "." in version and not star
    return not star or operator in ("==", "!=")


def meant_range(text: str) -> str:
    """What a lone version probably stands for: ``12.8`` for ``>=12.8``; ``""`` for anything else."""
    found = re.fullmatch(_LONE_VERSION, text.strip())
    return f">={found[1]}" if found else ""


def range_admits(text: str, version: Version) -> bool:
    """Whether a version lies in a canonical range, ``""`` for any."""
    return specifier_admits(text, "{}.{}".format(*version))


def lowest_of(text: str) -> Version | None:
    """The lowest version in a canonical range, None where it has no lower bound."""
    if range_admits(text, (0, 0)):
        return None
    return min(filter(lambda version: range_admits(text, version), _edges(text)), default=None)


def is_empty(text: str) -> bool:
    """Whether no version lies in a canonical range: ``>=13,<12``."""
    return not any(range_admits(text, version) for version in ((0, 0), *_edges(text)))


def _edges(text: str) -> Iterator[Version]:
    """Versions that a range names and those that follow them: if any lies in it, one of these or 0.0 does."""
    for _, version, star in re.findall(_CLAUSE, text):
        major, minor = (*map(int, version.split(".")[:2]), 0)[:2]
        yield major, minor
        yield major, minor + 1
        if star:
            yield (major, minor + 1) if "." in version else (major + 1, 0)
