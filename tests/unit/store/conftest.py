"""A store with trees in it, made as fetch makes them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path

import pytest

import envforge
from envforge.model.tree import Tree
from envforge.store.layout import StoredFile, tree_id
from envforge.store.sealing import file_mode, remove_sealed
from envforge.store.store import Store

Plant = Callable[..., Tree]
AsNobody = Callable[[str, Path], subprocess.CompletedProcess[str]]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "tier")


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed process left half published is replaced sooner."""
    monkeypatch.setattr("envforge.store.store._HALF_PUBLISHED_S", 0.05)


@pytest.fixture(autouse=True)
def removable(tmp_path: Path) -> Iterator[None]:
    """Read-only folders would stop pytest from removing its own, for anybody but root."""
    yield
    remove_sealed(tmp_path)


def stage(place: Path, files: Mapping[str, bytes]) -> list[StoredFile]:
    """Write files with the modes of the store; a path that ends in ``.sh`` is executable."""
    stored = []
    for path, content in files.items():
        target = place / path
        target.parent.mkdir(parents=True, exist_ok=True)
        executable = path.endswith(".sh")
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, file_mode(executable))
        os.write(handle, content)
        os.close(handle)
        stored.append(StoredFile(path, len(content), sha256(content).hexdigest(), executable))
    return stored


def describe(name: str, files: Mapping[str, bytes], couplings: tuple[str, ...] = ()) -> Tree:
    digest = sha256(repr((name, sorted(files.items()))).encode()).hexdigest()
    tops = {
        path.split("/")[1]: "d" if path.count("/") > 1 else "f" for path in files if path.startswith("lib/")
    }
    return Tree(
        id=tree_id(digest),
        sha256=digest,
        name=name,
        version="1.0",
        top_level=tops,
        couplings=couplings,
        file_count=len(files),
        size_bytes=sum(map(len, files.values())),
    )


@pytest.fixture
def plant(store: Store) -> Plant:
    """Publish a tree: ``plant("demo", {"lib/demo/__init__.py": b""})``."""

    def publish(name: str, files: Mapping[str, bytes], couplings: tuple[str, ...] = ()) -> Tree:
        with store.staging() as staging:
            staged = staging / "tree"
            staged.mkdir()
            return store.publish_tree(staged, describe(name, files, couplings), stage(staged, files))

    return publish


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A temporary folder that other users can reach (pytest's own are closed to them)."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)
        for place in Path(name).iterdir():
            remove_sealed(place)


@pytest.fixture
def as_nobody() -> AsNobody:
    """Run Python code in a folder as a user who is not root; skips where that cannot be."""
    prefix: list[str] = []
    python, path = sys.executable, str(Path(envforge.__file__).parents[1])
    if os.getuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("needs setpriv to become another user")
        prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        # not above: what another user runs imports this file, too, and nothing of support
        from support.users import open_python, open_python_path

        python, path = open_python(), open_python_path()

    def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": path, "HOME": str(folder)}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        command = [*prefix, python, "-c", code, str(folder)]
        return subprocess.run(
            command, env=environment, cwd=folder, capture_output=True, text=True, timeout=60
        )

    return run
