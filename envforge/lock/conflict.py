"""A lock with git's conflict markers: both sides, to be resolved again with little moving."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from envforge.errors import LockError
from envforge.lock.conda_consistency import find_record_faults
from envforge.lock.consistency import find_faults, find_package_faults, has_file_for
from envforge.lock.parse import read_document
from envforge.model.lock import Lock, LockedPackage, LockedTarget
from envforge.struct import replace

if TYPE_CHECKING:
    from envforge.model.conda import CondaRecord

# Exactly seven: in a merge with several bases, git writes the conflicts inside the ancestor with longer ones.
_MARKER = re.compile(r"(<{7}|\|{7}|={7}|>{7})(?:[ \r].*)?")


def parse_conflicted(text: str) -> tuple[Lock | None, Lock | None]:
    """Our and their lock out of a text with conflict markers; None for a side that is no lock.

    Git's styles ``merge``, ``diff3`` and ``zdiff3`` are read. Outside the conflicts each side already has
    what git merged into it from the other, line by line: a group may name a package that is in a conflict,
    a file a target that is, and a package may be half ours and half theirs. Such loose ends are left
    out: a side is good for the versions and conda records that it prefers, not for being installed.
    """
    ours, theirs = _sides(text)
    return _parse_side(ours), _parse_side(theirs)


def _sides(text: str) -> tuple[str, str]:
    """Our and their text. The common ancestor, where it is shown, belongs to neither."""
    ours: list[str] = []
    theirs: list[str] = []
    receiving: tuple[list[str], ...] = (ours, theirs)
    for line in text.split("\n"):  # splitlines would also split at U+0085 inside a value
        found = _MARKER.fullmatch(line)
        if found is None:
            for side in receiving:
                side.append(line)
        elif found[1][0] == "<":
            receiving = (ours,)
        elif found[1][0] == "|":
            receiving = ()
        elif found[1][0] == "=":
            receiving = (theirs,)
        else:
            receiving = (ours, theirs)
    return "\n".join(ours), "\n".join(theirs)


def _parse_side(text: str) -> Lock | None:
    try:
        lock, faults = read_document(text, "")
    except LockError:
        return None
    if faults:
        return None
    lock = _without_loose_ends(lock)
    return None if find_faults(lock, whole=False) else lock


def _without_loose_ends(lock: Lock) -> Lock:
    lock = replace(lock, channels=tuple(dict.fromkeys(lock.channels)))
    records = {
        record_id: record
        for record_id, record in lock.conda_packages.items()
        if not any(find_record_faults(record_id, record, lock))
    }
    target_ids = {target.id for target in lock.targets}
    packages = {
        package_id: _for_targets(package, target_ids) for package_id, package in lock.packages.items()
    }
    for package_id in find_package_faults(replace(lock, packages=packages)):
        del packages[package_id]
    targets = tuple(_without_strangers(target, packages, records) for target in lock.targets)
    return replace(lock, targets=targets, packages=packages, conda_packages=records)


def _without_strangers(
    target: LockedTarget, packages: Mapping[str, LockedPackage], records: Mapping[str, CondaRecord]
) -> LockedTarget:
    """The target with what is there and for it: of conda one record a name, and no project twice."""
    by_name: dict[str, str] = {}
    for record_id in target.conda:
        record = records.get(record_id)
        if record is not None and record.subdir in (target.target.platform, "noarch"):
            by_name.setdefault(record.name, record_id)
    brought = {name for record_id in by_name.values() for name in records[record_id].pypi_names}
    fitting = {
        package_id
        for package_id, package in packages.items()
        if has_file_for(package, target.id) and package.name not in brought
    }
    return replace(
        target,
        groups={group: tuple(i for i in ids if i in fitting) for group, ids in target.groups.items()},
        conda=tuple(by_name.values()),
    )


def _for_targets(package: LockedPackage, target_ids: set[str]) -> LockedPackage:
    """The package with the files that one of these targets installs."""
    narrowed = (
        replace(file, targets=tuple(target for target in file.targets if target in target_ids))
        for file in package.files
    )
    return replace(package, files=tuple(file for file in narrowed if file.targets))
