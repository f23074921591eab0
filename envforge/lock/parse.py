"""Text to value. A lock is machine-written, but hands, merges and disks change it: every fault is told.

The format is described in :mod:`envforge.lock.schema`.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from envforge.errors import EnvforgeError, LockError
from envforge.lock.conda_records import read_record
from envforge.lock.consistency import find_faults
from envforge.lock.reading import Reader
from envforge.lock.schema import DIRECT_VERSION, VARIANT_VERSION, VERSION
from envforge.model.lock import Lock, LockedFile, LockedIndex, LockedPackage, LockedTarget
from envforge.model.target import SystemAssumptions, Target

if TYPE_CHECKING:
    from envforge.model.sources import Origin

_MOST_FAULTS = 10
_PYTHON = re.compile(r"\d+\.\d+(\.\d+)?", re.ASCII)
_SYSTEM_VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})", re.ASCII)
_CONFLICT_MARKER = re.compile(r"^(<{7}|\|{7}|={7}|>{7})([ \r]|$)", re.MULTILINE)


class LockConflictError(LockError):
    """The lock holds git's conflict markers."""


def parse_lock(text: str, path: str = "envforge.lock") -> Lock:
    """Read a lock.

    Args:
        text: the file's content.
        path: what errors call it.

    Raises:
        LockConflictError: it has conflict markers.
        LockError: it is no JSON, from a newer envforge, or not as it should be.
    """
    if has_conflict_markers(text):
        raise LockConflictError(f"{path} has git conflict markers", hints=["run: envforge lock"])
    lock, faults = read_document(text, path)
    faults = faults or find_faults(lock)
    if faults:
        raise _broken(path, faults)
    return lock


def has_conflict_markers(text: str) -> bool:
    """Whether git left conflict markers in a text, or a hand some of them."""
    # 400 KB: 0.4 ms for these searches, 1.7 ms for the expression alone.
    suspected = "<<<<<<<" in text or ">>>>>>>" in text or "=======" in text
    return suspected and _CONFLICT_MARKER.search(text) is not None


def read_document(text: str, path: str) -> tuple[Lock, list[str]]:
    """What a text says, as far as it has the right shape, and where it has not.

    Nothing is said about its consistency. With faults, the lock is of no use.

    Raises:
        LockError: it is no JSON object, or from a newer envforge.
    """
    reader = Reader()
    document = _parse_json(text, path, reader)
    version = document.get("version")
    if type(version) is int and version > DIRECT_VERSION:
        raise LockError(
            f"{path} was written by a newer envforge",
            context=[f"it has format {version}, this envforge knows {DIRECT_VERSION}"],
            hints=["upgrade envforge"],
        )
    if type(version) is not int or version < VERSION:  # True is 1, too
        reader.faults.append(f"version: has to be {VERSION}, {VARIANT_VERSION} or {DIRECT_VERSION}")
    lock = _read_lock(document, reader)
    if version == VERSION and any(target.target.variant for target in lock.targets):
        reader.faults.append(f"version: has to be {VARIANT_VERSION}, since there are variants")
    if version in (VERSION, VARIANT_VERSION) and any(each.origin for each in lock.packages.values()):
        reader.faults.append(f"version: has to be {DIRECT_VERSION}, since there are direct sources")
    return lock, reader.faults


def _parse_json(text: str, path: str, reader: Reader) -> dict[str, Any]:
    try:
        document = json.loads(text, object_pairs_hook=reader.without_repeats)
        if "\\u" in text:  # half of a surrogate pair is JSON, but can be neither shown nor written
            json.dumps(document, ensure_ascii=False).encode()
    except RecursionError:
        raise LockError(
            f"{path} is not a lock", context=["it is nested too deeply"], hints=_repair_hints(path)
        ) from None
    except ValueError as error:
        raise LockError(f"{path} is not JSON", context=[str(error)], hints=_repair_hints(path)) from None
    if not isinstance(document, dict):
        raise LockError(
            f"{path} is not a lock", context=["it has to be an object"], hints=_repair_hints(path)
        )
    return document


def _broken(path: str, faults: list[str]) -> LockError:
    shown = faults[:_MOST_FAULTS]
    if len(faults) > len(shown):
        shown.append(f"… and {len(faults) - len(shown)} more")
    return LockError(f"{path} is damaged", context=shown, hints=_repair_hints(path))


def _repair_hints(path: str) -> list[str]:
    return [f"restore it: git checkout -- {path}", f"or remove {path} and run: envforge lock"]


def _read_lock(document: dict[str, Any], reader: Reader) -> Lock:
    targets = [
        _read_target(table, f"targets[{number}].", reader)
        for number, table in enumerate(reader.tables(document, "targets", "", needed=True))
    ]
    return Lock(
        inputs=reader.text(document, "inputs", ""),
        exclude_newer=reader.text(document, "exclude-newer", "", needed=False),
        indexes=tuple(
            _read_index(table, f"indexes[{number}].", reader)
            for number, table in enumerate(reader.tables(document, "indexes", "", needed=False))
        ),
        targets=tuple(target for target in targets if target is not None),
        packages={
            package_id: _read_package(package_id, table, reader)
            for package_id, table in reader.table(document, "packages", "").items()
        },
        channels=reader.texts(document, "channels", ""),
        conda_packages={
            record_id: read_record(record_id, table, reader)
            for record_id, table in reader.table(document, "conda", "", needed=False).items()
        },
    )


