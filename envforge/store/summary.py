"""Summaries: ``trees/<id>.json``, one for each complete tree."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from msgspec.json import Decoder

from envforge.model.tree import Tree
from envforge.store.failures import store_error


@cache
def _decoder() -> Decoder[Tree]:
    """What has other fields was written for another layout."""
    return Decoder(Tree)


def read_tree(folder: Path, tree_id: str) -> Tree | None:
    """A complete tree by its summary in a folder, None if it is not there."""
    try:
        with open(f"{folder}/{tree_id}.json", "rb", buffering=0) as sidecar:
            return _decoder().decode(sidecar.read())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:
        return None  # cut off by a power failure: as good as not there, and fetched again
    except OSError as error:
        raise store_error(error, folder, "read the store") from error
