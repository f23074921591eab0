"""A folder to unpack into, and an archive on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from envforge.fetch.sources import FileSource, MemorySource, Source, StreamSource
from envforge.fetch.unpack import unpack_wheel
from envforge.fetch.zip_archive import ZipArchive
from envforge.model.tree import Tree
from envforge.store.layout import StoredFile
from envforge.store.sealing import remove_sealed

from support.streams import arriving

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


@pytest.fixture(params=["from a file", "from memory", "as it arrives"])
def unpack(request: pytest.FixtureRequest, tmp_path: Path, staged: Path) -> Unpack:
    """Unpack the bytes of a wheel, from wherever they come; it must be demo 1.0 unless told otherwise."""

    def run(content: bytes, name: str = "demo", version: str = "1.0") -> tuple[Tree, list[StoredFile]]:
        with source_of(content, request.param, tmp_path / "archive.whl") as source:
            return unpack_wheel(
                source,
                staged,
                filename=FILENAME,
                archive_sha256=sha256(content).hexdigest(),
                name=name,
                version=version,
            )

    return run


@pytest.fixture(params=["from a file", "as it arrives"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[bytes], ZipArchive]]:
    """Open the bytes of a zip archive; its entries are read in their order."""
    with ExitStack() as stack:

        def run(content: bytes) -> ZipArchive:
            source = stack.enter_context(source_of(content, request.param, tmp_path / "archive.zip"))
            archive = ZipArchive(source, "archive.zip")
            if isinstance(source, StreamSource):
                source.flow()
            return archive

        yield run


@contextmanager
def source_of(content: bytes, kind: str, place: Path) -> Iterator[Source]:
    """The same bytes as a file, in memory, or in pieces that end anywhere."""
    if kind == "from a file":
        place.write_bytes(content)
        with FileSource(place) as source:
            yield source
    elif kind == "from memory":
        yield MemorySource(content)
    else:
        yield arriving(content, max(1, len(content) // 29))
