"""What changed between two locks, as values and as lines for people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Set
from typing import TYPE_CHECKING

from envforge.model.lock import Lock, LockedPackage
from envforge.struct import Struct

if TYPE_CHECKING:
    from envforge.model.conda import CondaRecord


class PackageDiff(Struct, frozen=True, kw_only=True):
    """One package: its versions before and after, each sorted as text, empty for not there.

    Args:
        name: normalized; conda's own for one of conda.
        old: versions before, on the targets where it changed; of conda with the build where only that moved.
        new: versions after, there.
        targets: ids of targets where it changed, ``()`` for all that have it.
    """

    name: str
    old: tuple[str, ...]
    new: tuple[str, ...]
    targets: tuple[str, ...] = ()


class PythonDiff(Struct, frozen=True, kw_only=True):
    """A target that is locked for another Python than before; ``target`` is its id."""

    target: str
    old: str
    new: str


class LockDiff(Struct, frozen=True, kw_only=True):
    """The difference; falsy where a user would see none.

    Args:
        packages: projects whose versions changed, by name.
        conda: the same of conda packages.
        targets_added: labels of targets that are new, also of those that have another Python.
        targets_removed: labels of targets that are gone, also of those that have another Python.
        pythons: targets whose Python changed, by id.
    """

    packages: tuple[PackageDiff, ...] = ()
    conda: tuple[PackageDiff, ...] = ()
    targets_added: tuple[str, ...] = ()
    targets_removed: tuple[str, ...] = ()
    pythons: tuple[PythonDiff, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.packages or self.conda or self.targets_added or self.targets_removed)


def diff_locks(old: Lock | None, new: Lock) -> LockDiff:
    """The difference from ``old`` (None for no lock) to ``new``."""
    old_targets = {target.id: target.target for target in old.targets} if old else {}
    new_targets = {target.id: target.target for target in new.targets}
    old_labels = {target.label for target in old_targets.values()}
    new_labels = {target.label for target in new_targets.values()}
    kept = old_targets.keys() & new_targets.keys()
    return LockDiff(
        packages=_diff_packages(_versions(old), _versions(new), kept),
        conda=_diff_packages(*_conda_versions(old, new), kept),
        targets_added=tuple(sorted(new_labels - old_labels)),
        targets_removed=tuple(sorted(old_labels - new_labels)),
        pythons=tuple(
            PythonDiff(target=target, old=old_targets[target].python, new=new_targets[target].python)
            for target in sorted(kept)
            if old_targets[target].python != new_targets[target].python
        ),
    )


def format_diff(diff: LockDiff) -> Iterator[str]:
    """Lines: ``+ torch 2.15.0``, ``- six 1.17.0``, ``~ numpy 2.4.0 → 2.5.5 (linux-64 only)``."""
    for package in diff.packages:
        yield _line(package)
    for package in diff.conda:
        yield _line(package, " (conda)")
    for python in diff.pythons:
        yield f"~ target {python.target} · Python {python.old} → {python.new}"
    moved = {python.target for python in diff.pythons}
    for sign, labels in (("+", diff.targets_added), ("-", diff.targets_removed)):
        for label in labels:
            if label.partition(" ")[0] not in moved:
                yield f"{sign} target {label}"


def _line(package: PackageDiff, origin: str = "") -> str:
    old, new = ", ".join(package.old), ", ".join(package.new)
    where = f" ({', '.join(package.targets)} only)" if package.targets else ""
    if not old:
        return f"+ {package.name} {new}{origin}{where}"
    if not new:
        return f"- {package.name} {old}{origin}{where}"
    return f"~ {package.name} {old} → {new}{origin}{where}"


def _versions(lock: Lock | None) -> Mapping[str, Mapping[str, str]]:
    """Name → target → version."""
    versions: dict[str, dict[str, str]] = defaultdict(dict)
    if lock is None:
        return versions
    for target in lock.targets:
        for package_id in target.package_ids(target.groups):
            package = lock.packages[package_id]
            versions[package.name][target.id] = _told_version(package)
    return versions


def _told_version(package: LockedPackage) -> str:
    """The version, of git with the commit: that may move without it."""
    if package.index or package.has_files:
        return package.version
    from envforge.model.sources import GitOrigin

    commit = package.origin.commit if isinstance(package.origin, GitOrigin) else ""
    return f"{package.version} ({commit[:12]})" if commit else package.version


def _conda_versions(
    old: Lock | None, new: Lock
) -> tuple[Mapping[str, Mapping[str, str]], Mapping[str, Mapping[str, str]]]:
    """Name → target → version, before and after; with the build where only that moved."""
    before, after = _conda_records(old), _conda_records(new)

    def told(name: str, target: str, record: CondaRecord) -> str:
        both = [side[name][target] for side in (before, after) if target in side.get(name, {})]
        only_build_moved = len(both) == 2 and both[0].version == both[1].version
        return f"{record.version} {record.build}" if only_build_moved else record.version

    def tell(side: Mapping[str, Mapping[str, CondaRecord]]) -> dict[str, dict[str, str]]:
        return {
            name: {target: told(name, target, record) for target, record in records.items()}
            for name, records in side.items()
        }

    return tell(before), tell(after)


def _conda_records(lock: Lock | None) -> Mapping[str, Mapping[str, CondaRecord]]:
    """Name → target → record."""
    records: dict[str, dict[str, CondaRecord]] = defaultdict(dict)
    for target in lock.targets if lock else ():
        for record in lock.conda_records(target) if lock else ():
            records[record.name][target.id] = record
    return records


def _diff_packages(
    before: Mapping[str, Mapping[str, str]], after: Mapping[str, Mapping[str, str]], kept: Set[str]
) -> tuple[PackageDiff, ...]:
    found = (
        _diff_package(name, before.get(name, {}), after.get(name, {}), kept)
        for name in sorted(before.keys() | after.keys())
    )
    return tuple(package for package in found if package is not None)


def _diff_package(
    name: str, before: Mapping[str, str], after: Mapping[str, str], kept: Set[str]
) -> PackageDiff | None:
    """Where a project changed. A target that comes or goes changes nothing by a version known elsewhere."""
    changed = {target for target in kept if before.get(target) != after.get(target)}
    changed |= {target for target in after.keys() - kept if after[target] not in before.values()}
    changed |= {target for target in before.keys() - kept if before[target] not in after.values()}
    if not changed:
        return None
    everywhere = changed >= before.keys() | after.keys()
    return PackageDiff(
        name=name,
        old=tuple(sorted({before[target] for target in changed & before.keys()})),
        new=tuple(sorted({after[target] for target in changed & after.keys()})),
        targets=() if everywhere else tuple(sorted(changed)),
    )