def _read_index(table: dict[str, Any], where: str, reader: Reader) -> LockedIndex:
    return LockedIndex(name=reader.text(table, "name", where), url=reader.text(table, "url", where))


def _read_target(table: dict[str, Any], where: str, reader: Reader) -> LockedTarget | None:
    platform = reader.text(table, "platform", where)
    python = reader.text(table, "python", where)
    system = reader.table(table, "system", where)
    groups = reader.table(table, "groups", where)
    if python and not _PYTHON.fullmatch(python):
        reader.faults.append(f"{where}python: {python!r} is no version such as 3.12")
    assumptions = _read_system(system, f"{where}system.", reader)
    locked = {group: reader.texts(groups, group, f"{where}groups.") for group in groups}
    variant = reader.text(table, "variant", where, needed=False)
    try:
        target = Target(platform=platform, python=python, system=assumptions, variant=variant)
    except EnvforgeError as error:
        if platform:
            reader.faults.append(f"{where}platform: {error}")
        return None
    return LockedTarget(target=target, groups=locked, conda=reader.texts(table, "conda", where))


def _read_system(system: dict[str, Any], where: str, reader: Reader) -> SystemAssumptions:
    """What is not written is as it is by default."""
    default = SystemAssumptions()
    return SystemAssumptions(
        glibc=_read_system_version(system, "glibc", where, reader),
        macos=_read_system_version(system, "macos", where, reader),
        linux=_read_system_version(system, "linux", where, reader) if "linux" in system else default.linux,
        cuda=_read_system_version(system, "cuda", where, reader) if "cuda" in system else None,
        archspec=reader.text(system, "archspec", where, needed=False),
    )


def _read_system_version(table: dict[str, Any], key: str, where: str, reader: Reader) -> tuple[int, int]:
    found = _SYSTEM_VERSION.fullmatch(value) if isinstance(value := table.get(key), str) else None
    if found is None:
        what = "is missing" if value is None else f"{value!r} is no version such as 2.28"
        reader.faults.append(f"{where}{key}: {what}")
        return 0, 0
    return int(found[1]), int(found[2])


def _read_package(package_id: str, table: object, reader: Reader) -> LockedPackage:
    where = f"packages.{package_id}."
    if not isinstance(table, dict):
        reader.faults.append(f"packages.{package_id}: has to be an object")
        return LockedPackage(id=package_id, name="", version="", index="")
    return LockedPackage(
        id=package_id,
        name=reader.text(table, "name", where),
        version=reader.text(table, "version", where),
        index=reader.text(table, "index", where, needed=False),
        requires=reader.texts(table, "requires", where),
        requires_python=reader.text(table, "requires-python", where, needed=False),
        files=tuple(
            _read_file(file, f"{where}files[{number}].", reader)
            for number, file in enumerate(reader.tables(table, "files", where, needed=False))
        ),
        origin=_read_origin(table, where, reader) if "source" in table else None,
    )


def _read_origin(table: dict[str, Any], where: str, reader: Reader) -> Origin | None:
    from envforge.model.sources import ArchiveOrigin, FolderMode, FolderOrigin

    source = reader.table(table, "source", where)
    if "git" in source:
        return _read_git(source, f"{where}source.", reader)
    kinds = [key for key in source if key in ("url", "path", *FolderMode)]
    where = f"{where}source."
    if len(kinds) != 1:
        reader.faults.append(f"{where[:-1]}: has to name one of git, url, path, {', '.join(FolderMode)}")
        return None
    place = reader.text(source, kinds[0], where)
    if kinds[0] not in ("url", "path"):
        return FolderOrigin(place, FolderMode(kinds[0]))
    return ArchiveOrigin(place, reader.text(source, "subdirectory", where, needed=False))


def _read_git(source: dict[str, Any], where: str, reader: Reader) -> Origin:
    from envforge.model.git import DEFAULT_BRANCH, GitReference, ReferenceKind
    from envforge.model.sources import GitOrigin

    kinds = [kind for kind in ReferenceKind if kind in source]
    if len(kinds) > 1:
        reader.faults.append(f"{where[:-1]}: has to have one of {', '.join(kinds)}")
    flags = {"lfs": source.get("lfs"), "submodules": source.get("submodules", True)}
    for key, value in flags.items():
        if value not in (True, False, None):
            reader.faults.append(f"{where}{key}: has to be true or false")
    return GitOrigin(
        url=reader.text(source, "git", where),
        commit=reader.text(source, "commit", where),
        reference=GitReference(kinds[0], reader.text(source, kinds[0], where)) if kinds else DEFAULT_BRANCH,
        subdirectory=reader.text(source, "subdirectory", where, needed=False),
        lfs=flags["lfs"],
        submodules=flags["submodules"] is not False,
    )


def _read_file(table: dict[str, Any], where: str, reader: Reader) -> LockedFile:
    size = table.get("size")
    if size is not None and (type(size) is not int or size < 0):
        reader.faults.append(f"{where}size: has to be a number of bytes")
    return LockedFile(
        url=reader.text(table, "url", where),
        sha256=reader.text(table, "sha256", where),
        size_bytes=size,
        targets=reader.texts(table, "targets", where),
    )
