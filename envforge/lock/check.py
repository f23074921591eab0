"""Whether a lock still fits the manifest, and if not, why, in words.

The digest of the inputs decides. The reasons compare what can be seen in both, so that
``lock --check`` can say more than "changed".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from envforge.model.lock import Lock, LockedPackage, LockedTarget
from envforge.model.requirement import Requirement, specifier_admits
from envforge.model.target import marker_holds


def lock_is_current(lock: Lock, inputs: str) -> bool:
    """Whether a lock was made from these inputs (``sha256:…``)."""
    return lock.inputs == inputs


def reasons_to_lock(
    lock: Lock,
    inputs: str,
    *,
    platforms: Sequence[str],
    groups: Mapping[str, Sequence[Requirement]],
) -> list[str]:
    """Why a lock does not fit the manifest, a sentence each; empty if and only if it is current.

    Args:
        lock: what is on disk.
        inputs: digest of the manifest's resolution inputs.
        platforms: that the manifest wants.
        groups: group → its requirements in the manifest.
    """
    if lock_is_current(lock, inputs):
        return []
    reasons = [f"{platform} is not locked" for platform in platforms if lock.target_for(platform) is None]
    reasons += [
        f"{target.id} is locked, but no platform of the manifest any more"
        for target in lock.targets
        if target.id not in platforms
    ]
    wanted = [target for target in lock.targets if target.id in platforms]
    locked_groups = dict.fromkeys(group for target in wanted for group in target.groups)
    reasons += [
        f"the group {group} is not in the manifest any more" for group in locked_groups if group not in groups
    ]
    for group, requirements in groups.items():
        reasons += _group_reasons(group, requirements, wanted, lock)
    return reasons or ["settings of the manifest that the lock depends on were changed"]


def _group_reasons(
    group: str, requirements: Sequence[Requirement], targets: Sequence[LockedTarget], lock: Lock
) -> Iterator[str]:
    if any(group not in target.groups for target in targets):
        yield f"the group {group} is not locked"
        return
    for requirement in requirements:
        faults: dict[str, list[str]] = {}
        for target in targets:
            if marker_holds(requirement.marker, target.target):
                fault = _requirement_fault(requirement, group, target, lock)
                if fault:
                    faults.setdefault(fault, []).append(target.id)
        for fault, where in faults.items():
            only = f" ({', '.join(where)} only)" if len(where) < len(targets) else ""
            yield f"{group}: {requirement} {fault}{only}"


def _requirement_fault(requirement: Requirement, group: str, target: LockedTarget, lock: Lock) -> str:
    package = _find_package(requirement.name, target.groups[group], lock)
    if package is None:
        return "is not locked"
    if not specifier_admits(requirement.specifier, package.version):
        return f"does not admit the locked {package.version}"
    return ""


def _find_package(name: str, package_ids: Sequence[str], lock: Lock) -> LockedPackage | None:
    packages = (lock.packages[package_id] for package_id in package_ids)
    return next((package for package in packages if package.name == name), None)
