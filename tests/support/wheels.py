"""Wheels built in memory: honest ones with zipfile, hostile ones byte by byte."""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile
import zlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


def record_hash(content: bytes, algorithm: str = "sha256") -> str:
    digest = hashlib.new(algorithm, content).digest()
    return f"{algorithm}={urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def wheel_files(
    name: str = "demo",
    version: str = "1.0",
    files: Mapping[str, bytes] | None = None,
    *,
    wheel_version: str = "1.0",
    record: str | None = None,
    algorithm: str = "sha256",
) -> dict[str, bytes]:
    """Everything in a wheel, RECORD last; a file given as one of the metadata files replaces it."""
    home = f"{name}-{version}.dist-info"
    content = {
        **(files if files is not None else {f"{name}/__init__.py": b"x = 1\n"}),
    }
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    wheel = f"Wheel-Version: {wheel_version}\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    content.setdefault(f"{home}/METADATA", metadata.encode())
    content.setdefault(f"{home}/WHEEL", wheel.encode())
    if record is None:
        rows = [
            f"{_quoted(path)},{record_hash(data, algorithm)},{len(data)}" for path, data in content.items()
        ]
        record = "\n".join([*rows, f"{home}/RECORD,,", ""])
    content[f"{home}/RECORD"] = record.encode()
    return content


def _quoted(path: str) -> str:
    return '"' + path.replace('"', '""') + '"' if any(letter in path for letter in ',"\n') else path


def zip_bytes(content: Mapping[str, bytes], modes: Mapping[str, int] | None = None) -> bytes:
    """An honest zip archive, deflated."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in content.items():
            info = zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0))
            info.external_attr = (0o100000 | (modes or {}).get(path, 0o644)) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return out.getvalue()


def wheel_bytes(
    name: str = "demo", version: str = "1.0", files: Mapping[str, bytes] | None = None, **options: str
) -> bytes:
    return zip_bytes(wheel_files(name, version, files, **options))


_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR64 = struct.Struct("<4sLQL")
_END = struct.Struct("<4s4H2LH")


@dataclass(kw_only=True)
class RawEntry:
    """An entry of which every field can lie; ``None`` means the truth."""

    name: bytes
    data: bytes = b""
    method: int = 8
    flags: int = 0
    mode: int = 0o100644
    payload: bytes | None = None
    size: int | None = None
    compressed: int | None = None
    crc: int | None = None
    offset: int | None = None
    local_name: bytes | None = None
    local_size: int | None = None
    local_method: int | None = None
    extra: bytes = b""
    local_extra: bytes = b""
    descriptor: bytes = b""
    zero_local: bool = False

    def body(self) -> bytes:
        if self.payload is not None:
            return self.payload
        if self.method != 8:
            return self.data
        deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
        return deflate.compress(self.data) + deflate.flush()


@dataclass(kw_only=True)
class RawZip:
    """A zip archive written by hand."""

    entries: Sequence[RawEntry]
    prefix: bytes = b""
    suffix: bytes = b""
    comment: bytes = b""
    count: int | None = None
    zip64: bool = False
    gap: bytes = b""
    shift: int = field(default=0)

    def build(self) -> bytes:
        out = bytearray(self.prefix)
        rows = bytearray()
        for entry in self.entries:
            body = entry.body()
            offset = len(out) - self.shift if entry.offset is None else entry.offset
            size = len(entry.data) if entry.size is None else entry.size
            compressed = len(body) if entry.compressed is None else entry.compressed
            crc = zlib.crc32(entry.data) if entry.crc is None else entry.crc
            local_name = entry.name if entry.local_name is None else entry.local_name
            method = entry.method if entry.local_method is None else entry.local_method
            local_size = size if entry.local_size is None else entry.local_size
            facts = (0, 0, 0) if entry.zero_local else (crc, compressed, local_size)
            out += _LOCAL.pack(
                b"PK\x03\x04", 20, entry.flags, method, 0, 33, *facts, len(local_name), len(entry.local_extra)
            )
            out += local_name + entry.local_extra + body + entry.descriptor + self.gap
            rows += _CENTRAL.pack(
                b"PK\x01\x02", 0x0314, 20, entry.flags, entry.method, 0, 33, crc, compressed, size,
                len(entry.name), len(entry.extra), 0, 0, 0, entry.mode << 16, offset,
            )  # fmt: skip
            rows += entry.name + entry.extra
        at = len(out)
        count = len(self.entries) if self.count is None else self.count
        out += rows
        if self.zip64:
            end = len(out)
            out += _END64.pack(b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, len(rows), at)
            out += _LOCATOR64.pack(b"PK\x06\x07", 0, end, 1)
            count = 0xFFFF
        at, length = (0xFFFFFFFF, 0xFFFFFFFF) if self.zip64 else (at, len(rows))
        out += _END.pack(b"PK\x05\x06", 0, 0, count, count, length, at, len(self.comment))
        return bytes(out) + self.comment + self.suffix


def raw_wheel(*extra: RawEntry, **options: object) -> bytes:
    """A wheel that is right but for some entries of its own (put after the honest ones)."""
    honest = [RawEntry(name=path.encode(), data=data) for path, data in wheel_files().items()]
    return RawZip(entries=[*honest, *extra], **options).build()  # type: ignore[arg-type]
