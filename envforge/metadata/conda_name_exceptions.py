"""Conda packages that are a PyPI project under another name, or none in spite of their name."""

from __future__ import annotations

from collections.abc import Mapping

PYPI_NAMES: Mapping[str, tuple[str, ...]] = {
    "pytorch": ("torch",),
    "matplotlib-base": ("matplotlib",),
    "msgpack-python": ("msgpack",),
}
"""conda name → normalized PyPI names."""

NOT_ON_PYPI: frozenset[str] = frozenset({"python", "pip"})
"""Conda names of Python packages whose PyPI namesake is something else, or that have nothing to import."""
