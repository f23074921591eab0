"""Names of projects, extras and groups: one spelling for all that PEP 503 takes for the same."""

from __future__ import annotations

import re
from functools import cache

_SEPARATORS = re.compile(r"[-_.]+")
_VALID_NAME = re.compile(r"[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9._-]*[A-Za-z0-9]")


@cache
def normalize_name(name: str) -> str:
    """The one spelling of a project's or extra's name (PEP 503): ``Foo.Bar`` is ``foo-bar``."""
    return _SEPARATORS.sub("-", name).lower()


def is_valid_name(name: str) -> bool:
    """Whether ``name`` may be a project's name (PEP 508)."""
    return _VALID_NAME.fullmatch(name) is not None
