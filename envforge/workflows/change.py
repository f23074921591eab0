"""``envforge add`` and ``envforge remove``: edit the manifest, lock, sync; all of it or nothing.

Everything that can fail happens before anything is written: the edited manifest is resolved in
memory, the new environment is built beside the old one, and only then manifest, lock and ``.venv``
are replaced. Only where a build reads the manifest where it stands, it is written before that; what fails
then is undone.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from envforge.host.paths import project_environments_folder
from envforge.lock.diff import LockDiff, diff_locks
from envforge.lock.write import format_lock
from envforge.model.lock import Lock
from envforge.store.guard import Guard
from envforge.struct import Struct, replace
from envforge.workflows.additions import Additions, Place, parse_additions, remove_from
from envforge.workflows.current_lock import up_to_date_lock
from envforge.workflows.edited_manifest import EditedManifest, RewrittenFile
from envforge.workflows.git_additions import PREFIX, GitAddition, GitWish, read_git_additions
from envforge.workflows.member_changes import (
    from_workspace,
    refuse_extra_of_member,
    refuse_for_member,
    with_bounds,
)
from envforge.workflows.project import FormerLock, read_former_lock, read_project
from envforge.workflows.project_root import MANIFEST_NAME
from envforge.workflows.session import Session
from envforge.workflows.sync import PreparedSync, finish_sync, prepare_sync
from envforge.workflows.sync_options import SyncOptions
from envforge.workflows.sync_report import SyncReport
from envforge.workflows.upgrades import Upgrades


class ChangeReport(Struct, frozen=True, kw_only=True):
    """What ``add`` or ``remove`` did.

    Args:
        recorded: requirement texts that were written to the manifest, or names that were removed.
        where: ``project.dependencies``, ``dependency-groups.dev`` …
        manifest: path of the manifest that was edited, from the project's folder.
        diff: how the lock changed.
        sync: what sync did, None with ``--no-sync``.
    """

    recorded: tuple[str, ...]
    where: str
    manifest: str
    diff: LockDiff
    sync: SyncReport | None


def add(
    session: Session,
    texts: Sequence[str],
    *,
    place: Place = Place(),
    conda: bool = False,
    torch: str = "",
    editable: Sequence[str] = (),
    git: GitWish | None = None,
    base: Path | None = None,
    member: str = "",
    sync: SyncOptions | None = SyncOptions(),
) -> ChangeReport:
    """Add packages to the manifest, lock and sync.

    One without a version is recorded with the lower bound that was resolved.

    Args:
        session: the surroundings.
        texts: PEP 508 requirements, or conda's match specs after ``conda:``.
        place: where in the manifest requirements go.
        conda: all texts are match specs.
        torch: write variants for torch's builds: ``auto``, or the one index to take it from; "" for none.
        editable: paths of folders to be used where they stand.
        git: the repository of what is named, None for an index.
        base: folder that paths are from, None for the manifest's.
        member: path of the workspace's member to add to, ``""`` for the project itself.
        sync: how to sync afterwards, None not to.

    Raises:
        UsageError: what is added has its place in the workspace's manifest.
        EnvforgeError: manifest, lock and environment are as before.
    """
    root = session.root / member
    others: Sequence[str] = texts
    commits: Sequence[GitAddition] = ()
    if member:
        refuse_for_member(texts, place, member, session.root, conda=conda, torch=torch)
        refuse_extra_of_member(place, member)
    if git is not None or any(text.startswith(PREFIX) for text in texts):
        others, commits = read_git_additions(texts, git, session)
    asked = parse_additions(
        others, place, conda=conda, editable=editable, git=commits, base=base or root, root=root
    )
    with _alone(session):
        project = read_project(session.root)
        former = known = read_former_lock(project)
        manifest = EditedManifest(session.root, member)
        if member:
            asked = from_workspace(asked, member, project)
            asked, known = with_bounds(asked, member, project, former, session)
        text = _with_torch_variants(manifest.text, torch, asked, session)
        with manifest.undone_on_failure():
            lock = _resolve(manifest, asked.write(text, manifest.shown_path, manifest.check), known, session)
            bounded = asked.with_lower_bounds(lock)
            text = bounded.write(text, manifest.shown_path, manifest.check)
            diff, report = _apply(session, manifest, text, lock, former, sync)
    return ChangeReport(
        recorded=bounded.recorded, where=bounded.where, manifest=manifest.shown_path, diff=diff, sync=report
    )


def remove(
    session: Session,
    names: Sequence[str],
    *,
    place: Place = Place(),
    conda: bool = False,
    member: str = "",
    sync: SyncOptions | None = SyncOptions(),
) -> ChangeReport:
    """Remove packages from the manifest, lock and sync.

    Args:
        session: the surroundings.
        names: project names, or those of conda packages after ``conda:``.
        place: where in the manifest requirements are removed from.
        conda: all names are conda packages.
        member: path of the workspace's member to remove from, ``""`` for the project itself.
        sync: how to sync afterwards, None not to.

    Raises:
        EnvforgeError: manifest, lock and environment are as before.
    """
    if member:
        refuse_for_member(names, place, member, session.root, conda=conda)
    with _alone(session):
        former = read_former_lock(read_project(session.root))
        manifest = EditedManifest(session.root, member)
        text, where = remove_from(
            manifest.text, names, place, conda=conda, path=manifest.shown_path, check=manifest.check
        )
        with manifest.undone_on_failure():
            lock = _resolve(manifest, text, former, session)
            diff, report = _apply(session, manifest, text, lock, former, sync)
    return ChangeReport(
        recorded=tuple(names), where=where, manifest=manifest.shown_path, diff=diff, sync=report
    )


def _resolve(manifest: EditedManifest, text: str, former: FormerLock, session: Session) -> Lock:
    """The lock of the project whose manifest says ``text``."""
    project = manifest.project_saying(text)
    if manifest.is_asked(project):
        manifest.write(text)
    return up_to_date_lock(project, former, Upgrades(), session)


def _with_torch_variants(manifest_text: str, choice: str, asked: Additions, session: Session) -> str:
    if not choice:
        return manifest_text
    from envforge.workflows.torch_builds import write_torch_variants

    return write_torch_variants(manifest_text, choice, asked.requirements, session.environ)


def _alone(session: Session) -> AbstractContextManager[object]:
    """One change of a project at a time: the second one starts from what the first one wrote."""
    tier = session.places.tier
    name = project_environments_folder(tier, session.root).name
    guard = Guard(tier / "guards" / f"change-{name}")
    return guard.hold(session.reporter, f"changes to {session.root / MANIFEST_NAME}")


def _apply(
    session: Session,
    manifest: EditedManifest,
    text: str,
    lock: Lock,
    former: FormerLock,
    options: SyncOptions | None,
) -> tuple[LockDiff, SyncReport | None]:
    """Build the new environment, then replace manifest, lock and ``.venv``, in this order.

    What fails after the first of them is undone. Killed in between, the manifest is newer than the lock
    or the lock newer than the environment: both are what the next ``lock`` or ``sync`` brings up to date.
    """
    project = manifest.project_saying(text)
    lock = replace(lock, inputs=project.inputs)
    lock_text = format_lock(lock)
    lock_file = RewrittenFile(project.lock_path, former.text or None)
    prepared: PreparedSync | None = None
    with lock_file.undone_on_failure():
        if manifest.is_built(project):
            manifest.write(text)
        if options is not None:
            prepared = prepare_sync(project, lock, options, session)
        manifest.write(text)
        lock_file.write(lock_text)
        report = finish_sync(prepared, lock_text, session) if prepared is not None else None
    return diff_locks(former.lock, lock), report
