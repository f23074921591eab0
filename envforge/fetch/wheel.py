"""A wheel before it is unpacked: where each entry goes, and whether it says the truth about itself.

Standards: the binary distribution format 1.x (PEP 427, PEP 491), entry points, core metadata's Name
and Version. Nothing is written here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from envforge.errors import ArchiveError
from envforge.fetch.archive_names import find_clash, name_problem
from envforge.fetch.record import RecordRow, parse_record
from envforge.fetch.zip_archive import ZipArchive, ZipEntry, refused
from envforge.metadata.versions import is_release
from envforge.model.names import normalize_name
from envforge.model.tree import EntryPoint
from envforge.struct import Struct

_CATEGORIES = {"purelib": "lib", "platlib": "lib", "scripts": "scripts", "data": "data", "headers": "headers"}
_SIGNATURES = ("RECORD.jws", "RECORD.p7s")
_LARGEST_METADATA_BYTES = 64 << 20
_ENTRY_POINT = re.compile(r"([\w.]+)\s*:\s*([\w.]+)\s*(\[.*\])?", re.ASCII)


class WheelFile(Struct, frozen=True, kw_only=True):
    """A file of a wheel.

    Args:
        entry: where it is in the archive.
        path: where it goes in the tree, ``lib/torch/__init__.py``.
        row: what RECORD says; None for RECORD itself and its signatures.
    """

    entry: ZipEntry
    path: str
    row: RecordRow | None


class Wheel(Struct, frozen=True, kw_only=True):
    """A wheel that may be unpacked.

    Args:
        files: in the order of the archive, without those that installing replaces (RECORD, INSTALLER).
        dist_info: name of its ``.dist-info`` folder.
        entry_points: console and GUI scripts, by name.
    """

    files: Sequence[WheelFile]
    dist_info: str
    entry_points: tuple[EntryPoint, ...]


def read_wheel(archive: ZipArchive, name: str, version: str) -> Wheel:
    """Check everything about a wheel that can be checked without unpacking it.

    Args:
        archive: the open wheel.
        name: normalized name that it has to have.
        version: canonical version that it has to have, see :func:`envforge.metadata.versions.is_release`.

    Raises:
        ArchiveError: the wheel is refused; the error names the entry.
    """
    filename = archive.filename
    _check_names(filename, archive.entries)
    entries = {entry.name: entry for entry in archive.entries if not entry.is_folder}
    dist_info = _find_dist_info(filename, entries, name, version)
    _check_metadata(archive, entries, dist_info, name, version)
    rows = parse_record(filename, _read_text(archive, entries, f"{dist_info}/RECORD"))
    unsigned = {f"{dist_info}/{signature}" for signature in ("RECORD", *_SIGNATURES)}
    _check_record(filename, entries, rows, unsigned)
    replaced = {f"{dist_info}/RECORD", f"{dist_info}/INSTALLER"}
    files = [
        WheelFile(
            entry=entry,
            path=_destination(filename, path, dist_info),
            row=None if path in unsigned else rows[path],
        )
        for path, entry in entries.items()
        if path not in replaced
    ]
    clash = find_clash(file.path for file in files)
    if clash:
        raise _clashing(filename, *clash)
    return Wheel(
        files=files, dist_info=dist_info, entry_points=_read_entry_points(archive, entries, dist_info)
    )


def _check_names(filename: str, entries: Sequence[ZipEntry]) -> None:
    """Refuse names that leave the tree or that two systems read differently."""
    for entry in entries:
        problem = name_problem(entry.name)
        if problem:
            raise refused(filename, f"an entry has {problem}", entry.name)
    clash = find_clash(
        (entry.name for entry in entries if not entry.is_folder),
        (entry.name.removesuffix("/") for entry in entries if entry.is_folder),
    )
    if clash:
        raise _clashing(filename, *clash)


def _clashing(filename: str, later: str, earlier: str) -> ArchiveError:
    if later == earlier:
        return refused(filename, "two entries have one name", later)
    return refused(filename, f"an entry would overwrite {earlier!r} on some systems", later)


def _find_dist_info(filename: str, entries: Mapping[str, ZipEntry], name: str, version: str) -> str:
    """The one ``.dist-info`` folder, which must be the expected distribution's."""
    tops = {path.partition("/")[0] for path in entries if "/" in path}
    found = sorted(top for top in tops if top.lower().endswith(".dist-info"))
    if len(found) != 1:
        raise refused(filename, f"it has {len(found)} .dist-info folders", ", ".join(found))
    stem_name, _, stem_version = found[0][: -len(".dist-info")].rpartition("-")
    _check_identity(filename, "its .dist-info folder is for", (stem_name, stem_version), (name, version))
    return found[0]


def _check_identity(filename: str, says: str, found: tuple[str, str], expected: tuple[str, str]) -> None:
    """Refuse a wheel that is another distribution than the one asked for."""
    if normalize_name(found[0]) != expected[0] or not is_release(found[1], expected[1]):
        raise refused(filename, f"{says} {found[0]} {found[1]}, not {expected[0]} {expected[1]}")


