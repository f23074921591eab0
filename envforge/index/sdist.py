"""What a source distribution says about itself, without unpacking or building it.

Standards: PEP 625 (layout), PEP 643 (static metadata), PEP 621 (the project table). A build is somebody
else's business.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

from envforge.errors import MetadataError
from envforge.manifest.folders import stated_metadata
from envforge.metadata.core import parse_core_metadata, sdist_metadata_is_static
from envforge.model.release import CoreMetadata

_LARGEST_BYTES = 16 << 20


def read_static_metadata(archive: Path, filename: str) -> CoreMetadata | None:
    """What an sdist says about itself, None if only a build can tell.

    Args:
        archive: the downloaded file.
        filename: its name on the index, which tells the kind of archive.

    Raises:
        MetadataError: the archive is damaged, or its PKG-INFO is. What is not static is not read.
    """
    try:
        files = _zip_files(archive) if filename.endswith(".zip") else _tar_files(archive)
        return _first_static(files, filename)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise _damaged(filename, error) from None
    except Exception as error:
        if type(error).__module__ not in ("tarfile", "zipfile", "lzma", "_lzma"):
            raise
        raise _damaged(filename, error) from None


def _first_static(files: Iterator[tuple[str, bytes]], filename: str) -> CoreMetadata | None:
    """What PKG-INFO says if nothing in it is dynamic, else what the project table states."""
    stated: CoreMetadata | None = None
    for name, content in files:
        if name == "pyproject.toml":
            stated = stated_metadata(content)
        elif sdist_metadata_is_static(content):
            return parse_core_metadata(content, filename)
    return stated


def _tar_files(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Those of the top folder that may tell: name and content."""
    import tarfile

    with tarfile.open(archive) as tar:
        for member in tar:
            name = _telling_name(member.name)
            if name and member.isfile() and member.size <= _LARGEST_BYTES:
                file = tar.extractfile(member)
                if file is not None:
                    yield name, file.read()


def _zip_files(archive: Path) -> Iterator[tuple[str, bytes]]:
    from zipfile import ZipFile

    with ZipFile(archive) as zipped:
        for entry in zipped.infolist():
            name = _telling_name(entry.filename)
            if name and entry.file_size <= _LARGEST_BYTES:
                yield name, zipped.read(entry)


def _telling_name(path: str) -> str:
    folder, _, rest = path.removeprefix("./").partition("/")
    return rest if folder and rest in ("PKG-INFO", "pyproject.toml") else ""


def _damaged(filename: str, error: Exception) -> MetadataError:
    return MetadataError(
        f"{filename} is damaged: {error or type(error).__name__}",
        hints=["use another version, or tell the project that made it"],
    )
