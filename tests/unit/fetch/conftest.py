"""A folder to unpack into, and an archive on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path

import pytest

from envforge.fetch.sources import FileSource
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
        with FileSource(archive) as source:
            return unpack_wheel(
                source,
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
    with ExitStack() as stack:

        def run(content: bytes) -> ZipArchive:
            place = tmp_path / "archive.zip"
            place.write_bytes(content)
            return ZipArchive(stack.enter_context(FileSource(place)), "archive.zip")

        yield run
