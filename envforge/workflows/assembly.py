"""What an environment is assembled from: locked wheels, what has to be built, the project itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from envforge.environment.generation import (
    Generation,
    create_generation,
    note_generation,
    read_generation,
)
from envforge.environment.spec import GenerationSpec, GenerationTree
from envforge.environment.tenants import record_tenant
from envforge.errors import StoreError
from envforge.host.paths import project_environments_folder
from envforge.model.conda import CondaRecord
from envforge.model.lock import Lock, LockedFile, LockedPackage
from envforge.model.sources import FolderMode, FolderOrigin, GitOrigin
from envforge.model.tree import Tree
from envforge.plan.link_plan import LinkMode, LinkPlan
from envforge.store.layout import tree_id
from envforge.store.store import Store
from envforge.struct import Struct, replace
from envforge.workflows.environments import plan_environment
from envforge.workflows.file_places import placed_url
from envforge.workflows.parts import is_prefix_there, note_parts
from envforge.workflows.project import Project
from envforge.workflows.selection import Selection, select
from envforge.workflows.session import Session
from envforge.workflows.stores import open_store

if TYPE_CHECKING:
    from envforge.workflows.build_orders import Order
    from envforge.workflows.sync_options import SyncOptions
    from envforge.workflows.workshop import Workshop

_ATTEMPTS = 5


class Assembly(Struct, frozen=True, kw_only=True):
    """Everything that making one environment needs.

    Args:
        project: whose environment.
        lock: it is of.
        selection: what of the lock this host gets.
        link_mode: how files get into the environment.
        session: places, network, reporter.
        store: of the tier.
        environments: the project's folder of generations.
        files: what the lock has for this host; conda's part has no say in it.
    """

    project: Project
    lock: Lock
    selection: Selection
    link_mode: LinkMode
    session: Session
    store: Store
    environments: Path
    files: Sequence[tuple[LockedPackage, LockedFile]]

    @property
    def installed(self) -> list[LockedPackage]:
        """All packages of PyPI but the folders that only stand for what they require."""
        return [package for package in self.selection.packages if not _is_virtual(package)]

    @property
    def folders(self) -> list[LockedPackage]:
        """Packages that come from a folder and are installed."""
        return [package for package in self.installed if isinstance(package.origin, FolderOrigin)]

    @property
    def commits(self) -> list[LockedPackage]:
        """Packages that come from git."""
        return [package for package in self.selection.packages if isinstance(package.origin, GitOrigin)]

    @property
    def builds_nothing(self) -> bool:
        """Whether all is of wheels."""
        sdists = any(not _is_wheel(file) for _, file in self.files)
        return not (sdists or self.folders or self.commits or self.project.manifest.has_build_system)

    @property
    def workshop(self) -> Workshop:
        """Where what is no wheel is built."""
        from envforge.workflows.workshop import Locked, Workshop

        return Workshop(
            manifest=self.project.manifest,
            interpreter=self.selection.interpreter,
            store=self.store,
            session=self.session,
            locked=Locked(self.lock, self.selection.target),
        )


def open_assembly(project: Project, lock: Lock, options: SyncOptions, session: Session) -> Assembly:
    """Gather what an environment for a lock needs.

    Raises:
        LockError, UsageError, HostError, InterpreterError: see :func:`envforge.workflows.selection.select`.
    """
    selection = select(project, lock, options, session)
    packages = (package for package in selection.packages if package.has_files)
    return Assembly(
        project=project,
        lock=lock,
        selection=selection,
        link_mode=options.link_mode,
        session=session,
        store=open_store(session.places.tier, session),
        environments=project_environments_folder(session.places.tier, session.root),
        files=[(package, package.file_for(selection.target.id)) for package in packages],
    )


def lacks_prefix(assembly: Assembly) -> bool:
    """Whether the environment has a conda part whose prefix is not there."""
    conda = assembly.selection.conda
    return conda is not None and conda.prefix is None


def find_assembled(assembly: Assembly) -> Generation | None:
    """The generation, if it was made before; costs no look at the wheels' trees."""
    if lacks_prefix(assembly):
        return None
    trees = _known_trees(assembly)
    if trees is None:
        return None
    found = read_generation(assembly.environments / _spec(assembly, trees).digest)
    if found is None or assembly.store.lacks_links(tree.id for tree in trees):
        return None
    return found if note_generation(found) else None


