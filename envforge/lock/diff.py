"""What changed between two locks, as values and as lines for people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from envforge.model.lock import Lock


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageDiff:
    """One project: its versions before and after, each sorted as text, empty for not there."""

    name: str
    old: tuple[str, ...]
    new: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LockDiff:
    """The difference; falsy where a user would see none.

    Args:
        packages: projects whose versions changed, by name.
        targets_added: labels of targets that are new.
        targets_removed: labels of targets that are gone.
    """

    packages: tuple[PackageDiff, ...] = ()
    targets_added: tuple[str, ...] = ()
    targets_removed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.packages or self.targets_added or self.targets_removed)


def diff_locks(old: Lock | None, new: Lock) -> LockDiff:
    """The difference from ``old`` (None for no lock) to ``new``."""
    before, after = _versions(old), _versions(new)
    old_targets = {target.target.label for target in old.targets} if old else set()
    new_targets = {target.target.label for target in new.targets}
    return LockDiff(
        packages=tuple(
            PackageDiff(name=name, old=before.get(name, ()), new=after.get(name, ()))
            for name in sorted(before.keys() | after.keys())
            if before.get(name) != after.get(name)
        ),
        targets_added=tuple(sorted(new_targets - old_targets)),
        targets_removed=tuple(sorted(old_targets - new_targets)),
    )


def format_diff(diff: LockDiff) -> Iterator[str]:
    """Lines: ``+ torch 2.15.0``, ``- six 1.17.0``, ``~ numpy 2.4.0 → 2.5.5``."""
    for package in diff.packages:
        old, new = ", ".join(package.old), ", ".join(package.new)
        if not old:
            yield f"+ {package.name} {new}"
        elif not new:
            yield f"- {package.name} {old}"
        else:
            yield f"~ {package.name} {old} → {new}"
    for label in diff.targets_added:
        yield f"+ target {label}"
    for label in diff.targets_removed:
        yield f"- target {label}"


def _versions(lock: Lock | None) -> Mapping[str, tuple[str, ...]]:
    versions: dict[str, list[str]] = defaultdict(list)
    for package in lock.packages.values() if lock else ():
        versions[package.name].append(package.version)
    return {name: tuple(sorted(found)) for name, found in versions.items()}
