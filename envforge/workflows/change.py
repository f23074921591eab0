"""``envforge add`` and ``envforge remove``: edit the manifest, lock, sync; all of it or nothing.

Everything that can fail happens before anything is written: the edited manifest is resolved in
memory, the new environment is built beside the old one, and only then manifest, lock and ``.venv``
are replaced. Only where the project itself is built, the manifest is written before that, for its build
reads it there; what fails then is undone.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from envforge.errors import EnvforgeError
from envforge.host.paths import project_environments_folder
from envforge.lock.diff import LockDiff, diff_locks
from envforge.lock.write import format_lock
from envforge.model.lock import Lock
from envforge.store.guard import Guard
from envforge.struct import Struct, replace
from envforge.workflows.additions import Additions, Place, parse_additions, remove_from
from envforge.workflows.current_lock import up_to_date_lock
from envforge.workflows.git_additions import PREFIX, GitAddition, GitWish, read_git_additions
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


class ChangeReport(Struct, frozen=True, kw_only=True):
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
    texts: Sequence[str],
    *,
    place: Place = Place(),
    conda: bool = False,
    torch: str = "",
    editable: Sequence[str] = (),
    git: GitWish | None = None,
    base: Path | None = None,
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
        base: folder that paths are from, None for the project's.
        sync: how to sync afterwards, None not to.

    Raises:
        EnvforgeError: manifest, lock and environment are as before.
    """
    base, root = base or session.root, session.root
    others: Sequence[str] = texts
    commits: Sequence[GitAddition] = ()
    if git is not None or any(text.startswith(PREFIX) for text in texts):
        others, commits = read_git_additions(texts, git, session)
    asked = parse_additions(others, place, conda=conda, editable=editable, git=commits, base=base, root=root)
    with _alone(session):
        manifest_text = read_text(session.root / MANIFEST_NAME)
        former = read_former_lock(project_from_text(session.root, manifest_text))
        prepared_text = _with_torch_variants(manifest_text, torch, asked, session)
        asked_project = project_from_text(session.root, asked.write(prepared_text))
        lock = up_to_date_lock(asked_project, former, Upgrades(), session)
        bounded = asked.with_lower_bounds(lock)
        text = bounded.write(prepared_text)
        diff, sync_report = _apply(session, manifest_text, text, lock, former, sync)
    return ChangeReport(recorded=bounded.recorded, where=bounded.where, diff=diff, sync=sync_report)


def remove(
    session: Session,
    names: Sequence[str],
    *,
    place: Place = Place(),
    conda: bool = False,
    sync: SyncOptions | None = SyncOptions(),
) -> ChangeReport:
    """Remove packages from the manifest, lock and sync.

    Args:
        session: the surroundings.
        names: project names, or those of conda packages after ``conda:``.
        place: where in the manifest requirements are removed from.
        conda: all names are conda packages.
        sync: how to sync afterwards, None not to.

    Raises:
        EnvforgeError: manifest, lock and environment are as before.
    """
    with _alone(session):
        manifest_text = read_text(session.root / MANIFEST_NAME)
        former = read_former_lock(project_from_text(session.root, manifest_text))
        text, where = remove_from(manifest_text, names, place, conda=conda)
        lock = up_to_date_lock(project_from_text(session.root, text), former, Upgrades(), session)
        diff, sync_report = _apply(session, manifest_text, text, lock, former, sync)
    return ChangeReport(recorded=tuple(names), where=where, diff=diff, sync=sync_report)


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
    lock_text = format_lock(lock)
    manifest_path = session.root / MANIFEST_NAME
    is_built = project.manifest.has_build_system
    prepared: PreparedSync | None = None
    try:
        if is_built:
            write_text(manifest_path, manifest_text)
        if options is not None:
            prepared = prepare_sync(project, lock, options, session)
        if not is_built:
            write_text(manifest_path, manifest_text)
        write_text(project.lock_path, lock_text)
        report = finish_sync(prepared, lock_text, session) if prepared is not None else None
    except BaseException:
        _restore(manifest_path, old_text)
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
