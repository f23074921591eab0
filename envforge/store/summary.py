"""Summaries: ``trees/<id>.json``, one for each complete tree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from envforge.model.tree import EntryPoint, Tree
from envforge.store.failures import store_error
from envforge.struct import to_builtins


def read_tree(folder: Path, tree_id: str) -> Tree | None:
    """A complete tree by its summary in a folder, None if it is not there."""
    try:
        with open(f"{folder}/{tree_id}.json", "rb") as sidecar:
            return _parse_tree(json.loads(sidecar.read()))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError):
        return None  # cut off by a power failure: as good as not there, and fetched again
    except OSError as error:
        raise store_error(error, folder, "read the store") from error


def tree_fields(tree: Tree) -> dict[str, object]:
    """What a summary says."""
    points = [(point.name, point.module, point.attribute, point.gui) for point in tree.entry_points]
    return {**to_builtins(tree), "entry_points": points}


def _parse_tree(fields: dict[str, Any]) -> Tree:
    """Read a sidecar; it has exactly the fields of a tree, others are another layout's."""
    fields["entry_points"] = tuple(
        EntryPoint(name=name, module=module, attribute=attribute, gui=gui)
        for name, module, attribute, gui in fields["entry_points"]
    )
    for key in ("scripts", "data", "headers", "couplings"):
        fields[key] = tuple(fields[key])
    return Tree(**fields)
