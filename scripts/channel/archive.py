"""Packages as archives: ``.conda`` (CEP 26: a stored zip of two tar.zst) and ``.tar.bz2``.

The Zstandard frames hold raw blocks (RFC 8878, 3.1.1.2.2): valid for every reader, made and read in no time,
and no library is needed to write them. Same package, same bytes.
"""

from __future__ import annotations

import bz2
import tarfile
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from .package import TIMESTAMP_MS, File, Package, info_files

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_BLOCK = 128 * 1024  # the most that a block may hold


def write_archive(package: Package, channel: Path) -> Path:
    """Put a package where it belongs in a channel."""
    content = _conda(package) if package.extension == ".conda" else _tar_bz2(package)
    path = channel / package.subdir / package.filename
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _conda(package: Package) -> bytes:
    parts = {
        "metadata.json": b'{"conda_pkg_format_version": 2}',
        f"pkg-{package.stem}.tar.zst": zstd_frame(_tar(package.files)),
        f"info-{package.stem}.tar.zst": zstd_frame(_tar(info_files(package))),
    }
    out = BytesIO()
    with ZipFile(out, "w", ZIP_STORED) as archive:
        for name, content in parts.items():
            archive.writestr(ZipInfo(name), content)
    return out.getvalue()


def _tar_bz2(package: Package) -> bytes:
    return bz2.compress(_tar({**info_files(package), **package.files}), 1)


def _tar(files: Mapping[str, File]) -> bytes:
    out = BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, file in files.items():
            entry = tarfile.TarInfo(path)
            entry.mtime = TIMESTAMP_MS // 1000
            entry.mode = 0o755 if file.executable else 0o644
            entry.size = len(file.content)
            if file.target:
                entry.type, entry.linkname = tarfile.SYMTYPE, file.target
            archive.addfile(entry, BytesIO(file.content))
    return out.getvalue()


def zstd_frame(content: bytes) -> bytes:
    """A Zstandard frame that holds some bytes as they are."""
    # Descriptor: eight bytes of content size. Window: 2**(10 + 7) = one block.
    header = b"\xc0" + bytes([7 << 3]) + len(content).to_bytes(8, "little")
    return b"".join([_ZSTD_MAGIC, header, *_raw_blocks(content)])


def _raw_blocks(content: bytes) -> Iterator[bytes]:
    for at in range(0, max(len(content), 1), _BLOCK):
        block = content[at : at + _BLOCK]
        last = at + _BLOCK >= len(content)
        yield (len(block) << 3 | last).to_bytes(3, "little")
        yield block
