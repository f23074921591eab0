"""Unpacks an sdist so that nothing leaves its folder and nothing fills the disk.

Standards: source distribution format, PEP 625, PEP 721. tarfile's own ``data`` filter is not relied on:
early patches of Python 3.11 lack it, and it has been got round through chains of links. Links whose way
leads through other links are refused here, so that looking at names is enough.
"""

from __future__ import annotations

import os
import posixpath
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from envforge.errors import ArchiveError
from envforge.struct import Struct

if TYPE_CHECKING:
    import tarfile
    import zipfile

MAX_SIZE_BYTES = 8 * 1024**3
MAX_FILES = 500_000
_CHUNK_BYTES = 1024 * 1024


class _Entry(Struct, frozen=True):
    """A member of an archive. ``kind``: folder, file, symlink, hardlink, or what it is otherwise."""

    name: str
    kind: str
    size_bytes: int = 0
    target: str = ""
    executable: bool = False
    mtime: float | None = None


def unpack_sdist(
    archive: Path,
    destination: Path,
    *,
    subdirectory: str = "",
    max_size_bytes: int = MAX_SIZE_BYTES,
    max_files: int = MAX_FILES,
) -> Path:
    """Unpack an sdist into ``destination`` and return the project's folder in it, complete or absent.

    Args:
        archive: ``.tar.gz`` (also ``.bz2``, ``.xz``) or ``.zip``; what it is shows in its content.
        destination: is created; must not hold a folder of that name yet.
        subdirectory: where the project is in its one top folder, ``""`` for that itself.
        max_size_bytes: of all unpacked files together.
        max_files: members altogether.

    Raises:
        ArchiveError: it is damaged, too large, not an sdist, or tries to leave its folder; also if it
            cannot be read or written out. Nothing of it is left then.
    """
    import tempfile

    try:
        destination.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=".sdist-", dir=destination))
    except OSError as error:
        raise ArchiveError(f"{destination} cannot be written", context=[str(error)]) from error
    try:
        _Unpacker(archive.name, aside, max_size_bytes, max_files).unpack(archive)
        return _publish(archive.name, aside, destination, subdirectory)
    except OSError as error:
        raise ArchiveError(f"{archive.name} cannot be unpacked", context=[str(error)]) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


