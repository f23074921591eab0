"""From a wheel to a staged tree: every file checked on its way, nothing written that is refused.

The tree's ``.dist-info`` gets INSTALLER and a RECORD as installed on POSIX systems, so that
``importlib.metadata.files()`` is right. Headers are not in that RECORD: their place depends on the
Python, a tree does not.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from hashlib import new as new_hash
from hashlib import sha256
from pathlib import Path

from envforge.fetch.record import format_record
from envforge.fetch.sources import Source, StreamSource
from envforge.fetch.wheel import Wheel, WheelFile, read_wheel
from envforge.fetch.writing import FileWriter
from envforge.fetch.zip_archive import ZipArchive, refused
from envforge.model.tree import Tree
from envforge.model.writing import BUFFERED, WriteStrategy
from envforge.store.couplings import find_couplings
from envforge.store.failures import store_failures
from envforge.store.layout import PARTS, StoredFile, tree_id
from envforge.store.sealing import file_mode

_INSTALLER = b"envforge\n"
_TO_ROOT = "../../.."


def unpack_wheel(
    source: Source,
    staged: Path,
    *,
    filename: str,
    archive_sha256: str,
    name: str,
    version: str,
    check: Callable[[], None] = lambda: None,
    strategy: WriteStrategy = BUFFERED,
) -> tuple[Tree, list[StoredFile]]:
    """Unpack a wheel into an empty folder.

    A source that flows is read from its beginning to the end of its last entry; whether it is the right
    archive is for the caller to find out before the tree is used.

    Args:
        source: the wheel.
        staged: an empty folder of the store.
        filename: the wheel's name, for errors.
        archive_sha256: its digest, which becomes the tree's identity.
        name: normalized name that it has to have.
        version: canonical version that it has to have.
        check: called between files; raises to stop.
        strategy: how to write.

    Returns:
        The tree's summary and all its files, as :meth:`envforge.store.store.Store.publish_tree` wants them.

    Raises:
        ArchiveError: the wheel is refused, the error names the entry.
        StoreError: the store cannot be written.
        NotStreamableError: see :class:`StreamSource`.
    """
    with store_failures(staged, f"unpack {filename}"), FileWriter(strategy) as writer:
        archive = ZipArchive(source, filename)
        wheel = read_wheel(archive, name, version)
        _make_folders(staged, wheel)
        if isinstance(source, StreamSource):
            source.flow()
        files: list[StoredFile] = []
        for file in wheel.files:
            check()
            files.append(_write_file(archive, file, staged, writer))
        files += _write_installed(staged, wheel, files)
        couplings = find_couplings(staged / "lib", _libraries(files))
        return _summarize(wheel, files, couplings, archive_sha256, name, version), files


def _make_folders(staged: Path, wheel: Wheel) -> None:
    """Make all folders of the tree, parents first."""
    folders = {"lib", f"lib/{wheel.dist_info}"}
    for file in wheel.files:
        folder = file.path.rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    for folder in sorted(folders):
        os.mkdir(f"{staged}/{folder}")


def _write_file(archive: ZipArchive, file: WheelFile, staged: Path, writer: FileWriter) -> StoredFile:
    """Write one file, hashing it on its way, and compare with RECORD."""
    entry, row = file.entry, file.row
    executable = entry.executable or file.path.startswith("scripts/")
    digest = sha256()
    other = None if row is None or row.algorithm == "sha256" else new_hash(row.algorithm)
    with writer.create(f"{staged}/{file.path}", entry.size_bytes, file_mode(executable)) as target:
        for piece in archive.pieces(entry):
            digest.update(piece)
            if other is not None:
                other.update(piece)
            target.write(piece)
    if row is not None and (other or digest).digest() != row.digest:
        raise refused(archive.filename, "a file has not the digest that RECORD says", entry.name)
    return StoredFile(file.path, entry.size_bytes, digest.hexdigest(), executable)


def _write_installed(staged: Path, wheel: Wheel, files: Sequence[StoredFile]) -> list[StoredFile]:
    """Write INSTALLER and RECORD."""
    home = f"lib/{wheel.dist_info}"
    installer = _write_new(staged, f"{home}/INSTALLER", _INSTALLER)
    names = {point.name for point in wheel.entry_points}
    names |= {file.path.removeprefix("scripts/") for file in files if file.path.startswith("scripts/")}
    rows = [
        (_installed_path(file.path), file.sha256, file.size_bytes)
        for file in (*files, installer)
        if file.path.startswith(("lib/", "data/"))
    ]
    unhashed = [f"{_TO_ROOT}/bin/{name}" for name in names] + [f"{wheel.dist_info}/RECORD"]
    text = format_record(rows, unhashed)
    return [installer, _write_new(staged, f"{home}/RECORD", text.encode())]


def _installed_path(path: str) -> str:
    """Where a file of the tree is, seen from site-packages."""
    part, _, rest = path.partition("/")
    return rest if part == "lib" else f"{_TO_ROOT}/{rest}"


def _write_new(staged: Path, path: str, content: bytes) -> StoredFile:
    with open(f"{staged}/{path}", "xb", opener=_sealed) as file:
        file.write(content)
    return StoredFile(path, len(content), sha256(content).hexdigest(), False)


def _sealed(path: str, flags: int) -> int:
    return os.open(path, flags, file_mode(False))


def _libraries(files: Iterable[StoredFile]) -> list[str]:
    """Paths below ``lib/`` that are shared objects by their name."""
    return [
        file.path.removeprefix("lib/")
        for file in files
        if file.path.startswith("lib/") and (file.path.endswith(".so") or ".so." in file.path)
    ]


def _summarize(
    wheel: Wheel,
    files: Sequence[StoredFile],
    couplings: tuple[str, ...],
    archive_sha256: str,
    name: str,
    version: str,
) -> Tree:
    """The tree's summary."""
    top_level: dict[str, str] = {}
    parts: dict[str, list[str]] = {part: [] for part in PARTS}
    for file in files:
        part, _, rest = file.path.partition("/")
        parts[part].append(rest)
        if part == "lib":
            top, below, _ = rest.partition("/")
            top_level[top] = "d" if below else "f"
    return Tree(
        id=tree_id(archive_sha256),
        sha256=archive_sha256,
        name=name,
        version=version,
        top_level=dict(sorted(top_level.items())),
        entry_points=wheel.entry_points,
        scripts=tuple(sorted(parts["scripts"])),
        data=tuple(sorted(parts["data"])),
        headers=tuple(sorted(parts["headers"])),
        couplings=couplings,
        file_count=len(files),
        size_bytes=sum(file.size_bytes for file in files),
    )
