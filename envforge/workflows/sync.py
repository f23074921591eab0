"""``envforge sync``: make ``.venv`` hold exactly what the lock says, for this host.

Lock (unless it is current) → select what this host gets → fetch what the store lacks, build what is no
wheel → build the generation aside → switch ``.venv``. Until the last step the current environment is
untouched; a generation that is there already costs only the switch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from envforge.environment.generation import Generation, create_generation, read_generation
from envforge.environment.spec import GenerationSpec, GenerationTree
from envforge.environment.switch import current_generation, switch
from envforge.fetch.fetch import FetchRequest, fetch_trees
from envforge.host.paths import project_environments_folder
from envforge.lock.write import format_lock
from envforge.model.lock import Lock, LockedFile, LockedPackage
from envforge.model.tree import Tree
from envforge.plan.link_plan import LinkMode
from envforge.store.store import Store, tree_id
from envforge.workflows.building import Workshop, find_project_tree, find_sdist_tree, project_tree, sdist_tree
from envforge.workflows.environments import plan_environment
from envforge.workflows.lock import current_lock, up_to_date_lock
from envforge.workflows.project import Project, read_former_lock, read_project, write_text
from envforge.workflows.resolving import Upgrades
from envforge.workflows.selection import Selection, select
from envforge.workflows.session import Session
from envforge.workflows.stamp import forget_stamp, write_stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncOptions:
    """How to sync.

    Args:
        frozen: never lock; a lock that does not fit the manifest is an error.
        groups: dependency groups beside the default ones.
        extras: the project's optional dependencies to install.
        no_dev: leave the default groups out.
        link_mode: how files get into the environment.
    """

    frozen: bool = False
    groups: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    no_dev: bool = False
    link_mode: LinkMode = LinkMode.SHARED


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageChange:
    """One difference between two environments; ``old`` or ``new`` is "" for what is not there."""

    name: str
    old: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncReport:
    """What ``sync`` did, or with ``dry_run`` would do.

    Args:
        venv: the project's ``.venv``.
        generation: folder of the environment it points to, None in a dry run that found none.
        python: version of its interpreter.
        package_count: distributions in it, the project itself not counted.
        changes: against what ``.venv`` held before, sorted by name.
        fetched_count: archives that had to be downloaded (dry run: would have to be).
        locked: whether the lock was renewed on the way.
        changed: whether ``.venv`` points (would point) to another generation than before.
        dry_run: nothing was done.
    """

    venv: Path
    generation: Path | None
    python: str
    package_count: int
    changes: tuple[PackageChange, ...] = ()
    fetched_count: int = 0
    locked: bool = False
    changed: bool = True
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedSync:
    """An environment that is ready to be switched to.

    Args:
        project: whose it is.
        generation: complete.
        report: what finishing will have done.
        is_plain: made with default options, so that a stamp may vouch for it.
    """

    project: Project
    generation: Generation
    report: SyncReport
    is_plain: bool


def sync(session: Session, options: SyncOptions = SyncOptions()) -> SyncReport:
    """Make ``.venv`` what the lock says; lock first if the manifest has changed.

    Raises:
        EnvforgeError: the current environment is untouched.
    """
    project, lock, is_new = _wanted_lock(session, options)
    prepared = prepare_sync(project, lock, options, session, locked=is_new)
    if is_new:
        write_text(project.lock_path, format_lock(lock))
    return finish_sync(prepared, session)


def plan_sync(session: Session, options: SyncOptions = SyncOptions()) -> SyncReport:
    """What :func:`sync` would do; no environment is made, nothing is fetched or built.

    Raises:
        EnvforgeError: what sync would fail with, as far as it can be known.
    """
    project, lock, is_new = _wanted_lock(session, options)
    bench = _open_bench(project, lock, options, session)
    trees = _known_trees(bench)
    generation = None
    if trees is not None:
        generation = read_generation(bench.environments / _spec(bench, trees).digest)
    current = current_generation(project.venv)
    return SyncReport(
        venv=project.venv,
        generation=current.path if current else None,
        python=bench.selection.interpreter.version,
        package_count=len(bench.selection.packages),
        changes=_changes(current, bench.selection),
        fetched_count=len(_missing(bench)),
        locked=is_new,
        changed=generation is None or current is None or current.path != generation.path,
        dry_run=True,
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
    """
    bench = _open_bench(project, lock, options, session)
    missing = _missing(bench)
    trees = _known_trees(bench)
    found = read_generation(bench.environments / _spec(bench, trees).digest) if trees else None
    generation = found or _create(bench)
    current = current_generation(project.venv)
    report = SyncReport(
        venv=project.venv,
        generation=generation.path,
        python=bench.selection.interpreter.version,
        package_count=len(bench.selection.packages),
        changes=_changes(current, bench.selection),
        fetched_count=0 if found else len(missing),
        locked=locked,
        changed=current is None or current.path != generation.path,
    )
    is_plain = replace(options, frozen=False) == SyncOptions() and not project.manifest.has_build_system
    return PreparedSync(project=project, generation=generation, report=report, is_plain=is_plain)


