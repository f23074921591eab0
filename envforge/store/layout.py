"""How a store is laid out on disk: its format, the parts of a tree, the names and what is told of files."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

from envforge.errors import StoreError
from envforge.hashing import base32
from envforge.store.failures import store_failures
from envforge.struct import Struct

FORMAT = 1
PARTS = ("lib", "scripts", "data", "headers")
BLUEPRINTS = "blueprints"
"""Folder of what is kept of environments that were worked out (:mod:`envforge.workflows.blueprint`)."""
REMOVED = ".removed"
"""What is being removed ends with it."""


class StoredFile(NamedTuple):
    """A file of a tree. ``path`` starts with the part: ``lib/torch/__init__.py``. ``sha256`` is hex."""

    path: str
    size_bytes: int
    sha256: str
    executable: bool


class Damage(Struct, frozen=True):
    """A file that is not as it was stored: ``missing``, ``changed``, ``unexpected`` or ``unreadable``."""

    tree_id: str
    path: str
    problem: str


@cache
def tree_id(sha256: str) -> str:
    """The id of a tree: 20 letters, so that a relative link to it stays under 60 bytes.

    100 bits of the digest; whoever looks a tree up compares the whole digest.
    """
    return base32(bytes.fromhex(sha256), 20)


def check_format(root: Path) -> bool:
    """Whether the store is there; StoreError if a newer envforge made it."""
    marker = root / "store"
    try:
        with open(marker, "rb") as file:
            version = json.loads(file.read())["format"]
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (ValueError, KeyError, TypeError):
        return False  # cut off by a power failure: written again
    except OSError as error:
        with store_failures(marker, "read the store"):
            raise error
    if version != FORMAT:
        raise StoreError(
            f"the store has layout {version}, this envforge knows {FORMAT}",
            context=[f"path: {root}"],
            hints=["upgrade envforge, or choose another place with --tier DIR"],
        )
    return True