class _Unpacker:
    """Writes checked members below ``root``."""

    def __init__(self, filename: str, root: Path, max_size_bytes: int, max_files: int) -> None:
        self._filename = filename
        self._root = root
        self._max_size_bytes = max_size_bytes
        self._max_files = max_files
        self._size_bytes = 0
        self._count = 0
        self._kinds: dict[str, str] = {}
        self._mtimes: list[tuple[Path, float]] = []

    def unpack(self, archive: Path) -> None:
        import gzip
        import lzma
        import tarfile
        import zipfile
        import zlib

        try:
            if zipfile.is_zipfile(archive):
                with zipfile.ZipFile(archive) as zipped:
                    self._unpack_zip(zipped)
            else:
                with tarfile.open(archive) as tarred:
                    self._unpack_tar(tarred)
        except (
            *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError),
            *(gzip.BadGzipFile, EOFError, UnicodeError, NotImplementedError, RuntimeError),
        ) as error:
            raise ArchiveError(f"{self._filename} is damaged", context=[str(error)]) from error
        for path, mtime in self._mtimes:
            os.utime(path, (mtime, mtime))

    def _unpack_tar(self, archive: tarfile.TarFile) -> None:
        for member in archive:
            entry = _Entry(
                name=member.name,
                kind=_tar_kind(member),
                size_bytes=member.size,
                target=member.linkname,
                executable=bool(member.mode & 0o111),
                mtime=member.mtime,
            )
            self._take(entry, archive.extractfile(member) if member.isreg() else None)

    def _unpack_zip(self, archive: zipfile.ZipFile) -> None:
        for member in archive.infolist():
            mode = member.external_attr >> 16
            kind = "folder" if member.is_dir() else "symlink" if stat.S_ISLNK(mode) else "file"
            entry = _Entry(
                name=member.filename.rstrip("/"),
                kind="a symlink in a zip file" if kind == "symlink" else kind,
                size_bytes=member.file_size,
                executable=bool(mode & 0o111),
            )
            if kind == "file":
                with archive.open(member) as content:
                    self._take(entry, content)
            else:
                self._take(entry, None)

    def _take(self, entry: _Entry, content: IO[bytes] | None) -> None:
        """Check a member and write it."""
        self._count_in(entry)
        name = posixpath.normpath(entry.name)
        if fault := self._fault(entry, name):
            raise ArchiveError(
                f"{self._filename} has a member that must not be unpacked",
                context=[f"{entry.name!r}: {fault}"],
                hints=["do not trust this file; report it to the project or the index"],
            )
        if name == ".":
            return
        self._kinds[name] = entry.kind
        for parent in _parents(name):
            self._kinds.setdefault(parent, "folder")
        self._write(entry, self._root / name, content)

    def _count_in(self, entry: _Entry) -> None:
        self._count += 1
        self._size_bytes += entry.size_bytes
        if self._count > self._max_files or self._size_bytes > self._max_size_bytes:
            raise ArchiveError(
                f"{self._filename} unpacks to more than an sdist should",
                context=[f"{self._count:,} members, {self._size_bytes:,} bytes as far as {entry.name!r}"],
            )

    def _fault(self, entry: _Entry, name: str) -> str:
        if reason := _name_fault(entry.name):
            return reason
        if any(self._kinds.get(parent, "folder") != "folder" for parent in _parents(name)):
            return "it lies below something that is no folder"
        before = self._kinds.get(name)
        if before is not None and (before, entry.kind) not in (("folder", "folder"), ("file", "file")):
            return f"there is already a {before} of this name"
        if entry.kind == "symlink":
            return self._symlink_fault(name, entry.target)
        if entry.kind == "hardlink":
            target = posixpath.normpath(entry.target)
            return "" if self._kinds.get(target) == "file" else f"it links to {entry.target!r}, not in here"
        return "" if entry.kind in ("file", "folder") else f"it is {entry.kind}"

    def _symlink_fault(self, name: str, target: str) -> str:
        """Ways up may only come first: there they leave real folders, whatever other links there are."""
        if reason := _name_fault(target, may_go_up=True):
            return f"it links to {target!r}: {reason}"
        parts = [part for part in target.split("/") if part not in ("", ".")]
        ups = sum(part == ".." for part in parts)
        top_depth = name.count("/") - 1  # of the folder it stands in, below the top folder
        if ups > top_depth or ".." in parts[ups:]:
            return f"it links to {target!r}, out of the top folder"
        return ""

    def _write(self, entry: _Entry, path: Path, content: IO[bytes] | None) -> None:
        if entry.kind == "folder":
            path.mkdir(parents=True, exist_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        if entry.kind == "symlink":
            path.symlink_to(entry.target)
        elif entry.kind == "hardlink":
            shutil.copy2(self._root / posixpath.normpath(entry.target), path)
        elif content is not None:
            with path.open("wb") as file:
                shutil.copyfileobj(content, file, _CHUNK_BYTES)
            if path.stat().st_size != entry.size_bytes:
                raise ArchiveError(f"{self._filename} is damaged", context=[f"{entry.name!r} is cut short"])
            path.chmod(0o755 if entry.executable else 0o644)
            if entry.mtime is not None:
                # Builds compare times: a generated source must not look older than what it is made of.
                self._mtimes.append((path, entry.mtime))


def _publish(filename: str, aside: Path, destination: Path, subdirectory: str) -> Path:
    tops = sorted(aside.iterdir())
    if len(tops) != 1 or not tops[0].is_dir() or tops[0].is_symlink():
        names = ", ".join(top.name for top in tops[:5]) or "nothing"
        raise ArchiveError(
            f"{filename} is no sdist: it has to have exactly one top folder", context=[f"it has {names}"]
        )
    [top] = tops
    if not any((top / subdirectory / name).is_file() for name in ("pyproject.toml", "setup.py")):
        where = "/".join(filter(None, (top.name, subdirectory)))
        raise ArchiveError(f"{filename} is no sdist: neither pyproject.toml nor setup.py is in {where}")
    return top.rename(destination / top.name) / subdirectory


def _tar_kind(member: tarfile.TarInfo) -> str:
    if member.isdir():
        return "folder"
    if member.isreg():
        return "file"
    if member.issym():
        return "symlink"
    return "hardlink" if member.islnk() else "a device or a pipe"


def _name_fault(name: str, *, may_go_up: bool = False) -> str:
    """Why a name must not be used below a folder, ``""`` if it may."""
    if not name or "\0" in name:
        return "it has no usable name"
    if name.startswith("/") or "\\" in name or (len(name) > 1 and name[1] == ":"):
        return "its name is absolute or not written with /"
    if not may_go_up and ".." in name.split("/"):
        return "its name leads upwards"
    return ""


def _parents(name: str) -> Iterator[str]:
    while name := posixpath.dirname(name):
        yield name
