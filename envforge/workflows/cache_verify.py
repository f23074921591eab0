"""``envforge cache verify``: is everything in the store what was stored? With ``--repair``, make it so.

Every file of every tree is hashed, every file of a bundle compared with that of its tree, every kept
archive hashed. What is damaged is taken out, and what some project needs is fetched again: from a kept
archive, or from where the project's lock says that it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from envforge.environment.collect import Occupancy, survey_generations
from envforge.errors import EnvforgeError, StoreError
from envforge.events import CheckPlanned, CheckProgressed, Reporter
from envforge.fetch.archives import archive_guard, archive_path, kept_archives
from envforge.fetch.fetch import fetch_trees
from envforge.fetch.request import FetchRequest
from envforge.host.processors import count_processors
from envforge.model.tree import Tree
from envforge.store.bundle import ensure_bundle
from envforge.store.collect import StoredBundle, list_bundles, list_trees
from envforge.store.integrity import find_bundle_damage
from envforge.store.layout import Damage, tree_id
from envforge.store.store import Store
from envforge.struct import Struct, replace
from envforge.workflows.cache_contents import clock_of
from envforge.workflows.file_places import placed_url
from envforge.workflows.index_urls import index_urls
from envforge.workflows.project import read_former_lock, read_project
from envforge.workflows.session import Session
from envforge.workflows.stamp import forget_stamp


class DamagedThing(Struct, frozen=True, kw_only=True):
    """A tree, a bundle or an archive that is not what was stored.

    Args:
        path: of its folder or file.
        name: for people.
        problems: ``path: problem`` of each damaged file, at most a few; "" for the path of the thing itself.
        problem_count: of all damaged files.
        projects: folders of the projects whose environments need it.
        mended: it is there again, or nothing needs it and it is gone.
    """

    path: Path
    name: str
    problems: tuple[str, ...]
    problem_count: int
    projects: tuple[str, ...] = ()
    mended: bool = False


class CacheVerifyReport(Struct, frozen=True, kw_only=True):
    """What was looked at, what is damaged, and what kept it from being mended."""

    tree_count: int
    bundle_count: int
    archive_count: int
    size_bytes: int
    damaged: tuple[DamagedThing, ...]
    failures: tuple[EnvforgeError, ...] = ()

    @property
    def is_sound(self) -> bool:
        """Whether all is as it was stored, or is again."""
        return all(thing.mended for thing in self.damaged)


_SHOWN = 5


def verify_cache(session: Session, *, repair: bool = False) -> CacheVerifyReport:
    """Compare everything in the store with what was stored.

    Args:
        session: the surroundings; it needs no project.
        repair: take out what is damaged, and fetch again what projects need.

    Raises:
        StoreError: the tier belongs to a newer envforge, or cannot be read or written.
    """
    store = Store(session.places.tier)
    trees = [stored.tree for stored in list_trees(store)]
    bundles = list(list_bundles(store))
    archives = kept_archives(session.places.archives)
    size_bytes = sum(tree.size_bytes for tree in trees) + sum(item.size_bytes for item in archives)
    session.reporter.report(CheckPlanned(size_bytes=size_bytes))
    bad_trees = _check_trees(trees, store, session.reporter)
    bad_archives = _check_archives(session, [item.tree_id for item in archives])
    bad_bundles = _check_bundles(bundles, trees, store, {tree.id for tree, _ in bad_trees})
    users = list(survey_generations(store.root, [], clock_of(store.root, session.now_s)))
    damaged = [
        *(_damaged_tree(tree, damages, store, users) for tree, damages in bad_trees),
        *(_damaged_bundle(bundle, damages, store, users) for bundle, damages in bad_bundles),
        *(_damaged_archive(place) for place in bad_archives),
    ]
    report = CacheVerifyReport(
        tree_count=len(trees),
        bundle_count=len(bundles),
        archive_count=len(archives),
        size_bytes=size_bytes,
        damaged=tuple(damaged),
    )
    if not repair or not damaged:
        return report
    lost = {tree.id: tree for tree, _ in bad_trees}
    broken = [bundle for bundle in bundles if bundle.trees & lost.keys()]
    broken += [bundle for bundle, _ in bad_bundles]
    for found in users:
        if found.trees & lost.keys():
            forget_stamp(str(found.path))
    _take_out(lost.values(), [bundle for bundle, _ in bad_bundles], bad_archives, session)
    failures = _fetch_again(lost, users, session)
    failures += _make_bundles(broken, users, store, session)
    mended = tuple(replace(thing, mended=_is_mended(thing, store)) for thing in damaged)
    return replace(report, damaged=mended, failures=tuple(failures))


def _check_trees(
    trees: Sequence[Tree], store: Store, reporter: Reporter
) -> list[tuple[Tree, Sequence[Damage]]]:
    """Those that are damaged; several at once, because hashing leaves the interpreter's lock."""
    from concurrent.futures import ThreadPoolExecutor

    def check(tree: Tree) -> Sequence[Damage]:
        damages = _tree_damages(tree, store)
        reporter.report(CheckProgressed(size_bytes=tree.size_bytes))
        return damages

    ordered = sorted(trees, key=lambda tree: -tree.size_bytes)
    with ThreadPoolExecutor(count_processors()) as pool:
        found = zip(ordered, pool.map(check, ordered), strict=True)
        return [(tree, damages) for tree, damages in found if damages]


