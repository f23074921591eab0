"""Trees of a store, planted from a few lines of text: what fetch and store would have made."""

from __future__ import annotations

import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from envforge.model.tree import EntryPoint, Tree

BYTECODE = "__pycache__"


class Forest:
    """A tier with trees; a :class:`~envforge.model.tree.TreeListing`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.trees: list[Tree] = []

    def plant(
        self,
        name: str,
        library: Mapping[str, str | bytes] | None = None,
        *,
        version: str = "1.0",
        points: tuple[EntryPoint, ...] = (),
        scripts: Mapping[str, str | bytes] | None = None,
        data: Mapping[str, str | bytes] | None = None,
        headers: Mapping[str, str | bytes] | None = None,
    ) -> Tree:
        """Write a tree: read-only, a writable ``__pycache__`` beside modules."""
        identity = sha256(f"{name} {version}".encode()).hexdigest()
        dist_info = f"{name}-{version}.dist-info"
        library = {
            **(library if library is not None else {f"{name}/__init__.py": f"name = {name!r}\n"}),
            f"{dist_info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            f"{dist_info}/INSTALLER": "envforge\n",
            f"{dist_info}/RECORD": "",
        }
        parts = {"lib": library, "scripts": scripts or {}, "data": data or {}, "headers": headers or {}}
        place = self.root / "trees" / identity[:20]
        for part, files in parts.items():
            for path, content in files.items():
                _write(place / part / path, content, executable=part == "scripts")
        _seal(place)
        tree = Tree(
            id=identity[:20],
            sha256=identity,
            name=name,
            version=version,
            top_level={entry.name: "d" if entry.is_dir() else "f" for entry in os.scandir(place / "lib")},
            entry_points=points,
            scripts=tuple(parts["scripts"]),
            data=tuple(parts["data"]),
            headers=tuple(parts["headers"]),
        )
        self.trees.append(tree)
        return tree

    def entries(self, tree_id: str, folder: str) -> list[tuple[str, bool]]:
        place = self.root / "trees" / tree_id / "lib" / folder
        if not place.is_dir():
            return []
        return sorted((entry.name, entry.is_dir()) for entry in os.scandir(place) if entry.name != BYTECODE)


def _write(place: Path, content: str | bytes, *, executable: bool) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content.encode() if isinstance(content, str) else content)
    place.chmod(0o555 if executable else 0o444)


def _seal(place: Path) -> None:
    for folder, _, files in os.walk(place, topdown=False):
        if os.path.basename(folder) == BYTECODE:
            continue
        if any(name.endswith(".py") for name in files) and folder != f"{place}/lib":
            os.makedirs(f"{folder}/{BYTECODE}", exist_ok=True)
        os.chmod(folder, 0o555)
