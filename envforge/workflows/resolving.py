"""From a manifest to a new lock: the part that ``lock``, ``add``, ``remove`` and ``sync`` share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from envforge.errors import ManifestError, ResolutionError
from envforge.events import ResolutionFinished, ResolutionStarted
from envforge.lock.build import build_lock
from envforge.manifest.manifest import Manifest, requirements_by_group
from envforge.model.lock import Lock, LockedIndex
from envforge.model.requirement import Requirement, normalize_name, parse_specifier
from envforge.model.resolution import TargetResolution
from envforge.model.target import Target
from envforge.resolve.resolution import held_back_by_python, resolve_target
from envforge.workflows.project import FormerLock, Project
from envforge.workflows.session import Session
from envforge.workflows.sources import open_index_set
from envforge.workflows.upgrades import Upgrades

if TYPE_CHECKING:
    from envforge.index.index_set import IndexSet

KNOWN_PYTHONS = ("3.15", "3.14", "3.13", "3.12", "3.11", "3.10", "3.9", "3.8")
"""Released minors of CPython, newest first: what "the newest that everything admits" chooses from."""


def resolve_lock(project: Project, former: FormerLock, upgrades: Upgrades, session: Session) -> Lock:
    """Resolve a project's manifest for all its platforms.

    Args:
        project: what is asked for.
        former: what was locked; its versions are kept where they can be.
        upgrades: what need not be kept.
        session: places, network, reporter.

    Raises:
        ManifestError, ResolutionError, UnknownPackageError, NetworkError: with the explanation.
    """
    manifest = project.manifest
    groups = requirements_by_group(manifest)
    exclude_newer = upgrades.exclude_newer or manifest.settings.exclude_newer
    with open_index_set(manifest, exclude_newer, session) as source:
        resolutions = _resolve_for_best_python(manifest, groups, former, upgrades, source, session)
        resolutions = source.with_hashes(resolutions)
        return build_lock(
            inputs=project.inputs,
            exclude_newer=exclude_newer,
            indexes=_used_indexes(source, resolutions),
            resolutions=resolutions,
        )


def _resolve_for_best_python(
    manifest: Manifest,
    groups: Mapping[str, Sequence[Requirement]],
    former: FormerLock,
    upgrades: Upgrades,
    source: IndexSet,
    session: Session,
) -> list[TargetResolution]:
    """Resolve for the manifest's Python, else for the newest minor that everything admits."""
    choices = _python_choices(manifest, former, upgrades)
    second_best: list[TargetResolution] | None = None
    failure: ResolutionError | None = None
    for python in choices:
        try:
            resolutions = _resolve_targets(python, manifest, groups, former, upgrades, source, session)
        except ResolutionError as error:
            failure = failure or error
            continue
        held_back = held_back_by_python(resolutions[0], source) if len(choices) > 1 else []
        if not held_back:
            return resolutions
        second_best = second_best or resolutions
    if second_best is not None:
        return second_best
    assert failure is not None
    raise failure


def _python_choices(manifest: Manifest, former: FormerLock, upgrades: Upgrades) -> list[str]:
    """Pythons to try, best first: the manifest's, else the locked one, else all that it admits."""
    required = parse_specifier(manifest.requires_python)
    if manifest.settings.python:
        return [manifest.settings.python]
    admitted = [
        minor for minor in KNOWN_PYTHONS if any(required.contains(f"{minor}.{patch}") for patch in (0, 5, 20))
    ]
    locked = [target.target.python for side in former.sides for target in side.targets]
    if not upgrades.everything:
        kept = [python for python in locked if python in admitted]
        if kept:
            return [kept[0]]
    if not admitted:
        raise ManifestError(
            f"no released Python meets requires-python {manifest.requires_python!r}",
            context=[f"{manifest.path}: project.requires-python"],
            hints=[f"known Pythons: {', '.join(KNOWN_PYTHONS)}"],
        )
    return admitted


def _resolve_targets(
    python: str,
    manifest: Manifest,
    groups: Mapping[str, Sequence[Requirement]],
    former: FormerLock,
    upgrades: Upgrades,
    source: IndexSet,
    session: Session,
) -> list[TargetResolution]:
    """One resolution per platform; what an earlier one chose is preferred by the later ones."""
    targets = [
        Target(platform=platform, python=python, system=manifest.settings.system)
        for platform in manifest.settings.platforms
    ]
    session.reporter.report(ResolutionStarted(target=targets[0].label))
    all_requirements = [requirement for group in groups.values() for requirement in group]
    source.prefetch(all_requirements, targets, _locked_versions(former, upgrades, targets[0]))
    chosen: dict[str, str] = {}
    resolutions: list[TargetResolution] = []
    for target in targets:
        if resolutions:
            session.reporter.report(ResolutionStarted(target=target.label))
        preferred = {**_locked_versions(former, upgrades, target), **chosen}
        resolution = resolve_target(groups, target, source, preferred)
        chosen = {**{name: pin.version for name, pin in resolution.pins.items()}, **chosen}
        resolutions.append(resolution)
        session.reporter.report(ResolutionFinished(target=target.label, package_count=len(resolution.pins)))
    return resolutions


def _locked_versions(former: FormerLock, upgrades: Upgrades, target: Target) -> dict[str, str]:
    """Versions to keep for a target: those locked for it, then those locked for any."""
    if upgrades.everything:
        return {}
    released = {normalize_name(name) for name in upgrades.packages}
    versions: dict[str, str] = {}
    for side in former.sides:
        locked_target = side.target_for(target.platform)
        if locked_target is not None:
            for package_id in locked_target.package_ids(locked_target.groups):
                package = side.packages[package_id]
                versions.setdefault(package.name, package.version)
    for side in former.sides:
        for name, version in side.preferences():
            versions.setdefault(name, version)
    return {name: version for name, version in versions.items() if name not in released}


def _used_indexes(source: IndexSet, resolutions: Sequence[TargetResolution]) -> tuple[LockedIndex, ...]:
    used = {pin.file.index for resolution in resolutions for pin in resolution.pins.values()}
    return tuple(
        LockedIndex(name=location.name, url=location.clean_url)
        for location in sorted(source.indexes, key=lambda location: location.name)
        if location.name in used
    )