def _tree_damages(tree: Tree, store: Store) -> Sequence[Damage]:
    try:
        return store.verify_tree(tree)
    except StoreError as error:
        return [Damage(tree.id, "", error.message)]
    except OSError as error:
        if store.find_tree_by_id(tree.id) is None:
            return []  # taken away by somebody while it was looked at
        return [Damage(tree.id, "", error.strerror or str(error))]


def _check_archives(session: Session, names: Iterable[str]) -> list[Path]:
    """Archives that are not what their names say."""
    from hashlib import file_digest

    damaged = []
    for name in names:
        place = archive_path(session.places.archives, name)
        try:
            with open(place, "rb") as content:
                found = file_digest(content, "sha256").hexdigest()
                size_bytes = os.fstat(content.fileno()).st_size
        except FileNotFoundError:
            continue
        except OSError:
            damaged.append(place)
            continue
        session.reporter.report(CheckProgressed(size_bytes=size_bytes))
        if tree_id(found) != name:
            damaged.append(place)
    return damaged


def _check_bundles(
    bundles: Iterable[StoredBundle], trees: Iterable[Tree], store: Store, lost: set[str]
) -> list[tuple[StoredBundle, Sequence[Damage]]]:
    """Bundles that differ from their trees; those of damaged trees go with them."""
    by_id = {tree.id: tree for tree in trees}
    damaged: list[tuple[StoredBundle, Sequence[Damage]]] = []
    for bundle in bundles:
        members = [by_id[name] for name in bundle.trees if name in by_id]
        if bundle.trees & lost or len(members) < len(bundle.trees):
            continue
        damages = find_bundle_damage(store, bundle.id, members)
        if damages and store.has_bundle(bundle.id):
            damaged.append((bundle, damages))
    return damaged


def _damaged_tree(
    tree: Tree, damages: Sequence[Damage], store: Store, users: Iterable[Occupancy]
) -> DamagedThing:
    return DamagedThing(
        path=store.tree_path(tree.id),
        name=f"{tree.name} {tree.version}",
        problems=_problems(damages),
        problem_count=len(damages),
        projects=_projects(users, lambda found: tree.id in found.trees),
    )


def _damaged_bundle(
    bundle: StoredBundle, damages: Sequence[Damage], store: Store, users: Iterable[Occupancy]
) -> DamagedThing:
    return DamagedThing(
        path=store.bundles / bundle.id,
        name=f"the bundle of {len(bundle.trees)} packages",
        problems=_problems(damages),
        problem_count=len(damages),
        projects=_projects(users, lambda found: bundle.trees <= found.trees),
    )


