"""Markers of the plain form, evaluated without :mod:`packaging`.

Plain is a marker in canonical spelling whose comparisons have a variable on the left, and only such as
``sys_platform == "win32"``, ``python_version < "3.11"`` and ``extra == "dev"``. For everything else the
answer here is None, and the caller asks :mod:`packaging`. A property test holds both to the same answers.

Standard: PEP 508.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from envforge.model.names import normalize_name
from envforge.model.plain_versions import plain_specifier, plain_version

_COMPARISON = re.compile(r'([a-z_]+) ([=!<>~]=|[<>]) "([\w.*+-]*)"', re.ASCII)
_INNERMOST = re.compile(r"\(([^()]*)\)")
_WORDS = frozenset(
    {"implementation_name", "os_name", "platform_machine", "platform_python_implementation"}
    | {"platform_system", "sys_platform"}
)
_VERSIONS = frozenset({"implementation_version", "python_full_version", "python_version"})
_TRUE, _FALSE, _UNKNOWN = "+", "-", "?"


def plain_marker_holds(marker: str, environment: Mapping[str, str]) -> bool | None:
    """Whether a marker holds; None where it is not plain.

    Args:
        marker: canonical.
        environment: marker variable → value, ``extra`` included.
    """
    # Every comparison becomes one character; then from the innermost parentheses outwards.
    text = _COMPARISON.sub(lambda found: _compare(found[1], found[2], found[3], environment), marker)
    while "(" in text:
        simpler = _INNERMOST.sub(lambda found: _join(found[1]), text)
        if simpler == text:
            return None
        text = simpler
    return {_TRUE: True, _FALSE: False}.get(_join(text))


def _compare(variable: str, operator: str, value: str, environment: Mapping[str, str]) -> str:
    holds: bool | None = None
    if variable in _VERSIONS:
        tests, version = plain_specifier(f"{operator}{value}"), plain_version(environment[variable])
        if tests is not None and version is not None:
            holds = all(test(version) for test in tests)
    elif operator in ("==", "!=") and (variable in _WORDS or variable == "extra"):
        actual = environment[variable]
        is_same = normalize_name(value) == normalize_name(actual) if variable == "extra" else value == actual
        holds = is_same is (operator == "==")
    return _UNKNOWN if holds is None else _TRUE if holds else _FALSE


def _join(text: str) -> str:
    """One character for characters that are joined by ``and`` and ``or``."""
    choices = [choice.split(" and ") for choice in text.split(" or ")]
    if any(part not in (_TRUE, _FALSE) for choice in choices for part in choice):
        return _UNKNOWN
    return _TRUE if any(_FALSE not in choice for choice in choices) else _FALSE