def _check_metadata(
    archive: ZipArchive, entries: Mapping[str, ZipEntry], dist_info: str, name: str, version: str
) -> None:
    """Compare WHEEL and METADATA with what this envforge knows and asked for."""
    wheel = _headers(_read_text(archive, entries, f"{dist_info}/WHEEL"))
    stated = wheel.get("wheel-version", "")
    major = stated.partition(".")[0]
    if not major.isdecimal():
        raise refused(
            archive.filename, f"WHEEL has no valid Wheel-Version ({stated!r})", f"{dist_info}/WHEEL"
        )
    if int(major) > 1:
        raise ArchiveError(
            f"{archive.filename} is of wheel format {stated}, this envforge knows 1.x",
            hints=["upgrade envforge, or use an earlier version of the package"],
        )
    metadata = _headers(_read_text(archive, entries, f"{dist_info}/METADATA"))
    found = (metadata.get("name", ""), metadata.get("version", ""))
    _check_identity(archive.filename, "its METADATA is for", found, (name, version))


def _headers(text: str) -> dict[str, str]:
    """The headers of a file like an e-mail, keys in lower case, continuation lines left out."""
    headers: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip():
            break
        key, separator, value = line.partition(":")
        if separator and not line[0].isspace():
            headers.setdefault(key.strip().lower(), value.strip())
    return headers


def _read_text(archive: ZipArchive, entries: Mapping[str, ZipEntry], path: str) -> str:
    """The text of a file that every wheel must have."""
    entry = entries.get(path)
    if entry is None:
        raise refused(archive.filename, f"it has no {path.rpartition('/')[2]}", path)
    if entry.size_bytes > _LARGEST_METADATA_BYTES:
        raise refused(archive.filename, f"a metadata file has {entry.size_bytes} bytes", path)
    try:
        return archive.read(entry).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise refused(archive.filename, "a metadata file is not UTF-8", path) from None


def _check_record(
    filename: str, entries: Mapping[str, ZipEntry], rows: Mapping[str, RecordRow], unsigned: set[str]
) -> None:
    """Refuse files that RECORD does not know, and rows without file, digest or the right length."""
    for path in sorted(rows.keys() - entries.keys() - unsigned):
        raise refused(filename, "RECORD lists a file that is not there", path)
    for path, entry in entries.items():
        if path in unsigned:
            continue
        row = rows.get(path)
        if row is None:
            raise refused(filename, "RECORD does not list a file", path)
        if not row.algorithm:
            raise refused(filename, "RECORD has no digest for a file", path)
        if row.size_bytes not in (None, entry.size_bytes):
            raise refused(filename, "a file has not the length that RECORD says", path)


def _destination(filename: str, path: str, dist_info: str) -> str:
    """Where an entry goes in the tree."""
    top, _, rest = path.partition("/")
    if not top.endswith(".data") or not rest or not _same_stem(top, dist_info):
        return f"lib/{path}"
    category, _, inner = rest.partition("/")
    part = _CATEGORIES.get(category)
    if part is None or not inner:
        known = ", ".join(_CATEGORIES)
        raise refused(filename, f"an entry is of no known category ({known})", path)
    if part == "scripts" and "/" in inner:
        raise refused(filename, "a script is in a folder", path)
    return f"{part}/{inner}"


def _same_stem(data: str, dist_info: str) -> bool:
    """Whether a ``.data`` folder is this distribution's; builders normalise the two differently."""
    ours = dist_info[: -len(".dist-info")]
    theirs = data[: -len(".data")]
    return theirs == ours or normalize_name(theirs) == normalize_name(ours)


def _read_entry_points(
    archive: ZipArchive, entries: Mapping[str, ZipEntry], dist_info: str
) -> tuple[EntryPoint, ...]:
    """The scripts that ``entry_points.txt`` asks for, by name."""
    path = f"{dist_info}/entry_points.txt"
    if path not in entries:
        return ()
    from configparser import ConfigParser, Error

    text = _read_text(archive, entries, path)
    parser = ConfigParser(delimiters=("=",), interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(text)
    except Error as error:
        raise refused(archive.filename, f"its entry points cannot be read ({error})", path) from None
    points: dict[str, EntryPoint] = {}
    for section, gui in (("console_scripts", False), ("gui_scripts", True)):
        for name, value in parser.items(section) if parser.has_section(section) else ():
            points[name] = _parse_entry_point(archive.filename, name, value, gui)
    return tuple(points[name] for name in sorted(points))


def _parse_entry_point(filename: str, name: str, value: str, gui: bool) -> EntryPoint:
    """One script; its name becomes a file name, so it is checked like one."""
    match = _ENTRY_POINT.fullmatch(value.strip())
    parts = [part for text in match.group(1, 2) for part in text.split(".")] if match else [""]
    if match is None or not all(part.isidentifier() for part in parts):
        raise refused(filename, f"the entry point {name!r} is not module:attribute", value)
    if "/" in name or name_problem(name) or not name.isprintable():
        raise refused(filename, "the name of an entry point is no file name", name)
    return EntryPoint(name=name, module=match.group(1), attribute=match.group(2), gui=gui)
