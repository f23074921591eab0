"""What is in the cache of this user and on the tier: everything that can be kept, shown, or taken away."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from envforge.environment.collect import Occupancy, survey_generations
from envforge.fetch.archives import KeptArchive, kept_archives
from envforge.git.cache import FOLDER as GIT_FOLDER
from envforge.git.collect import CachedCommit, list_commits
from envforge.host.processes import read_traces
from envforge.link.conda_collect import CachedPackage, StoredPrefix, list_packages, list_prefixes
from envforge.net.cache_life import CachedFile, list_entries
from envforge.plan.prune import Item, Key, Kind, Stay
from envforge.store.collect import (
    RememberedBuild,
    StoredBlueprint,
    StoredBundle,
    StoredTree,
    list_blueprints,
    list_builds,
    list_bundles,
    list_trees,
)
from envforge.store.layout import tree_id
from envforge.store.store import Store
from envforge.store.uses import aside_path, file_system_time_s
from envforge.struct import Struct
from envforge.workflows.prefixes import conda_packages_folder, prefixes_folder

if TYPE_CHECKING:
    from envforge.host.paths import Places
    from envforge.workflows.session import Session


class CacheContents(Struct, frozen=True, kw_only=True):
    """Everything that there is.

    Args:
        places: where.
        now_s: when, by the tier's clock.
        generations: on the tier, with who needs each.
        trees, bundles, builds, blueprints, prefixes: of the tier.
        archives, packages: what was downloaded, of PyPI and of conda.
        commits: of git.
        entries: answers of indexes.
        named: digests that processes of this host name.
        copies_prefixes: files of prefixes are not shared with the packages that they came from.
    """

    places: Places
    now_s: float
    generations: tuple[Occupancy, ...]
    trees: tuple[StoredTree, ...]
    bundles: tuple[StoredBundle, ...]
    builds: tuple[RememberedBuild, ...]
    blueprints: tuple[StoredBlueprint, ...]
    prefixes: tuple[StoredPrefix, ...]
    archives: tuple[KeptArchive, ...]
    packages: tuple[CachedPackage, ...]
    commits: tuple[CachedCommit, ...]
    entries: tuple[CachedFile, ...]
    named: frozenset[str]
    copies_prefixes: bool

    @property
    def unreadable(self) -> list[Path]:
        """Environments of which this user may not see what they stand on: then nothing of a store may go."""
        return [found.path for found in self.generations if not found.is_known]

    def items(self) -> list[Item]:
        """The same as one list, with what holds what."""
        hidden = bool(self.unreadable)
        return [
            *self._generation_items(),
            *self._tree_items(hidden),
            *self._bundle_items(hidden),
            *self._remembered_items(),
            *self._prefix_items(hidden),
            *self._fetched_items(),
        ]

    def prefix_bytes(self, prefix: StoredPrefix) -> int:
        """What a prefix takes beside the packages that it came from."""
        if not self.copies_prefixes:
            return 0
        sizes = {package.stem: package.size_bytes for package in self.packages}
        return sum(sizes.get(stem, 0) for stem in prefix.packages)

    def _generation_items(self) -> Iterator[Item]:
        bundles = [(bundle.trees, Key(Kind.BUNDLE, bundle.id)) for bundle in self.bundles]
        builds = [(tree_id(build.sha256), Key(Kind.BUILD, build.key)) for build in self.builds]
        sizes = {stored.tree.id: stored.tree.size_bytes for stored in self.trees}
        for found in self.generations:
            holds = {Key(Kind.TREE, name) for name in found.trees}
            holds |= {key for members, key in bundles if members <= found.trees}
            holds |= {key for name, key in builds if name in found.trees}
            if found.prefix:
                holds.add(Key(Kind.PREFIX, found.prefix))
            yield Item(
                key=generation_key(found),
                size_bytes=sum(sizes.get(name, 0) for name in found.copied),
                used_s=found.used_s,
                holds=frozenset(holds),
                stay=found.stay,
                label=found.tenant.root if found.tenant else "builds",
            )

    def _tree_items(self, hidden: bool) -> Iterator[Item]:
        for stored in self.trees:
            tree = stored.tree
            key = Key(Kind.TREE, tree.id)
            label = f"{tree.name} {tree.version}"
            yield Item(key, tree.size_bytes, stored.used_s, stay=self._stay(tree.id, hidden), label=label)

    def _bundle_items(self, hidden: bool) -> Iterator[Item]:
        for bundle in self.bundles:
            stay = self._stay(bundle.id, hidden)
            yield Item(Key(Kind.BUNDLE, bundle.id), 0, bundle.used_s, stay=stay)

    def _remembered_items(self) -> Iterator[Item]:
        for build in self.builds:
            holds = frozenset({Key(Kind.TREE, tree_id(build.sha256))})
            yield Item(Key(Kind.BUILD, build.key), 0, build.used_s, holds)
        for blueprint in self.blueprints:
            yield Item(Key(Kind.BLUEPRINT, blueprint.name), blueprint.size_bytes, blueprint.used_s)

    def _prefix_items(self, hidden: bool) -> Iterator[Item]:
        stems = {package.stem for package in self.packages}
        for prefix in self.prefixes:
            holds = frozenset(Key(Kind.CONDA_PACKAGE, stem) for stem in prefix.packages & stems)
            yield Item(
                key=Key(Kind.PREFIX, str(prefix.path)),
                size_bytes=self.prefix_bytes(prefix),
                used_s=prefix.used_s,
                holds=holds,
                stay=self._stay(prefix.path.name, hidden),
                label=f"{len(prefix.packages)} packages",
            )

    def _fetched_items(self) -> Iterator[Item]:
        labels = {stored.tree.id: f"{stored.tree.name} {stored.tree.version}" for stored in self.trees}
        for archive in self.archives:
            key = Key(Kind.ARCHIVE, archive.tree_id)
            label = labels.get(archive.tree_id, "")
            yield Item(key, archive.size_bytes, archive.used_s, label=label)
        for package in self.packages:
            key = Key(Kind.CONDA_PACKAGE, package.stem)
            yield Item(key, package.size_bytes, package.used_s, label=package.stem)
        for commit in self.commits:
            key = Key(Kind.COMMIT, commit.name)
            yield Item(key, commit.size_bytes, commit.used_s, label=commit.label)
        for entry in self.entries:
            yield Item(Key(Kind.ENTRY, entry.path), entry.size_bytes, entry.used_s)

    def _stay(self, digest: str, hidden: bool) -> Stay | None:
        return Stay.RUNNING if hidden or digest in self.named else None


def read_contents(session: Session) -> CacheContents:
    """Look at everything; no folder of files is walked except that of the answers of indexes.

    Raises:
        StoreError: the tier belongs to a newer envforge, or cannot be read.
    """
    places = session.places
    store = Store(places.tier)
    now_s = clock_of(places.tier, session.now_s)
    traces = list(read_traces())
    packages_folder = conda_packages_folder(session)
    return CacheContents(
        places=places,
        now_s=now_s,
        generations=tuple(survey_generations(places.tier, traces, now_s)),
        trees=tuple(list_trees(store)),
        bundles=tuple(list_bundles(store)),
        builds=tuple(list_builds(store)),
        blueprints=tuple(list_blueprints(store)),
        prefixes=tuple(list_prefixes(prefixes_folder(places.tier))),
        archives=tuple(kept_archives(places.archives)),
        packages=tuple(list_packages(packages_folder)),
        commits=tuple(list_commits(places.cache / GIT_FOLDER)),
        entries=tuple(list_entries(places.cache)),
        named=frozenset().union(*(trace.digests for trace in traces)),
        copies_prefixes=not _on_one_file_system(prefixes_folder(places.tier), packages_folder),
    )


def generation_key(found: Occupancy) -> Key:
    """The name of a generation among all of a tier: ``<folder>/<digest>``."""
    return Key(Kind.GENERATION, f"{found.path.parent.name}/{found.path.name}")


def held_now(session: Session, now_s: float) -> set[Key] | None:
    """What generations that are there now stand on: trees and prefixes. None if that cannot be seen."""
    found = list(survey_generations(session.places.tier, [], now_s))
    return set(_stood_on(found)) if all(generation.is_known for generation in found) else None


def clock_of(tier: Path, otherwise_s: float) -> float:
    """The time by the clock of a tier's file system; this host's where it cannot be written."""
    with suppress(OSError):
        return file_system_time_s(aside_path(tier / "tmp"))
    return otherwise_s


def _stood_on(found: Iterable[Occupancy]) -> Iterator[Key]:
    for generation in found:
        yield from (Key(Kind.TREE, name) for name in generation.trees)
        if generation.prefix:
            yield Key(Kind.PREFIX, generation.prefix)


def _on_one_file_system(first: Path, second: Path) -> bool:
    with suppress(OSError):
        return first.stat().st_dev == second.stat().st_dev
    return True
