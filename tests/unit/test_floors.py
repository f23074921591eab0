"""Imports go downwards only, and the pure floors touch nothing of the world."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import envforge

PACKAGE = Path(envforge.__file__).parent
FLOORS = (
    ("hashing", "struct"),
    ("errors", "events"),
    ("model",),
    ("manifest", "lock", "metadata"),
    ("resolve", "plan"),
    ("host", "net", "store"),
    ("index", "fetch", "build", "link", "git"),
    ("environment",),
    ("workflows",),
    ("cli",),
)
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
PURE = {room for rooms in FLOORS[:5] for room in rooms}
WORLD = {"os", "socket", "subprocess", "time", "tempfile", "shutil", "httpx", "urllib3", "threading"}
FILES = sorted(PACKAGE.rglob("*.py"))


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imports(path: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            names.append(node.module)
            if node.module == "envforge":
                names += [f"envforge.{alias.name}" for alias in node.names]
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_downwards(path: Path) -> None:
    room = _room(path)
    if room in ("__init__", "__main__"):
        return
    for name in _imports(path):
        parts = name.split(".")
        if parts[0] != "envforge" or len(parts) == 1 or parts[1].startswith("__"):
            continue
        assert parts[1] == room or FLOOR_OF[parts[1]] < FLOOR_OF[room], f"{path} imports {name}"


@pytest.mark.parametrize(
    "path", [path for path in FILES if _room(path) in PURE], ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_pure_floors_import_nothing_of_the_world(path: Path) -> None:
    assert not {name.split(".")[0] for name in _imports(path)} & WORLD


def test_every_room_has_a_floor() -> None:
    assert {_room(path) for path in FILES} - {"__init__", "__main__"} == set(FLOOR_OF)
