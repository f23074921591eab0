"""Text to value. A lock is machine-written, but hands, merges and disks change it: every fault is told.

Format, version 1 (JSON, one-space indent, keys sorted)::

    version        1
    inputs         digest of the manifest's resolution inputs, "sha256:…"
    exclude-newer  instant before which files had to be uploaded; left out for no limit
    indexes        [{name, url}], without credentials
    targets        [{platform, python, system: {glibc, macos}, groups: {group: [package id]}}]
    packages       {id: {name, version, index, requires, requires-python,
                         files: [{url, sha256, size, targets: [platform]}]}}

Empty fields are left out. An id is the name, or ``name@version`` where targets need different versions.
"""

from __future__ import annotations

import json
import re
from typing import Any

from envforge.errors import EnvforgeError, LockError
from envforge.model.lock import Lock, LockedFile, LockedIndex, LockedPackage, LockedTarget
from envforge.model.target import SystemAssumptions, Target

VERSION = 1
_MOST_FAULTS = 10
_SHA256 = re.compile(r"[0-9a-f]{64}")


class LockConflictError(LockError):
    """The lock holds git's conflict markers."""

    code = "lock-conflict"


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
    document = _parse_json(text, path)
    version = document.get("version")
    if isinstance(version, int) and version > VERSION:
        raise LockError(
            f"{path} was written by a newer envforge",
            context=[f"it has format {version}, this envforge knows {VERSION}"],
            hints=["upgrade envforge"],
        )
    reader = _Reader()
    if version != VERSION:
        reader.faults.append(f"version: has to be {VERSION}")
    lock = _read_lock(document, reader)
    if reader.faults or lock is None:
        raise _broken(path, reader.faults)
    return lock


def has_conflict_markers(text: str) -> bool:
    """Whether git left conflict markers in a text."""
    return "<<<<<<<" in text and re.search(r"^(<{7}|={7}|>{7})( |$)", text, re.MULTILINE) is not None


def _parse_json(text: str, path: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
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


class _Reader:
    """Reads fields and notes what is wrong, as ``dotted.path: what it has to be``."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def text(self, table: dict[str, Any], key: str, where: str, *, needed: bool = True) -> str:
        value = table.get(key, None if needed else "")
        if isinstance(value, str):
            return value
        self.faults.append(f"{where}{key}: {'is missing' if value is None else 'has to be a text'}")
        return ""

    def texts(self, table: dict[str, Any], key: str, where: str) -> tuple[str, ...]:
        value = table.get(key, [])
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        self.faults.append(f"{where}{key}: has to be a list of texts")
        return ()

    def table(self, table: dict[str, Any], key: str, where: str) -> dict[str, Any]:
        value = table.get(key)
        if isinstance(value, dict):
            return value
        self.faults.append(f"{where}{key}: {'is missing' if value is None else 'has to be an object'}")
        return {}

    def tables(self, table: dict[str, Any], key: str, where: str) -> list[dict[str, Any]]:
        value = table.get(key, [])
        if isinstance(value, list) and all(isinstance(item, dict) for item in value):
            return value
        self.faults.append(f"{where}{key}: has to be a list of objects")
        return []


def _read_lock(document: dict[str, Any], reader: _Reader) -> Lock | None:
    targets = [
        _read_target(table, f"targets[{number}].", reader)
        for number, table in enumerate(reader.tables(document, "targets", ""))
    ]
    known = [target for target in targets if target is not None]
    platforms = {target.id for target in known}
    packages = {
        package_id: _read_package(package_id, table, platforms, reader)
        for package_id, table in reader.table(document, "packages", "").items()
    }
    for target in known:
        _check_ids(target, packages, reader)
    indexes = tuple(
        LockedIndex(name=reader.text(table, "name", where), url=reader.text(table, "url", where))
        for number, table in enumerate(reader.tables(document, "indexes", ""))
        if (where := f"indexes[{number}].")
    )
    return Lock(
        inputs=reader.text(document, "inputs", ""),
        exclude_newer=reader.text(document, "exclude-newer", "", needed=False),
        indexes=indexes,
        targets=tuple(known),
        packages=packages,
    )


def _read_target(table: dict[str, Any], where: str, reader: _Reader) -> LockedTarget | None:
    system = reader.table(table, "system", where)
    groups = reader.table(table, "groups", where)
    try:
        target = Target(
            platform=reader.text(table, "platform", where),
            python=reader.text(table, "python", where),
            system=SystemAssumptions(
                glibc=_version_pair(system.get("glibc")), macos=_version_pair(system.get("macos"))
            ),
        )
    except (EnvforgeError, ValueError) as error:
        reader.faults.append(f"{where.removesuffix('.')}: {error}")
        return None
    return LockedTarget(
        target=target, groups={group: reader.texts(groups, group, f"{where}groups.") for group in groups}
    )


def _version_pair(value: object) -> tuple[int, int]:
    parts = str(value).split(".")
    if len(parts) != 2 or not all(part.isdecimal() for part in parts):
        raise ValueError(f"system: {value!r} is no version such as 2.28")
    return int(parts[0]), int(parts[1])


def _read_package(package_id: str, table: object, platforms: set[str], reader: _Reader) -> LockedPackage:
    where = f"packages.{package_id}."
    if not isinstance(table, dict):
        reader.faults.append(f"{where.removesuffix('.')}: has to be an object")
        table = {}
    return LockedPackage(
        id=package_id,
        name=reader.text(table, "name", where),
        version=reader.text(table, "version", where),
        index=reader.text(table, "index", where, needed=False),
        requires=reader.texts(table, "requires", where),
        requires_python=reader.text(table, "requires-python", where, needed=False),
        files=tuple(
            _read_file(file, f"{where}files[{number}].", platforms, reader)
            for number, file in enumerate(reader.tables(table, "files", where))
        ),
    )


def _read_file(table: dict[str, Any], where: str, platforms: set[str], reader: _Reader) -> LockedFile:
    sha256 = reader.text(table, "sha256", where)
    size = table.get("size")
    targets = reader.texts(table, "targets", where)
    if sha256 and not _SHA256.fullmatch(sha256):
        reader.faults.append(f"{where}sha256: has to be 64 lower-case hexadecimal digits")
    if size is not None and (not isinstance(size, int) or size < 0):
        reader.faults.append(f"{where}size: has to be a number of bytes")
    for target in targets:
        if target not in platforms:
            reader.faults.append(f"{where}targets: {target} is no target of this lock")
    return LockedFile(url=reader.text(table, "url", where), sha256=sha256, size_bytes=size, targets=targets)


def _check_ids(target: LockedTarget, packages: dict[str, LockedPackage], reader: _Reader) -> None:
    """Every package that a group names exists and has a file for the target."""
    for group, ids in target.groups.items():
        for package_id in ids:
            if package_id not in packages:
                reader.faults.append(
                    f"targets.{target.id}.groups.{group}: no package has the id {package_id}"
                )
            elif not any(target.id in file.targets for file in packages[package_id].files):
                reader.faults.append(f"packages.{package_id}.files: none is for {target.id}")