def finish_sync(prepared: PreparedSync, session: Session) -> SyncReport:
    """Point ``.venv`` to the prepared environment."""
    root, path = str(prepared.project.root), str(prepared.generation.path)
    forget_stamp(path)
    switch(prepared.project.venv, prepared.generation, now_s=session.now_s)
    if prepared.is_plain:
        write_stamp(root, path, session.environ)
    return prepared.report


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bench:
    """What making one environment needs, gathered."""

    project: Project
    selection: Selection
    options: SyncOptions
    session: Session
    store: Store
    environments: Path
    workshop: Workshop


def _wanted_lock(session: Session, options: SyncOptions) -> tuple[Project, Lock, bool]:
    """The project, the lock to sync to, and whether that lock is new."""
    project = read_project(session.root)
    former = read_former_lock(project)
    if options.frozen:
        return project, current_lock(project, former), False
    lock = up_to_date_lock(project, former, Upgrades(), session)
    return project, lock, lock is not former.lock


def _open_bench(project: Project, lock: Lock, options: SyncOptions, session: Session) -> _Bench:
    selection = select(project, lock, options, session)
    store = Store(session.places.tier)
    return _Bench(
        project=project,
        selection=selection,
        options=options,
        session=session,
        store=store,
        environments=project_environments_folder(session.places.tier, session.root),
        workshop=Workshop(
            manifest=project.manifest, interpreter=selection.interpreter, store=store, session=session
        ),
    )


def _create(bench: _Bench) -> Generation:
    """Fetch, build and link what the selection needs."""
    trees = [*_fetched(bench), *_built(bench)]
    links = [GenerationTree(tree.name, tree.version, tree.id, _mode(tree.name, bench)) for tree in trees]
    spec = _spec(bench, links)
    plan = plan_environment(trees, spec, bench.project.manifest.settings.unshare, bench.store, bench.session)
    return create_generation(spec, plan, bench.store.root, bench.environments, bench.session.reporter)


def _fetched(bench: _Bench) -> list[Tree]:
    """Trees of all locked wheels."""
    session = bench.session
    requests = [_request(package, file) for package, file in _files(bench) if _is_wheel(file)]
    trees = fetch_trees(
        requests, bench.store, session.network, session.reporter, archives=session.places.archives
    )
    return [trees[request.sha256] for request in requests]


def _built(bench: _Bench) -> list[Tree]:
    """Trees of what is locked as an sdist, and of the project itself."""
    trees = [
        sdist_tree(package, file, bench.workshop) for package, file in _files(bench) if not _is_wheel(file)
    ]
    if bench.project.manifest.has_build_system:
        trees.append(project_tree(bench.project, bench.workshop))
    return trees


def _known_trees(bench: _Bench) -> list[GenerationTree] | None:
    """What the environment consists of, without looking at wheels in the store; None if builds are due."""
    trees = []
    for package, file in _files(bench):
        tree = None if _is_wheel(file) else find_sdist_tree(file, bench.workshop)
        if tree is None and not _is_wheel(file):
            return None
        found_id = tree.id if tree else tree_id(file.sha256)
        trees.append(GenerationTree(package.name, package.version, found_id, _mode(package.name, bench)))
    if bench.project.manifest.has_build_system:
        own = find_project_tree(bench.project, bench.workshop)
        if own is None:
            return None
        trees.append(GenerationTree(own.name, own.version, own.id, _mode(own.name, bench)))
    return trees


def _spec(bench: _Bench, trees: Sequence[GenerationTree]) -> GenerationSpec:
    return GenerationSpec(
        target=bench.selection.target.id,
        groups=bench.selection.groups,
        interpreter=bench.selection.interpreter,
        link_mode=bench.options.link_mode,
        trees=tuple(sorted(trees, key=lambda tree: tree.name)),
        venv=str(bench.project.venv),
        prompt=bench.project.manifest.name,
    )


def _mode(name: str, bench: _Bench) -> LinkMode:
    unshared = name in bench.project.manifest.settings.unshare
    return LinkMode.COPY if unshared else bench.options.link_mode


def _files(bench: _Bench) -> list[tuple[LockedPackage, LockedFile]]:
    target_id = bench.selection.target.id
    return [(package, package.file_for(target_id)) for package in bench.selection.packages]


def _missing(bench: _Bench) -> list[LockedPackage]:
    """Packages whose archives are not unpacked in the store yet."""
    return [
        package
        for package, file in _files(bench)
        if _is_wheel(file) and bench.store.find_tree(file.sha256) is None
    ]


def _is_wheel(file: LockedFile) -> bool:
    return file.filename.endswith(".whl")


def _request(package: LockedPackage, file: LockedFile) -> FetchRequest:
    return FetchRequest(
        name=package.name,
        version=package.version,
        url=file.url,
        sha256=file.sha256,
        size_bytes=file.size_bytes,
        index=package.index,
    )


def _changes(current: Generation | None, selection: Selection) -> tuple[PackageChange, ...]:
    """What a switch from the current environment changes."""
    old: Mapping[str, str] = {tree.name: tree.version for tree in current.spec.trees} if current else {}
    new = {package.name: package.version for package in selection.packages}
    return tuple(
        PackageChange(name=name, old=old.get(name, ""), new=new.get(name, ""))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    )
