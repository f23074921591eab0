"""``envforge sync``: make ``.venv`` hold exactly what the lock says, for this host.

Lock (unless it is current) → select what this host gets → fetch what the store lacks, build what is no
wheel → build the generation aside → switch ``.venv``. Until the last step the current environment is
untouched; a generation that is there already costs only the switch. What was made of a manifest and a lock
alone is kept as a blueprint, for :mod:`.sync_again`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from envforge.environment.generation import Generation
from envforge.environment.switch import check_replaceable, meant_generation, recorded_generation
from envforge.host.visibility import is_shared
from envforge.model.conda import CondaRecord
from envforge.model.lock import Lock
from envforge.model.names import normalize_name
from envforge.store.layout import tree_id
from envforge.store.store import Store
from envforge.struct import Struct, replace
from envforge.workflows.assembly import (
    Assembled,
    Assembly,
    assemble,
    find_assembled,
    missing_packages,
    missing_records,
    noted_builds,
    open_assembly,
    wheel_ids,
)
from envforge.workflows.blueprint import Blueprint, digest_files, inputs_of, keep_blueprint
from envforge.workflows.current_lock import current_lock, up_to_date_lock
from envforge.workflows.pointing import point_to
from envforge.workflows.preflight import check_room, find_needs
from envforge.workflows.project import (
    FormerLock,
    Project,
    project_from_text,
    read_former_lock,
    read_project,
    write_text,
)
from envforge.workflows.purged import any_witness, look_for_remains, take_out
from envforge.workflows.session import Session
from envforge.workflows.stamp import write_stamp
from envforge.workflows.sync_options import SyncOptions
from envforge.workflows.sync_report import PackageChange, SyncReport
from envforge.workflows.upgrades import Upgrades
from envforge.workflows.variants import remember_choice

if TYPE_CHECKING:
    from envforge.workflows.host_check import Verdict


class Watched(Struct, frozen=True, kw_only=True):
    """Folders and files outside of manifest and lock.

    Args:
        entries: see :mod:`.watch`.
        state: theirs, before the environment was made.
        is_telling: as long as it is the same, the environment is up to date.
    """

    entries: tuple[str, ...] = ()
    state: bytes = b""
    is_telling: bool = True


class PreparedSync(Struct, frozen=True, kw_only=True):
    """An environment that is ready to be switched to.

    Args:
        project: whose it is.
        generation: complete.
        report: what finishing will have done.
        is_plain: made with default options, so that a stamp may vouch for it.
        witness: a file of what it stands on that a purge would take among the first.
        watched: what outside of manifest and lock has a say.
        blueprint: of an environment that was made now, and follows from manifest, lock and host alone.
    """

    project: Project
    generation: Generation
    report: SyncReport
    is_plain: bool
    witness: str
    watched: Watched
    blueprint: Blueprint | None


def sync(session: Session, options: SyncOptions = SyncOptions()) -> SyncReport:
    """Make ``.venv`` what the lock says; lock first if the manifest has changed.

    Raises:
        EnvforgeError: the current environment is untouched.
    """
    project, lock, former = _wanted_lock(session, options)
    is_new = lock is not former.lock
    prepared = prepare_sync(project, lock, options, session, locked=is_new)
    lock_text = former.text
    if is_new:
        from envforge.lock.write import format_lock

        lock_text = format_lock(lock)
        write_text(project.lock_path, lock_text)
    return replace(finish_sync(prepared, lock_text, session), had_lock=bool(former.text))


def plan_sync(session: Session, options: SyncOptions = SyncOptions()) -> SyncReport:
    """What :func:`sync` would do; no environment is made, nothing is fetched or built.

    Raises:
        EnvforgeError: what sync would fail with, as far as it can be known.
    """
    project, lock, former = _wanted_lock(session, options)
    assembly = open_assembly(project, lock, options, session)
    generation = find_assembled(assembly)
    if generation is None or generation.path != meant_generation(project.venv):
        _check_host(assembly, lock, options, generation)
    remains = look_for_remains(generation, wheel_ids(assembly), assembly.store)
    whole = generation is not None and not (remains.purged or remains.is_damaged)
    missing, records = missing_packages(assembly), missing_records(assembly)
    purged = [package for package, file in assembly.files if tree_id(file.sha256) in remains.purged]
    current = recorded_generation(project.venv)
    return SyncReport(
        venv=project.venv,
        generation=current.path if current else None,
        python=assembly.selection.python_version,
        package_count=len(assembly.installed) + len(assembly.selection.records),
        changes=_changes(current, assembly),
        fetched_count=len(missing) + len(records) + len(purged),
        locked=lock is not former.lock,
        had_lock=bool(former.text),
        changed=not whole or current is None or generation is None or current.path != generation.path,
        dry_run=True,
        variant=assembly.selection.variant,
        repaired=generation is not None and not whole,
        room=() if whole else find_needs(assembly, [*missing, *purged], records),
    )


def prepare_sync(
    project: Project, lock: Lock, options: SyncOptions, session: Session, *, locked: bool = True
) -> PreparedSync:
    """Build the environment for a lock, or find it; ``.venv`` stays what it is.

    Args:
        project: whose it is.
        lock: fits the project's manifest.
        options: how to sync.
        session: the surroundings.
        locked: whether the lock is new, for the report.

    Raises:
        GenerationError: something that envforge did not make stands where ``.venv`` belongs.
        EnvforgeError: the environment cannot be made.
    """
    check_replaceable(project.venv)  # before gigabytes are fetched for a place that is taken
    meant = meant_generation(project.venv)  # now: another process may make it meanwhile
    assembly = open_assembly(project, lock, options, session)
    watched = _look(assembly)
    found = find_assembled(assembly)
    remains = look_for_remains(found, wheel_ids(assembly), assembly.store)
    take_out(remains, found, assembly.store, session)
    missing = missing_packages(assembly)
    records = missing_records(assembly)
    verdict = None
    if found is None or found.path != meant:
        verdict = _check_host(assembly, lock, options, found)
    # A generation whose trees were purged has links that lead nowhere: fetching them again mends it.
    usable = found is not None and not (missing or remains.purged or remains.is_damaged)
    if not usable:
        assembly.store.prepare()  # what cannot be written to at all has no room either
        check_room(find_needs(assembly, missing, records), session)
    assembled = None if usable else assemble(assembly)
    generation = assembled.generation if assembled else found
    assert generation is not None
    current = recorded_generation(project.venv)
    report = SyncReport(
        venv=project.venv,
        generation=generation.path,
        python=assembly.selection.python_version,
        package_count=len(assembly.installed) + len(assembly.selection.records),
        changes=_changes(current, assembly),
        fetched_count=len(missing) + len(records),
        locked=locked,
        changed=current is None or current.path != generation.path,
        variant=assembly.selection.variant,
        repaired=not usable and (found is not None or meant == generation.path),
    )
    return PreparedSync(
        project=project,
        generation=generation,
        report=report,
        is_plain=options.is_plain and watched.is_telling,
        witness=remains.witness or any_witness(generation, assembly.store),
        watched=watched,
        blueprint=_blueprint(assembly, assembled, verdict),
    )


def _blueprint(assembly: Assembly, assembled: Assembled | None, verdict: Verdict | None) -> Blueprint | None:
    """What was made now, if it follows from manifest, lock and host alone.

    Also with sdists that were built: it names their records. Not with commits, whose versions a build may
    compute, and nothing that is copied: that needs room, which has to be looked for.
    """
    if assembled is None or verdict is None or not verdict.is_clear:
        return None
    manifest, selection = assembly.project.manifest, assembly.selection
    settings = manifest.settings
    if _may_watch(assembly) or assembly.commits or selection.conda is not None:
        return None
    if settings.variants or settings.unshare:
        return None
    builds = noted_builds(assembly)
    if builds is None:
        return None
    return Blueprint(
        python=selection.target.target.python,
        requires_python=manifest.requires_python,
        facts=verdict.facts,
        warnings=verdict.warnings,
        project=manifest.name,
        builds=builds,
        spec=assembled.generation.spec,
        plan=assembled.plan,
    )


def _look(assembly: Assembly) -> Watched:
    """Look at folders that have a say before they are used: what changes then is seen next time."""
    project = assembly.project
    if not _may_watch(assembly):
        return Watched()
    from envforge.workflows.watch import watched_state
    from envforge.workflows.watched import watched_entries

    entries = watched_entries(assembly)
    if entries is None:
        return Watched(is_telling=False)
    state = watched_state(entries)
    # what the lock was compared with was read before
    is_telling = project_from_text(project.root, project.manifest_text).inputs == project.inputs
    return Watched(entries=tuple(entries), state=state, is_telling=is_telling)


def _may_watch(assembly: Assembly) -> bool:
    """Whether other folders may have a say."""
    project = assembly.project
    return bool(project.folders or project.manifest.has_build_system or project.manifest.settings.workspace)


def finish_sync(prepared: PreparedSync, lock_text: str, session: Session) -> SyncReport:
    """Point ``.venv`` to the prepared environment, which is that of a lock with this text."""
    root, path = str(prepared.project.root), str(prepared.generation.path)
    manifest, lock = prepared.project.manifest_text.encode(), lock_text.encode()
    point_to(prepared.generation, session)
    remember_choice(prepared.project.manifest, prepared.report.variant, session)
    if prepared.is_plain:
        if prepared.blueprint is not None:
            inputs = inputs_of(digest_files(manifest, lock), prepared.blueprint.facts, session.environ)
            keep_blueprint(prepared.blueprint, inputs, Store(session.places.tier))
        watched = prepared.watched
        write_stamp(
            root,
            path,
            session.environ,
            [manifest, lock, watched.state] if watched.entries else [manifest, lock],
            only_here=bool(prepared.project.manifest.settings.variants) or is_shared(root),
            witness=prepared.witness,
            watched=watched.entries,
        )
    return prepared.report


def _wanted_lock(session: Session, options: SyncOptions) -> tuple[Project, Lock, FormerLock]:
    """The project, the lock to sync to, and what was on disk: the same lock, unless that is new."""
    project = read_project(session.root)
    former = read_former_lock(project)
    if options.frozen:
        return project, current_lock(project, former), former
    return project, up_to_date_lock(project, former, Upgrades(), session), former


def _check_host(assembly: Assembly, lock: Lock, options: SyncOptions, found: Generation | None) -> Verdict:
    """Look whether this host can use an environment, before anything is downloaded; a made one may stay."""
    from envforge.workflows.host_check import check_host

    return check_host(assembly, lock, ignore=options.ignore_host, is_there=found is not None)


def _changes(current: Generation | None, assembly: Assembly) -> tuple[PackageChange, ...]:
    """What a switch from the current environment changes, the project itself left out: it is not locked."""
    own = normalize_name(assembly.project.manifest.name)
    installed = current.spec.trees if current else ()
    old = {tree.name: tree.version for tree in installed if tree.name != own}
    new = {package.name: package.version for package in assembly.installed}
    changes = [
        PackageChange(name=name, old=old.get(name, ""), new=new.get(name, ""))
        for name in old.keys() | new.keys()
        if old.get(name) != new.get(name)
    ]
    changes += _conda_changes(current, assembly.selection.records)
    return tuple(sorted(changes, key=lambda change: (change.name, change.ecosystem)))


def _conda_changes(current: Generation | None, records: Iterable[CondaRecord]) -> Iterator[PackageChange]:
    """The conda part of the difference; builds are named where versions are the same."""
    prefix = current.spec.prefix if current else None
    old = {package.name: (package.version, package.build) for package in (prefix.packages if prefix else ())}
    new = {record.name: (record.version, record.build) for record in records}
    for name in old.keys() | new.keys():
        before, after = old.get(name, ("", "")), new.get(name, ("", ""))
        if before != after:
            parts = 2 if before[0] == after[0] else 1
            yield PackageChange(
                name=name, old=" ".join(before[:parts]), new=" ".join(after[:parts]), ecosystem="conda"
            )
