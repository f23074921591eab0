"""``envforge add`` and ``envforge remove``: edit the manifest, lock, sync; all of it or nothing.

Everything that can fail happens before anything is written: the edited manifest is resolved in
memory, the new environment is built beside the old one, and only then manifest, lock and ``.venv``
are replaced.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from envforge.errors import EnvforgeError
from envforge.host.paths import project_environments_folder
from envforge.lock.diff import LockDiff, diff_locks
from envforge.lock.write import format_lock
from envforge.manifest.edit import add_requirements, remove_requirements
from envforge.model.lock import Lock
from envforge.model.requirement import Requirement, parse_requirement, parse_version
from envforge.store.guard import Guard
from envforge.workflows.lock import up_to_date_lock
from envforge.workflows.project import (
    MANIFEST_NAME,
    FormerLock,
    project_from_text,
    read_former_lock,
    read_text,
    write_text,
)
from envforge.workflows.session import Session
from envforge.workflows.sync import PreparedSync, SyncOptions, SyncReport, finish_sync, prepare_sync
from envforge.workflows.upgrades import Upgrades


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeReport:
    """What ``add`` or ``remove`` did.

    Args:
        recorded: requirement texts that were written to the manifest, or names that were removed.
        where: ``project.dependencies``, ``dependency-groups.dev`` …
        diff: how the lock changed.
        sync: what sync did, None with ``--no-sync``.
    """

    recorded: tuple[str, ...]
    where: str
    diff: LockDiff
    sync: SyncReport | None


def add(
    session: Session,
    requirements: Sequence[str],
    *,
    group: str | None = None,
    extra: str | None = None,
    sync: SyncOptions | None = SyncOptions(),
) -> ChangeReport:
    """Add requirements to the manifest, lock and sync.

    A requirement without a version is recorded with the lower bound that was resolved.

    Args:
        session: the surroundings.
        requirements: PEP 508 texts.
        group: dependency group to add to, None for the project itself.
        extra: optional dependency to add to, None for the project itself.
        sync: how to sync afterwards, None not to.

    Raises:
        EnvforgeError: manifest, lock and environment are as before.
    """
    parsed = [parse_requirement(text) for text in requirements]
    with _alone(session):
        manifest_text = read_text(session.root / MANIFEST_NAME)
        former = read_former_lock(project_from_text(session.root, manifest_text))
        asked_text = add_requirements(manifest_text, [str(item) for item in parsed], group=group, extra=extra)
        asked_lock = up_to_date_lock(project_from_text(session.root, asked_text), former, Upgrades(), session)
        recorded = [_with_lower_bound(requirement, asked_lock) for requirement in parsed]
        text = add_requirements(manifest_text, recorded, group=group, extra=extra)
        diff, sync_report = _apply(session, manifest_text, text, asked_lock, former, sync)
    return ChangeReport(recorded=tuple(recorded), where=_where(group, extra), diff=diff, sync=sync_report)


def remove(
    session: Session,
    names: Sequence[str],
    *,
    group: str | None = None,
    extra: str | None = None,
    sync: SyncOptions | None = SyncOptions(),
) -> ChangeReport:
    """Remove requirements from the manifest, lock and sync.

    Args:
        session: the surroundings.
        names: project names.
        group: dependency group to remove from, None for the project itself.
        extra: optional dependency to remove from, None for the project itself.
        sync: how to sync afterwards, None not to.

    Raises:
        EnvforgeError: manifest, lock and environment are as before.
    """
    with _alone(session):
        manifest_text = read_text(session.root / MANIFEST_NAME)
        former = read_former_lock(project_from_text(session.root, manifest_text))
        text = remove_requirements(manifest_text, names, group=group, extra=extra)
        lock = up_to_date_lock(project_from_text(session.root, text), former, Upgrades(), session)
        diff, sync_report = _apply(session, manifest_text, text, lock, former, sync)
    return ChangeReport(recorded=tuple(names), where=_where(group, extra), diff=diff, sync=sync_report)


def _alone(session: Session) -> AbstractContextManager[None]:
    """One change of a project at a time: the second one starts from what the first one wrote."""
    tier = session.places.tier
    name = project_environments_folder(tier, session.root).name
    guard = Guard(tier / "guards" / f"change-{name}")
    return guard.hold(session.reporter, f"changes to {session.root / MANIFEST_NAME}")


def _apply(
    session: Session,
    old_text: str,
    manifest_text: str,
    lock: Lock,
    former: FormerLock,
    options: SyncOptions | None,
) -> tuple[LockDiff, SyncReport | None]:
    """Build the new environment, then replace manifest, lock and ``.venv``, in this order.

    What fails after the first of them is undone. Killed in between, the manifest is newer than the lock
    or the lock newer than the environment: both are what the next ``lock`` or ``sync`` brings up to date.
    """
    project = project_from_text(session.root, manifest_text)
    lock = replace(lock, inputs=project.inputs)
    prepared: PreparedSync | None = None
    if options is not None:
        prepared = prepare_sync(project, lock, options, session)
    lock_text = format_lock(lock)
    try:
        write_text(session.root / MANIFEST_NAME, manifest_text)
        write_text(project.lock_path, lock_text)
        report = finish_sync(prepared, lock_text, session) if prepared is not None else None
    except (EnvforgeError, KeyboardInterrupt):
        _restore(session.root / MANIFEST_NAME, old_text)
        _restore(project.lock_path, former.text)
        raise
    return diff_locks(former.lock, lock), report


def _restore(path: Path, text: str) -> None:
    """Bring back what a file said; "" for one that did not exist. The failure before is what is told."""
    with suppress(EnvforgeError, OSError):
        if not text:
            path.unlink(missing_ok=True)
        elif path.read_bytes() != text.encode():
            write_text(path, text)


def _with_lower_bound(requirement: Requirement, lock: Lock) -> str:
    """The text to record: as asked, or with the oldest version that any target resolved to."""
    if requirement.specifier or requirement.url:
        return str(requirement)
    versions = [package.version for package in lock.packages.values() if package.name == requirement.name]
    if not versions:  # its marker holds for no target
        return str(requirement)
    return str(replace(requirement, specifier=f">={_short(min(versions, key=parse_version))}"))


def _short(version: str) -> str:
    """``2.15.0`` as ``2.15``: a bound as a person would write it. Local parts cannot stand in bounds."""
    parsed = parse_version(version)
    if parsed.is_prerelease:
        return parsed.public
    release = list(parsed.release)
    while len(release) > 2 and release[-1] == 0:
        release.pop()
    epoch = f"{parsed.epoch}!" if parsed.epoch else ""
    return epoch + ".".join(str(part) for part in release)


def _where(group: str | None, extra: str | None) -> str:
    if group is not None:
        return f"dependency-groups.{group}"
    if extra is not None:
        return f"project.optional-dependencies.{extra}"
    return "project.dependencies"
