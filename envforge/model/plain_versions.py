"""Versions and specifiers of the plain form, compared without :mod:`packaging`.

To import :mod:`packaging` takes as long as to resolve a platform from a warm cache, and of 383 questions
that the resolution of a torch environment asks, all are plain: versions without epoch and local part, in
their canonical spelling (``1.26.4``, ``2.0rc1``, ``0.8.1.post1``), and specifiers with such versions. For
everything else the answer here is None, and the caller asks :mod:`packaging`. Property tests hold both to
the same answers.

Standard: PEP 440.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import TypeAlias

PlainVersion: TypeAlias = tuple[tuple[int, ...], tuple[int, int], int, tuple[int, int]]
"""Release without zeros at its end, pre-release, post-release, development release: in PEP 440's order."""
Test: TypeAlias = Callable[[PlainVersion], bool]

# A text, not compiled: most runs meet only numbers.
_VERSION = r"([0-9]+(?:\.[0-9]+)*)(?:(a|b|rc)([0-9]+))?(?:\.post([0-9]+))?(?:\.dev([0-9]+))?"
_CLAUSE = re.compile(r"\s*(~=|==|!=|<=|>=|<|>)\s*([0-9a-z.]+?)(\.\*)?\s*", re.ASCII)
_LONGEST = 200  # Python does not read numbers of more than 4,300 digits
_PRE_ORDER = {"a": 0, "b": 1, "rc": 2}
_AFTER_PRE, _BEFORE_PRE = (3, 0), (-1, 0)
_NOT_DEV = (1, 0)
_FINAL = (_AFTER_PRE, -1, _NOT_DEV)


@cache
def plain_version(text: str) -> PlainVersion | None:
    """A plain version, to be compared with others; None for every other text."""
    if len(text) > _LONGEST:
        return None
    numbers = text.split(".")
    if text.isascii() and all(map(str.isdigit, numbers)):
        return (_release(numbers), *_FINAL)
    found = re.fullmatch(_VERSION, text)
    if found is None:
        return None
    release, phase, pre, post, dev = found.groups()
    pre_key = (_PRE_ORDER[phase], int(pre)) if phase else _AFTER_PRE
    if dev and not (phase or post):
        pre_key = _BEFORE_PRE
    return (
        _release(release.split(".")),
        pre_key,
        int(post) if post else -1,
        (0, int(dev)) if dev else _NOT_DEV,
    )


@cache
def plain_specifier(text: str) -> Sequence[Test] | None:
    """What a set of plain specifiers asks of a version; None for every other text."""
    tests: list[Test] = []
    for clause in text.split(","):
        found = _CLAUSE.fullmatch(clause)
        test = _test(*found.groups("")) if found else None
        if test is None:
            return None
        tests.append(test)
    return tests


@cache
def canonical_plain_specifier(text: str) -> str | None:
    """A set of plain specifiers as :mod:`packaging` spells it; None for every other text."""
    if plain_specifier(text) is None:
        return None
    spelled: dict[tuple[object, ...], str] = {}
    for clause in text.split(","):
        operator, version, wildcard = _CLAUSE.fullmatch(clause).groups("")  # type: ignore[union-attr]
        spelled[operator, plain_version(version), wildcard] = f"{operator}{version}{wildcard}"
    # Of two clauses that say the same in other words packaging keeps one.
    return ",".join(sorted(spelled.values())) if len(spelled) == text.count(",") + 1 else None


def _test(operator: str, text: str, wildcard: str) -> Test | None:
    bound = plain_version(text)
    if bound is None:
        return None
    if not wildcard and operator in _COMPARISONS:
        return _COMPARISONS[operator](bound)
    release, pre, post, _ = bound
    if operator == "<" and not wildcard and pre != _AFTER_PRE and post < 0:
        return lambda version: version < bound
    if bound[1:] != _FINAL:
        return None
    if wildcard:
        is_within = _within(text)
        return {"==": is_within, "!=": lambda version: not is_within(version)}.get(operator)
    # A pre-release is not before, and a post-release not after the release that it belongs to.
    if operator == "<":
        return lambda version: version[0] < release
    if operator == ">":
        return lambda version: version[0] > release
    if "." not in text:
        return None
    is_within = _within(text.rpartition(".")[0])
    return lambda version: version >= bound and is_within(version)


_COMPARISONS: dict[str, Callable[[PlainVersion], Test]] = {
    "==": lambda bound: lambda version: version == bound,
    "!=": lambda bound: lambda version: version != bound,
    ">=": lambda bound: lambda version: version >= bound,
    "<=": lambda bound: lambda version: version <= bound,
}


def _within(text: str) -> Test:
    """Whether a version's release begins with these numbers."""
    prefix = tuple(map(int, text.split(".")))
    width = len(prefix)
    zeros = (0,) * width
    return lambda version: (version[0] + zeros)[:width] == prefix


def _release(numbers: Sequence[str]) -> tuple[int, ...]:
    release = list(map(int, numbers))
    while len(release) > 1 and not release[-1]:
        release.pop()
    return tuple(release)