def _damaged_archive(place: Path) -> DamagedThing:
    return DamagedThing(path=place, name="an archive", problems=("changed",), problem_count=1)


def _problems(damages: Sequence[Damage]) -> tuple[str, ...]:
    shown = [f"{damage.path}: {damage.problem}" if damage.path else damage.problem for damage in damages]
    return tuple(shown[:_SHOWN])


def _projects(users: Iterable[Occupancy], needs: Callable[[Occupancy], bool]) -> tuple[str, ...]:
    return tuple(sorted({found.tenant.root for found in users if found.tenant and needs(found)}))


def _take_out(
    trees: Iterable[Tree], bundles: Iterable[StoredBundle], archives: Iterable[Path], session: Session
) -> None:
    store = Store(session.places.tier)
    for place in archives:
        with archive_guard(place.parent, place.stem).hold(session.reporter, place.name):
            place.unlink(missing_ok=True)
    for tree in trees:
        with store.guard(tree.id).hold(session.reporter, f"{tree.name} {tree.version}"):
            store.remove_tree(tree.id)
    for bundle in bundles:
        with store.guard(f"bundle-{bundle.id}").hold(session.reporter, "a bundle"):
            store.remove_bundle(bundle.id)


def _fetch_again(lost: dict[str, Tree], users: Sequence[Occupancy], session: Session) -> list[EnvforgeError]:
    """Bring back what projects need, from where their locks say that it is."""
    store = Store(session.places.tier)
    failures: list[EnvforgeError] = []
    for root in sorted({found.tenant.root for found in users if found.tenant}):
        try:
            needed = {
                name for found in users if found.tenant and found.tenant.root == root for name in found.trees
            }
            wanted = [
                tree for name, tree in lost.items() if name in needed and not store.has_tree(tree.sha256)
            ]
            requests = list(_requests(Path(root), wanted, session)) if wanted else []
            fetch_trees(requests, store, session.network, session.reporter, archives=session.places.archives)
        except EnvforgeError as error:
            failures.append(error)
    return failures


def _requests(root: Path, wanted: Iterable[Tree], session: Session) -> Iterator[FetchRequest]:
    """What of a project's lock is wanted."""
    project = read_project(root)
    lock = read_former_lock(project).lock
    if lock is None:
        return
    digests = {tree.sha256 for tree in wanted}
    urls = index_urls(project.manifest, replace(session, root=root))
    for package in lock.packages.values():
        for file in package.files:
            if file.sha256 in digests and file.filename.endswith(".whl"):
                yield FetchRequest(
                    name=package.name,
                    version=package.version,
                    url=placed_url(file.url, root),
                    sha256=file.sha256,
                    size_bytes=file.size_bytes,
                    index=package.index,
                    index_url=urls.get(package.place, ""),
                )


def _make_bundles(
    broken: Iterable[StoredBundle], users: Sequence[Occupancy], store: Store, session: Session
) -> list[EnvforgeError]:
    """Make those anew that environments stand on, as far as their trees are there."""
    failures: list[EnvforgeError] = []
    for bundle in broken:
        trees = [tree for tree in map(store.find_tree_by_id, bundle.trees) if tree is not None]
        if len(trees) == len(bundle.trees) and any(bundle.trees <= found.trees for found in users):
            try:
                ensure_bundle(store, trees, session.reporter)
            except EnvforgeError as error:
                failures.append(error)
    return failures


def _is_mended(thing: DamagedThing, store: Store) -> bool:
    """Whether a thing is whole again, or nobody needs it."""
    whole = thing.path.with_name(f"{thing.path.name}.json").exists()
    return whole or not thing.projects or thing.path.parent not in (store.trees, store.bundles)
