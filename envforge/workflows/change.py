"""``envforge add`` and ``envforge remove``: edit the manifest, lock, sync; all of it or nothing.

Everything that can fail happens before anything is written: the edited manifest is resolved in
memory, the new environment is built beside the old one, and only then manifest, lock and ``.venv``
are replaced. Only where the project itself is built, or the manifest is that of a member of a workspace,
it is written before that, for it is read there; what fails then is undone.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from envforge.errors import UsageError
from envforge.host.paths import project_environments_folder
from envforge.lock.diff import LockDiff, diff_locks
from envforge.lock.write import format_lock
from envforge.model.lock import Lock
from envforge.model.sources import PathSource
from envforge.store.guard import Guard
from envforge.struct import Struct, replace
from envforge.workflows.additions import Additions, Place, parse_additions, remove_from
from envforge.workflows.current_lock import up_to_date_lock
from envforge.workflows.edited_manifest import EditedManifest, restore
from envforge.workflows.git_additions import PREFIX, GitAddition, GitWish, read_git_additions
from envforge.workflows.project import (
    MANIFEST_NAME,
    FormerLock,
    Project,
    read_former_lock,
    read_project,
    write_text,
)
from envforge.workflows.session import Session
from envforge.workflows.sync import PreparedSync, SyncOptions, SyncReport, finish_sync, prepare_sync
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
    base = base or root
    others: Sequence[str] = texts
    commits: Sequence[GitAddition] = ()
    if git is not None or any(text.startswith(PREFIX) for text in texts):
        others, commits = read_git_additions(texts, git, session)
    asked = parse_additions(others, place, conda=conda, editable=editable, git=commits, base=base, root=root)
    if member and (asked.conda or place.variant or torch):
        raise _of_workspace(session, member)
    with _alone(session):
        manifest = EditedManifest(session.root, member)
        project = read_project(session.root)
        former = read_former_lock(project)
        if member:
            asked = _with_members(asked, member, project)
        prepared_text = _with_torch_variants(manifest.text, torch, asked, session)
        with manifest.undone_on_failure():
            asked_project = manifest.project_saying(asked.write(prepared_text, manifest.shown_path))
            lock = up_to_date_lock(asked_project, former, Upgrades(), session)
            bounded = asked.with_lower_bounds(lock)
            text = bounded.write(prepared_text, manifest.shown_path)
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
    with _alone(session):
        manifest = EditedManifest(session.root, member)
        former = read_former_lock(read_project(session.root))
        text, where = remove_from(manifest.text, names, place, conda=conda, path=manifest.shown_path)
        with manifest.undone_on_failure():
            lock = up_to_date_lock(manifest.project_saying(text), former, Upgrades(), session)
            diff, report = _apply(session, manifest, text, lock, former, sync)
    return ChangeReport(
        recorded=tuple(names), where=where, manifest=manifest.shown_path, diff=diff, sync=report
    )


def _of_workspace(session: Session, member: str) -> UsageError:
    return UsageError(
        f"conda packages and variants are those of the workspace, {member} is a member of it",
        hints=[f"add them there: envforge --project {session.root} add …"],
    )


def _with_members(asked: Additions, member: str, project: Project) -> Additions:
    """What is added to a member, with those that come from its workspace."""
    names = {
        source.path: name
        for name, source in project.manifest.settings.sources.items()
        if isinstance(source, PathSource) and source.path in project.manifest.member_paths
    }
    own_name = names.pop(f"./{member}", "")
    if any(each.name == own_name and not each.extras for each in asked.requirements):
        raise UsageError(
            "a project cannot require itself", context=[f"{own_name} is the project in {member}"]
        )
    return asked.from_workspace(frozenset(names.values()))


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
    prepared: PreparedSync | None = None
    try:
        if project.manifest.has_build_system:
            manifest.write(text)
        if options is not None:
            prepared = prepare_sync(project, lock, options, session)
        manifest.write(text)
        write_text(project.lock_path, lock_text)
        report = finish_sync(prepared, lock_text, session) if prepared is not None else None
    except BaseException:
        restore(project.lock_path, former.text)
        raise
    return diff_locks(former.lock, lock), report
