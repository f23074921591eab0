"""The lock that a command works with: the one on disk, made anew where it does not fit the manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envforge.errors import LockError
from envforge.model.lock import Lock
from envforge.workflows.project import FormerLock, Project
from envforge.workflows.session import Session
from envforge.workflows.upgrades import Upgrades

if TYPE_CHECKING:
    from envforge.manifest.manifest import Manifest, Settings
    from envforge.model.requirement import Requirement
    from envforge.model.target import Target


def up_to_date_lock(project: Project, former: FormerLock, upgrades: Upgrades, session: Session) -> Lock:
    """The former lock if it still fits the manifest and no upgrade is asked for, else a new one."""
    if former.lock is not None and not upgrades.asked and former.lock.fits(project.inputs):
        return former.lock
    from envforge.workflows.resolving import resolve_lock

    return resolve_lock(project, former, upgrades, session)


def current_lock(project: Project, former: FormerLock) -> Lock:
    """The lock on disk, which has to fit the manifest (``--frozen``, ``--check``).

    Raises:
        LockError: there is none, it is in conflict, or it does not fit.
    """
    if former.lock is None:
        what = f"{project.lock_path.name} has git conflict markers" if former.text else "there is no lock"
        raise LockError(what, context=[str(project.lock_path)], hints=["run: envforge lock"])
    if not former.lock.fits(project.inputs):
        raise LockError(
            f"{project.lock_path.name} does not fit {project.manifest.path}",
            context=_reasons_to_lock(project, former.lock),
            hints=["run: envforge lock"],
        )
    return former.lock


def _reasons_to_lock(project: Project, lock: Lock) -> list[str]:
    from envforge.lock.check import reasons_to_lock
    from envforge.manifest.targets import manifest_targets

    settings = project.manifest.settings
    targets = manifest_targets(settings, "3")
    return reasons_to_lock(
        lock,
        project.inputs,
        targets=[target.id for target in targets],
        groups=wanted_groups(project.manifest),
        conda={target.id: _conda_specs(settings, target) for target in targets},
    )


def wanted_groups(manifest: Manifest) -> dict[str, dict[str, tuple[Requirement, ...]]]:
    """Variant → group → its requirements, as the manifest's overrides leave them."""
    from envforge.manifest.requirements import requirements_by_variant
    from envforge.manifest.rules import manifest_rules

    rules = manifest_rules(manifest)
    return {
        variant: {group: tuple(rules.overridden(wanted)) for group, wanted in groups.items()}
        for variant, groups in requirements_by_variant(manifest).items()
    }


def _conda_specs(settings: Settings, target: Target) -> list[str]:
    """Match specs of the conda packages that the manifest asks for on a target."""
    wanted = settings.conda_dependencies_of(settings.variant(target.variant))
    return [each.match_spec for each in wanted if each.is_wanted_on(target.platform)]
