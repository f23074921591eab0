"""A folder to unpack into, and an archive on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from envforge.fetch.unpack import unpack_wheel
from envforge.fetch.zip_archive import ZipArchive
from envforge.model.tree import Tree
from envforge.store.sealing import remove_sealed
from envforge.store.store import StoredFile

FILENAME = "demo-1.0-py3-none-any.whl"
Unpack = Callable[..., tuple[Tree, list[StoredFile]]]


@pytest.fixture(autouse=True)
def removable(tmp_path: Path) -> Iterator[None]:
    yield
    remove_sealed(tmp_path)


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    place = tmp_path / "staged"
    place.mkdir()
    return place


@pytest.fixture
def unpack(tmp_path: Path, staged: Path) -> Unpack:
    """Unpack the bytes of a wheel; it must be demo 1.0 unless told otherwise."""

    def run(content: bytes, name: str = "demo", version: str = "1.0") -> tuple[Tree, list[StoredFile]]:
        archive = tmp_path / "archive.whl"
        archive.write_bytes(content)
        return unpack_wheel(
            archive,
            staged,
            filename=FILENAME,
            archive_sha256=sha256(content).hexdigest(),
            name=name,
            version=version,
        )

    return run


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[bytes], ZipArchive]]:
    """Open the bytes of a zip archive."""
    archives: list[ZipArchive] = []

    def run(content: bytes) -> ZipArchive:
        place = tmp_path / "archive.zip"
        place.write_bytes(content)
        archives.append(ZipArchive(place, "archive.zip"))
        return archives[-1]

    yield run
    for archive in archives:
        archive.__exit__()
