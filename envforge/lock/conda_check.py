"""Whether the conda part of a lock goes together, as against what a merge or a hand made of it.

git merges two locks without a conflict where different packages moved, and can give a record another one's
dependencies, while URL and hash are right. Both are told here. Match specs are put to py-rattler.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from envforge.model.conda import CondaRecord, VirtualPackage, target_virtual_packages
from envforge.model.lock import Lock

if TYPE_CHECKING:
    from rattler import PackageRecord


def unmet_specs(lock: Lock) -> list[str]:
    """What records of a target need, or constrain, and the target does not have so."""
    faults: dict[str, list[str]] = {}
    for target in lock.targets:
        records = lock.conda_records(target)
        if not records:
            continue
        present = {record.name: _as_rattler(record) for record in records}
        present |= {each.name: _as_rattler(each) for each in target_virtual_packages(target.target)}
        for record in records:
            for fault in _faults(record, present):
                faults.setdefault(fault, []).append(target.id)
    return [f"{fault} ({', '.join(where)})" for fault, where in sorted(faults.items())]


def _faults(record: CondaRecord, present: Mapping[str, PackageRecord]) -> Iterator[str]:
    from rattler import MatchSpec

    for text in record.depends:
        name = text.split(" ", 1)[0]
        if name not in present:
            yield f"conda's {record.name} {record.version} requires {text}, which is not locked"
        elif not MatchSpec(text).matches(present[name]):
            locked = _told(present[name])
            yield f"conda's {record.name} {record.version} requires {text}, but {locked} is locked"
    for text in record.constrains:
        name = text.split(" ", 1)[0]
        if name in present and not MatchSpec(text).matches(present[name]):
            locked = _told(present[name])
            yield f"conda's {record.name} {record.version} goes with {text} only, and {locked} is locked"


def _as_rattler(record: CondaRecord | VirtualPackage) -> PackageRecord:
    from rattler import BuildString, PackageRecord

    number = record.build_number if isinstance(record, CondaRecord) else 0
    subdir = record.subdir if isinstance(record, CondaRecord) else "noarch"
    found = PackageRecord(record.name, record.version, BuildString(record.build), number, subdir)
    if isinstance(record, CondaRecord):
        found.track_features = list(record.track_features)
    return found


def _told(record: PackageRecord) -> str:
    return f"{record.name.normalized} {record.version} {record.build}"


def altered_records(lock: Lock, known: Mapping[str, CondaRecord]) -> list[str]:
    """Records that say something else than their channel does.

    conda-forge mends dependencies of archives that are out; such a lock is told too: it is no longer valid.

    Args:
        lock: consistent.
        known: URL → record of the channel, as far as it is at hand.
    """
    return [
        f"conda.{record_id}.{field}: is not what the channel says"
        for record_id, record in lock.conda_packages.items()
        if record.url in known
        for field in _differences(record, known[record.url])
    ]


def _differences(mine: CondaRecord, theirs: CondaRecord) -> Iterator[str]:
    """The fields that say something else; a digest that one of them has not says nothing."""
    for field in ("depends", "constrains", "noarch"):
        if getattr(mine, field) != getattr(theirs, field):
            yield field
    for field in ("sha256", "md5"):
        digests = {getattr(mine, field), getattr(theirs, field)} - {""}
        if len(digests) > 1:
            yield field
