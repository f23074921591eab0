"""Whether a lock still fits the manifest, and itself, and if not, why, in words.

The digest of the inputs decides about the manifest. The reasons compare what can be seen in both, so
that ``lock --check`` can say more than "changed".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from envforge.errors import RequirementError
from envforge.lock.conda_check import NOT_LOCKED, spec_fault
from envforge.model.lock import Lock, LockedPackage, LockedTarget
from envforge.model.markers import marker_holds
from envforge.model.requirement import Requirement, parse_requirement, specifier_admits

Groups: TypeAlias = Mapping[str, Sequence[Requirement]]
"""Group → its requirements in the manifest."""


def reasons_to_lock(
    lock: Lock,
    inputs: str,
    *,
    targets: Sequence[str],
    groups: Mapping[str, Groups],
    conda: Mapping[str, Sequence[str]] | None = None,
) -> list[str]:
    """Why a lock does not fit the manifest, a sentence each; empty if and only if it is current.

    Args:
        lock: what is on disk.
        inputs: digest of the manifest's resolution inputs.
        targets: ids of those that the manifest wants.
        groups: variant (``""`` for none) → its groups.
        conda: target id → match specs of the conda packages that the manifest wants there, None to leave
            them out of account.
    """
    if lock.fits(inputs):
        return []
    reasons = [f"{target_id} is not locked" for target_id in targets if lock.target_for(target_id) is None]
    reasons += [
        f"{target.id} is locked, but no {_kind(target)} of the manifest any more"
        for target in lock.targets
        if target.id not in targets
    ]
    wanted = [target for target in lock.targets if target.id in targets]
    locked_groups = dict.fromkeys(group for target in wanted for group in target.groups)
    known = dict.fromkeys(group for each in groups.values() for group in each)
    reasons += [
        f"the group {group} is not in the manifest any more" for group in locked_groups if group not in known
    ]
    for group in known:
        reasons += _group_reasons(group, groups, wanted, lock)
    if conda is not None:
        reasons += _conda_reasons(conda, wanted, lock)
    # the lock keeps a digest of what was asked for, not the words: more cannot be told
    return reasons or ["requirements or settings of the manifest were changed since the lock was made"]


def _kind(target: LockedTarget) -> str:
    return "variant" if target.target.variant else "platform"


def unmet_requirements(lock: Lock, groups: Mapping[str, Groups]) -> list[str]:
    """What the locked packages require and the locked versions do not give, a sentence each.

    Git merges two locks without a conflict where different packages moved, although the moved versions
    may not go together. Costs 35 ms for 175 packages on four targets, since every requirement is parsed;
    so this is for ``lock --check``, not for every sync.

    Args:
        lock: consistent.
        groups: variant (``""`` for none) → its groups, for the extras that they ask for.
    """
    faults: dict[str, list[str]] = {}
    for target in lock.targets:
        packages = {lock.packages[i].name: lock.packages[i] for i in target.package_ids(target.groups)}
        versions = {
            **_conda_versions(target, lock),
            **{name: each.version for name, each in packages.items()},
        }
        for source, requirement in _active_requirements(
            packages, groups.get(target.target.variant, {}), target
        ):
            version = versions.get(requirement.name)
            if version is None:
                faults.setdefault(f"{source} requires {requirement}, which is not locked", []).append(
                    target.id
                )
            elif not _admits(requirement, version):
                text = f"{source} requires {requirement}, but {version} is locked"
                faults.setdefault(text, []).append(target.id)
    return [f"{fault} ({', '.join(where)})" for fault, where in sorted(faults.items())]


def _active_requirements(
    packages: Mapping[str, LockedPackage], groups: Groups, target: LockedTarget
) -> Iterator[tuple[str, Requirement]]:
    """``name version`` and what it requires on a target, with all extras that anybody asks it for."""
    parsed = {
        name: [parse_requirement(text) for text in package.requires] for name, package in packages.items()
    }
    extras: dict[str, set[str]] = {name: {""} for name in packages}

    def active(name: str) -> list[Requirement]:
        wanted = sorted(extras[name])
        return [
            item
            for item in parsed[name]
            if any(marker_holds(item.marker, target.target, extra) for extra in wanted)
        ]

    asked = [item for group in groups.values() for item in group if marker_holds(item.marker, target.target)]
    asked += [item for name in packages for item in active(name)]
    while asked:
        grown = {
            item.name
            for item in asked
            if item.name in extras and not extras[item.name].issuperset(item.extras)
        }
        for item in asked:
            if item.name in extras:
                extras[item.name].update(item.extras)
        asked = [item for name in grown for item in active(name)]
    for name, package in packages.items():
        for item in active(name):
            yield f"{name} {package.version}", item


def _group_reasons(
    group: str, groups: Mapping[str, Groups], targets: Sequence[LockedTarget], lock: Lock
) -> Iterator[str]:
    if any(group not in target.groups for target in targets):
        yield f"the group {group} is not locked"
        return
    for requirement in dict.fromkeys(item for each in groups.values() for item in each[group]):
        faults: dict[str, list[str]] = {}
        asking = [each for each in targets if requirement in groups[each.target.variant][group]]
        for target in asking:
            if marker_holds(requirement.marker, target.target):
                fault = _requirement_fault(requirement, group, target, lock)
                if fault:
                    faults.setdefault(fault, []).append(target.id)
        for fault, where in faults.items():
            only = f" ({', '.join(where)} only)" if len(where) < len(targets) else ""
            yield f"{group}: {requirement} {fault}{only}"


def _conda_reasons(
    conda: Mapping[str, Sequence[str]], targets: Sequence[LockedTarget], lock: Lock
) -> Iterator[str]:
    """What of conda is not as wanted. What is missing on some targets only may have been left out there."""
    if not any(conda.values()):
        if any(target.conda for target in targets):
            yield "conda packages are locked, but none is in the manifest any more"
        return
    for spec in dict.fromkeys(spec for specs in conda.values() for spec in specs):
        asked = [target for target in targets if spec in conda.get(target.id, ())]
        faults: dict[str, list[str]] = {}
        for target in asked:
            faults.setdefault(spec_fault(spec, target, lock), []).append(target.id)
        for fault, where in faults.items():
            everywhere = len(where) == len(asked)
            if fault and (everywhere or fault != NOT_LOCKED):
                only = "" if everywhere else f" ({', '.join(where)} only)"
                yield f"conda: {spec} {fault}{only}"


def _requirement_fault(requirement: Requirement, group: str, target: LockedTarget, lock: Lock) -> str:
    package = _find_package(requirement.name, target.groups[group], lock)
    version = package.version if package else _conda_versions(target, lock).get(requirement.name)
    if version is None:
        return NOT_LOCKED
    if not _admits(requirement, version):
        return f"does not admit the locked {version}"
    return ""


def _conda_versions(target: LockedTarget, lock: Lock) -> dict[str, str]:
    """PyPI name → version of what conda brings of it."""
    return {name: record.version for record in lock.conda_records(target) for name in record.pypi_names}


def _admits(requirement: Requirement, version: str) -> bool:
    """A version of conda that is not PEP 440 is admitted by a requirement on any version only."""
    try:
        return specifier_admits(requirement.specifier, version)
    except RequirementError:
        return not requirement.specifier


def _find_package(name: str, package_ids: Sequence[str], lock: Lock) -> LockedPackage | None:
    packages = (lock.packages[package_id] for package_id in package_ids)
    return next((package for package in packages if package.name == name), None)
