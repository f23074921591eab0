"""METADATA out of a wheel that is on the disk.

Standard: binary distribution format.
"""

from __future__ import annotations

import re
import zlib
from pathlib import Path

from envforge.errors import MetadataError
from envforge.metadata.core import parse_core_metadata
from envforge.model.release import CoreMetadata

_METADATA = r"[^/]+\.dist-info/METADATA"
_LARGEST_BYTES = 16 << 20


def read_wheel_file(archive: Path, filename: str) -> CoreMetadata:
    """The metadata of a wheel.

    Args:
        archive: the file.
        filename: what it is called.

    Raises:
        MetadataError: it is no wheel, or what it says cannot be used.
    """
    from zipfile import BadZipFile, ZipFile

    try:
        with ZipFile(archive) as zipped:
            found = [entry for entry in zipped.infolist() if re.fullmatch(_METADATA, entry.filename)]
            if len(found) == 1 and found[0].file_size <= _LARGEST_BYTES:
                return parse_core_metadata(zipped.read(found[0]), filename)
    except (BadZipFile, OSError, EOFError, zlib.error, NotImplementedError, RuntimeError) as error:
        raise MetadataError(f"{filename} is damaged", context=[str(error)]) from None
    raise MetadataError(f"{filename} is no wheel", context=["it has no METADATA in a .dist-info folder"])