class Assembled(Struct, frozen=True):
    """An environment that was made, and the links that it consists of."""

    generation: Generation
    plan: LinkPlan


def assemble(assembly: Assembly) -> Assembled:
    """Make the conda prefix, fetch, build and link.

    Raises:
        EnvforgeError: nothing half-done is left.
    """
    assembly.store.prepare()  # what cannot be written is told before anything is fetched
    assembly = _with_prefix(assembly)
    assembly.store.sweep()
    record_tenant(assembly.environments, assembly.session.root)
    for _ in range(_ATTEMPTS):
        trees = [*_fetched(assembly), *_built(assembly)]
        spec = _spec(assembly, [_linked(tree.name, tree.version, tree.id, assembly) for tree in trees])
        unshared = assembly.project.manifest.settings.unshare
        try:
            plan = plan_environment(trees, spec, unshared, assembly.store, assembly.session)
            generation = create_generation(
                spec, plan, assembly.store.root, assembly.environments, assembly.session.reporter
            )
        except StoreError:
            if note_parts(spec, None, assembly.store):
                raise
        else:
            # what is lost is fetched again under the same name: the generation need not be made anew
            if note_parts(spec, plan, assembly.store):
                return Assembled(generation, plan)
        assembly = _with_prefix(assembly)
    raise StoreError(
        "packages are taken out of the store faster than an environment can be made of them",
        context=[f"path: {assembly.store.root}"],
        hints=["see what else removes files there, then run the command again"],
    )


def _with_prefix(assembly: Assembly) -> Assembly:
    """The same with the conda prefix that it stands on; the wheels are fetched while it is made."""
    selection = assembly.selection
    conda = selection.conda
    if conda is None or (conda.prefix is not None and is_prefix_there(str(conda.prefix.path))):
        return assembly
    from envforge.workflows.beside import Beside
    from envforge.workflows.prefixes import make_stock

    with Beside(lambda cancellation: make_stock(conda, assembly.session, cancellation)) as prefix:
        _fetched(assembly, prefix.check)
        made = prefix.result()
    return replace(assembly, selection=replace(selection, conda=made))


def missing_records(assembly: Assembly) -> list[CondaRecord]:
    """Conda packages that have to be downloaded for the prefix."""
    if not lacks_prefix(assembly):
        return []
    from envforge.workflows import prefixes

    return prefixes.missing_records(assembly.selection.conda, assembly.session)


def wheel_ids(assembly: Assembly) -> list[str]:
    """Ids of the trees of all locked wheels."""
    return [tree_id(file.sha256) for _, file in assembly.files if _is_wheel(file)]


def missing_packages(assembly: Assembly) -> list[LockedPackage]:
    """Packages of PyPI whose archives are not in the store yet."""
    return [
        package
        for package, file in assembly.files
        if _is_wheel(file) and not assembly.store.has_tree(file.sha256)
    ]


def _fetched(assembly: Assembly, check: Callable[[], None] = lambda: None) -> list[Tree]:
    """Trees of all locked wheels; ``check`` is called meanwhile and raises to end it."""
    wheels = [(package, file) for package, file in assembly.files if _is_wheel(file)]
    found = ((file.sha256, assembly.store.find_tree(file.sha256)) for _, file in wheels)
    trees = {digest: tree for digest, tree in found if tree is not None}
    missing = [(package, file) for package, file in wheels if file.sha256 not in trees]
    if missing:
        trees |= _fetch(missing, assembly, check)
    return [trees[file.sha256] for _, file in wheels]


