"""Whether the conda part of a lock goes together, as against what a merge or a hand made of it.

git merges two locks without a conflict where different packages moved, and can give a record another one's
dependencies, while URL and hash are right. Both are told here. Match specs are put to py-rattler; what holds
only under a condition (CEP 47) is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from envforge.model.lock import Lock, LockedTarget

if TYPE_CHECKING:
    from rattler import MatchSpec, PackageRecord

    from envforge.model.conda import CondaRecord, VirtualPackage

NOT_LOCKED = "is not locked"
_COMPARED = (
    "build_number",
    "noarch",
    "depends",
    "constrains",
    "track_features",
    "features",
    "python_site_packages_path",
)
_COMPARED_IF_KNOWN = ("sha256", "md5", "size_bytes")


def unmet_specs(lock: Lock) -> list[str]:
    """What records of a target need, or constrain, and the target does not have so.

    Args:
        lock: consistent.
    """
    faults: dict[str, list[str]] = {}
    for target in lock.targets:
        if not target.conda:
            continue
        present = _present(target, lock)
        for record in lock.conda_records(target):
            for fault in _faults(record, present):
                faults.setdefault(fault, []).append(target.id)
    return [f"{fault} ({', '.join(where)})" for fault, where in sorted(faults.items())]


def spec_fault(text: str, target: LockedTarget, lock: Lock) -> str:
    """What is wrong with a target's answer to a match spec, ``""`` for nothing."""
    present = _present(target, lock)
    spec = _parse(text)
    found = present.get(_name(spec)) if spec is not None else None
    if spec is None or found is None:
        return NOT_LOCKED
    return "" if spec.matches(found) else f"does not admit the locked {_told(found)}"


def _present(target: LockedTarget, lock: Lock) -> dict[str, PackageRecord]:
    """Name → what a target has of it, or may assume of the system."""
    from envforge.model.conda import target_virtual_packages

    present = {each.name: _virtual(each) for each in target_virtual_packages(target.target)}
    return {**present, **{record.name: _installed(record) for record in lock.conda_records(target)}}


def _faults(record: CondaRecord, present: Mapping[str, PackageRecord]) -> Iterator[str]:
    who = f"conda's {record.name} {record.version}"
    for text in record.depends:
        spec = _parse(text)
        if spec is None:
            yield f"{who} requires {text!r}, which is no match spec"
        elif spec.condition is None and (found := present.get(_name(spec))) is None:
            yield f"{who} requires {text}, which {_absent(_name(spec))}"
        elif spec.condition is None and found is not None and not spec.matches(found):
            yield f"{who} requires {text}, but {_told(found)} is {_there(found)}"
    for text in record.constrains:
        spec = _parse(text)
        if spec is None:
            yield f"{who} constrains {text!r}, which is no match spec"
        elif spec.condition is None and (found := present.get(_name(spec))) and not spec.matches(found):
            yield f"{who} goes with {text} only, and {_told(found)} is {_there(found)}"


@cache
def _parse(text: str) -> MatchSpec | None:
    """A spec as the solver reads it, also one that is written loosely; None for what is none.

    One solution repeats most of its specs from target to target.
    """
    from rattler import MatchSpec
    from rattler.exceptions import InvalidMatchSpecError

    try:
        spec = MatchSpec(text)
    except InvalidMatchSpecError:
        return None
    return spec if spec.name is not None else None


def _name(spec: MatchSpec) -> str:
    name = spec.name
    return name.normalized if name is not None else ""


def _installed(record: CondaRecord) -> PackageRecord:
    """What match specs look at."""
    from rattler import BuildString, PackageRecord

    found = PackageRecord(
        record.name,
        record.version,
        BuildString.new_unchecked(record.build),
        record.build_number,
        record.subdir,
        sha256=bytes.fromhex(record.sha256) or None,
        md5=bytes.fromhex(record.md5) or None,
        license=record.license or None,
    )
    if record.track_features:
        found.track_features = list(record.track_features)
    return found


def _virtual(package: VirtualPackage) -> PackageRecord:
    from rattler import BuildString, PackageRecord

    return PackageRecord(package.name, package.version, BuildString(package.build), 0, "noarch")


def _told(record: PackageRecord) -> str:
    return f"{record.name.normalized} {record.version} {record.build}"


def _there(record: PackageRecord) -> str:
    return "what the target may assume" if record.name.normalized.startswith("__") else "locked"


def _absent(name: str) -> str:
    return "the target may not assume" if name.startswith("__") else NOT_LOCKED


def altered_records(lock: Lock, known: Mapping[str, CondaRecord]) -> list[str]:
    """Records that say something else than their channel does, a line for each field.

    conda-forge mends dependencies of archives that are out; such a lock is told too: it is no longer valid.
    What only describes a package (license, time) is not compared, nor are its PyPI names, which envforge
    tells from its own tables.

    Args:
        lock: consistent.
        known: URL → record of the channel, as far as it is at hand. An archive's own metadata will do for
            channels that mend nothing; digests and sizes that it lacks are passed over.
    """
    return [
        f"conda.{record_id}.{_key(field)}: is not what the channel says{_difference(record, there, field)}"
        for record_id, record in lock.conda_packages.items()
        if (there := known.get(record.url)) is not None
        for field in _altered_fields(record, there)
    ]


def _altered_fields(record: CondaRecord, there: CondaRecord) -> Iterator[str]:
    for field in _COMPARED:
        mine, theirs = getattr(record, field), getattr(there, field)
        if isinstance(mine, tuple):
            mine, theirs = sorted(mine), sorted(theirs)
        if mine != theirs:
            yield field
    for field in _COMPARED_IF_KNOWN:
        mine, theirs = getattr(record, field), getattr(there, field)
        if mine and theirs and mine != theirs:
            yield field


def _difference(record: CondaRecord, there: CondaRecord, field: str) -> str:
    mine, theirs = getattr(record, field), getattr(there, field)
    if not isinstance(mine, tuple):
        return f": {mine!r}, not {theirs!r}"
    parts = [_listed("lacks", theirs, mine), _listed("has", mine, theirs)]
    return "".join(f"; it {part}" for part in parts if part)


def _listed(verb: str, those: Sequence[str], without: Sequence[str]) -> str:
    rest = [each for each in those if each not in without]
    return f"{verb} {', '.join(rest)}" if rest else ""


def _key(field: str) -> str:
    """As the lock calls it."""
    return {"size_bytes": "size"}.get(field, field.replace("_", "-"))
