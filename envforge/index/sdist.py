"""PKG-INFO out of a source distribution, without unpacking it.

Standards: PEP 625 (layout), PEP 643 (static metadata). A build is somebody else's business.
"""

from __future__ import annotations

import zlib
from pathlib import Path

from envforge.errors import MetadataError
from envforge.metadata.core import parse_core_metadata, sdist_metadata_is_static
from envforge.model.release import CoreMetadata

_LARGEST_BYTES = 16 << 20


def read_static_metadata(archive: Path, filename: str) -> CoreMetadata | None:
    """What an sdist says about itself, None if only a build can tell.

    Args:
        archive: the downloaded file.
        filename: its name on the index, which tells the kind of archive.

    Raises:
        MetadataError: the archive is damaged, or its PKG-INFO is.
    """
    try:
        content = _read_zip(archive) if filename.endswith(".zip") else _read_tar(archive)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise _damaged(filename, error) from None
    except Exception as error:
        if type(error).__module__ not in ("tarfile", "zipfile", "lzma", "_lzma"):
            raise
        raise _damaged(filename, error) from None
    if content is None or not sdist_metadata_is_static(content):
        return None
    return parse_core_metadata(content, filename)


def _is_pkg_info(name: str) -> bool:
    folder, _, rest = name.removeprefix("./").partition("/")
    return bool(folder) and rest == "PKG-INFO"


def _read_tar(archive: Path) -> bytes | None:
    import tarfile

    with tarfile.open(archive) as tar:
        for member in tar:
            if _is_pkg_info(member.name) and member.isfile() and member.size <= _LARGEST_BYTES:
                file = tar.extractfile(member)
                return file.read() if file else None
    return None


def _read_zip(archive: Path) -> bytes | None:
    from zipfile import ZipFile

    with ZipFile(archive) as zipped:
        for entry in zipped.infolist():
            if _is_pkg_info(entry.filename) and entry.file_size <= _LARGEST_BYTES:
                return zipped.read(entry)
    return None


def _damaged(filename: str, error: Exception) -> MetadataError:
    return MetadataError(
        f"{filename} is damaged: {error or type(error).__name__}",
        hints=["use another version, or tell the project that made it"],
    )
