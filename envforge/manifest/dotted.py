"""Dotted paths: how a place in a TOML file is named, ``project.optional-dependencies."a.b"[2]``."""

from __future__ import annotations

import json


def child(where: str, key: str) -> str:
    """The path of a key in a table: ``project`` and ``name`` are ``project.name``."""
    is_bare = key.isascii() and key.replace("-", "_").replace("_", "a").isalnum()
    part = key if is_bare else json.dumps(key, ensure_ascii=False)
    return f"{where}.{part}" if where else part


def item(where: str, index: int) -> str:
    """The path of an array's entry: ``project.dependencies[2]``."""
    return f"{where}[{index}]"