def _fetch(
    wheels: Sequence[tuple[LockedPackage, LockedFile]], assembly: Assembly, check: Callable[[], None]
) -> dict[str, Tree]:
    """Fetch what the store lacks."""
    from envforge.fetch.archives import sweep_archives
    from envforge.fetch.fetch import fetch_trees
    from envforge.fetch.request import FetchRequest
    from envforge.host.tier_writing import find_write_strategy
    from envforge.workflows.index_urls import index_urls

    session = assembly.session
    is_quiet = not lacks_prefix(assembly)  # else a prefix is being written, and a probe would measure that
    sweep_archives(session.places.archives, assembly.store)
    urls = index_urls(assembly.project.manifest, session)
    requests = [
        FetchRequest(
            name=package.name,
            version=package.version,
            url=placed_url(file.url, session.root),
            sha256=file.sha256,
            size_bytes=file.size_bytes,
            index=package.index,
            index_url=urls.get(package.place, ""),
        )
        for package, file in wheels
    ]
    return fetch_trees(
        requests,
        assembly.store,
        session.network,
        session.reporter,
        archives=session.places.archives,
        keep=session.places.keeps_archives,
        find_strategy=lambda size_bytes: find_write_strategy(
            session.places.tier, session.places.cache, session.environ, size_bytes if is_quiet else 0
        ),
        check=check,
    )


def _built(assembly: Assembly) -> list[Tree]:
    """Trees of what is locked as an sdist or a folder, and of the project itself."""
    return [
        _find_built(order, assembly.workshop) or _build(order, assembly.workshop)
        for order in _orders(assembly)
    ]


def noted_builds(assembly: Assembly) -> tuple[tuple[str, str], ...] | None:
    """The records of all that was built, each with the digest of its wheel; None if one is not noted."""
    orders = _orders(assembly)
    if not orders:
        return ()
    from envforge.workflows.build_orders import find_noted

    found = [find_noted(order, assembly.workshop) for order in orders]
    noted = tuple((each[0], each[1].sha256) for each in found if each is not None)
    return noted if len(noted) == len(orders) else None


def _find_built(order: Order, workshop: Workshop) -> Tree | None:
    from envforge.workflows.build_orders import find_tree

    return find_tree(order, workshop)


def _build(order: Order, workshop: Workshop) -> Tree:
    from envforge.workflows.building import built_tree

    return built_tree(order, workshop)


def _orders(assembly: Assembly) -> list[Order]:
    """What of an environment is no wheel of the lock."""
    sdists = [(package, file) for package, file in assembly.files if not _is_wheel(file)]
    if assembly.builds_nothing:
        return []
    from envforge.workflows.build_orders import commit_order, folder_order, project_order, sdist_order

    orders = [sdist_order(package, file) for package, file in sdists]
    orders += [commit_order(package) for package in assembly.commits]
    orders += [folder_order(package, assembly.session.root) for package in assembly.folders]
    if assembly.project.manifest.has_build_system:
        orders.append(project_order(assembly.project))
    return orders


def _known_trees(assembly: Assembly) -> list[GenerationTree] | None:
    """What the environment consists of; None where something has to be built to know it."""
    trees = [
        _linked(package.name, package.version, tree_id(file.sha256), assembly)
        for package, file in assembly.files
        if _is_wheel(file)
    ]
    for order in _orders(assembly):
        tree = _find_built(order, assembly.workshop)
        if tree is None:
            return None
        trees.append(_linked(tree.name, tree.version, tree.id, assembly))
    return trees


def _spec(assembly: Assembly, trees: Sequence[GenerationTree]) -> GenerationSpec:
    conda = assembly.selection.conda
    return GenerationSpec(
        target=assembly.selection.target.id,
        groups=assembly.selection.groups,
        interpreter=assembly.selection.interpreter,
        link_mode=assembly.link_mode,
        trees=tuple(sorted(trees, key=lambda tree: tree.name)),
        venv=str(assembly.project.venv),
        prompt=assembly.project.manifest.name or assembly.project.root.name,
        prefix=conda.recorded if conda is not None else None,
    )


def _linked(name: str, version: str, tree: str, assembly: Assembly) -> GenerationTree:
    unshared = name in assembly.project.manifest.settings.unshare
    return GenerationTree(name, version, tree, LinkMode.COPY if unshared else assembly.link_mode)


def _is_virtual(package: LockedPackage) -> bool:
    return isinstance(package.origin, FolderOrigin) and package.origin.mode is FolderMode.VIRTUAL


def _is_wheel(file: LockedFile) -> bool:
    return file.filename.endswith(".whl")
