"""The store of one tier: trees under their ids, published whole or not at all.

Layout under the tier's root (version 1)::

    store                 the layout's version
    trees/<id>/           lib/ scripts/ data/ headers/, read-only
    trees/<id>.files      every file of the tree, for those who need to look at all of them
    trees/<id>.json       the tree's summary; written last, so it says that the tree is complete
    trees/<id>            without a summary: a symlink to the site's tree (:mod:`envforge.store.site`)
    bundles/<id>/         coupled trees as physical siblings, made by :mod:`envforge.store.bundle`
    blueprints/<digest>.json  what an environment consists of (:mod:`envforge.workflows.blueprint`)
    tmp/                  what is being made
    guards/               who is making it, see :mod:`envforge.store.guard`

Files of a tree are read-only, and so are its folders, so that ``pip uninstall`` through a link cannot
delete them. Each folder with modules has a writable ``__pycache__``, made beforehand, for Python.

What is taken out is first renamed to ``<name>.<random>.removed`` beside it; what of that is in use, or
another user's, is left for a later sweep (:mod:`envforge.store.sweeping`).
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from envforge.errors import StoreError
from envforge.events import Reporter
from envforge.model.tree import Tree
from envforge.store.failures import store_error, store_failures
from envforge.store.layout import FORMAT, REMOVED, Damage, StoredFile, check_format, tree_id
from envforge.store.links import check_symlinks
from envforge.store.owner import this_process
from envforge.store.sealing import BYTECODE, discard, remove_sealed, seal, seal_folders
from envforge.store.sharing import is_shared, make_folders, share
from envforge.store.site import SiteLayer, find_site, link_to
from envforge.store.summary import read_tree
from envforge.store.uses import note_use
from envforge.struct import to_builtins

if TYPE_CHECKING:
    from envforge.store.guard import Guard

_T = TypeVar("_T")
_HALF_PUBLISHED_S = 0.5
"""How long a tree may stand without its summary before it counts as a killed process's."""


class Store:
    """Trees in one folder. Making the object reads one small file and writes nothing.

    Args:
        root: the tier's folder; it need not exist.
        site: root of a store whose trees are used as if they were here, None for none.

    Attributes:
        site_fault: why the site's store cannot be used, ``""`` where it can or none is wanted.

    Raises:
        StoreError: the folder belongs to a newer envforge, or cannot be read.
    """

    def __init__(self, root: Path, site: Path | None = None) -> None:
        self.root = root
        self.trees = root / "trees"
        self.bundles = root / "bundles"
        self.tmp = root / "tmp"
        self.guards = root / "guards"
        self._prepared = check_format(root)
        usable, self.site_fault = find_site(site, root, check_format)
        self._site = SiteLayer(usable, self.trees) if usable is not None else None

    # Looking

    def find_tree(self, sha256: str) -> Tree | None:
        """The complete tree of an archive, None if it is not here. One small read.

        Its use is noted: the tree stays for half an hour at least, see :mod:`envforge.store.uses`.
        """
        tree = self.find_tree_by_id(tree_id(sha256))
        found = tree is not None and tree.sha256 == sha256 and self.note_tree(tree.id)
        return tree if found else None

    def note_tree(self, tree_id: str) -> bool:
        """Note that a tree is used, here or the site's; False if it is not complete."""
        return note_use(f"{self._home(tree_id)}/{tree_id}.json")

    def has_tree(self, sha256: str) -> bool:
        """Whether the tree of an archive seems to be here, without reading it."""
        identity = tree_id(sha256)
        if os.path.exists(f"{self.trees}/{identity}.json"):
            return True
        return self._site is not None and self._site.home(identity) is not None

    def find_tree_by_id(self, tree_id: str) -> Tree | None:
        """The complete tree of a known id, None if it is not here."""
        found = read_tree(self.trees, tree_id)
        if found is None and self._site is not None:
            home = self._site.home(tree_id)
            return read_tree(home, tree_id) if home else None
        return found

    def tree_path(self, tree_id: str) -> Path:
        """The folder of a tree, wherever it is."""
        return self._home(tree_id) / tree_id

    def lacks_links(self, tree_ids: Iterable[str]) -> bool:
        """Whether any of these trees is the site's, and not linked to from here."""
        return self._site is not None and any(
            not os.path.exists(f"{self.trees}/{identity}") for identity in tree_ids
        )

    def _home(self, tree_id: str) -> Path:
        """The folder that holds a tree and its sidecars."""
        if self._site is None or os.path.exists(f"{self.trees}/{tree_id}.json"):
            return self.trees
        return self._site.home(tree_id) or self.trees

    def has_bundle(self, bundle_id: str) -> bool:
        """Whether a bundle is here and complete; its use is noted."""
        return note_use(f"{self.bundles}/{bundle_id}.json")

    def has_site_bundle(self, bundle_id: str) -> bool:
        """Whether a bundle is linked to that the site has."""
        place = self.bundles / bundle_id
        return place.is_symlink() and place.exists()

    def ensure_bundle(self, trees: Sequence[Tree], reporter: Reporter) -> str:
        """The id of the bundle of these trees, which is made if it is not here.

        Raises:
            StoreError: the store cannot be written.
        """
        from envforge.store.bundle import ensure_bundle

        return ensure_bundle(self, trees, reporter)

    def entries(self, tree_id: str, folder: str) -> list[tuple[str, bool]]:
        """(name, is_folder) of what is in ``lib/<folder>`` of a tree, by name; bytecode is left out."""
        place = f"{self._home(tree_id)}/{tree_id}/lib/{folder}"
        try:
            with os.scandir(place) as listing:
                return sorted((entry.name, entry.is_dir()) for entry in listing if entry.name != BYTECODE)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise store_error(error, Path(place), "read the store") from error

    def tree_files(self, tree_id: str) -> list[StoredFile]:
        """Every file of a tree, by path.

        Raises:
            StoreError: the list is missing or damaged.
        """
        place = self._home(tree_id) / f"{tree_id}.files"
        try:
            return [StoredFile(*row) for row in json.loads(place.read_bytes())]
        except (OSError, ValueError, TypeError) as error:
            raise StoreError(
                f"the list of files of tree {tree_id} cannot be read",
                context=[f"path: {place}", str(error)],
                hints=["run `envforge verify --repair`"],
            ) from error

    def verify_tree(self, tree: Tree) -> list[Damage]:
        """Compare every file with what was stored, by content. Bytecode is not looked at."""
        from envforge.store.integrity import find_damage

        return find_damage(self.tree_path(tree.id), tree.id, self.tree_files(tree.id))

    # Writing

    def prepare(self) -> None:
        """Make the store's folders, once; whoever writes does so before.

        Raises:
            StoreError: the place cannot be written, or cannot hold what environments are made of.
        """
        if self._prepared:
            return
        with store_failures(self.root, "write to the store"):
            for folder in (self.trees, self.bundles, self.tmp, self.guards):
                make_folders(folder)
            if not check_format(self.root):  # another process may have been first
                check_symlinks(self.tmp)
                self._write_json(self.root / "store", {"format": FORMAT})
        self._prepared = True

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """A new empty folder of this process on the store's file system, gone when the block ends."""
        place = self.tmp / f"{this_process()}.{os.urandom(6).hex()}"
        self.prepare()
        with store_failures(self.root, "write to the store"):
            try:
                place.mkdir()
            except FileNotFoundError:  # scratch is purged while we run
                self._prepared = False
                self.prepare()
                place.mkdir()
            if is_shared(self.tmp):
                share(place)
        try:
            yield place
        finally:
            with suppress(OSError):  # what is left is swept when this process is gone
                remove_sealed(place)

    def use_site_trees(self, tree_ids: Iterable[str]) -> None:
        """Link to those of these trees that are the site's, so that they are found in this store.

        Raises:
            StoreError: the store cannot be written.
        """
        for identity in tree_ids if self._site is not None else ():
            home = self._home(identity)
            if home != self.trees:
                with store_failures(self.trees, "link to the site's store"):
                    self.prepare()
                    self._point(self.trees / identity, home / identity)

    def use_site_bundle(self, bundle_id: str, tree_ids: Sequence[str]) -> bool:
        """Link to the bundle that the site has of these trees; False if it has none."""
        found = self._site.bundle(bundle_id, tree_ids) if self._site is not None else None
        if found is None:
            return False
        with store_failures(self.bundles, "link to the site's store"):
            self.prepare()
            self._point(self.bundles / bundle_id, found)
        return True

    def is_of_site(self, tree_id: str) -> bool:
        """Whether a tree is the site's."""
        return self._home(tree_id) != self.trees

    def _point(self, place: Path, target: Path) -> None:
        """Link to the site, where nobody has published an own one in the meantime."""
        deadline = time.monotonic() + _HALF_PUBLISHED_S
        while not os.path.exists(f"{place}.json"):
            try:
                link_to(target, place)
            except FileExistsError:
                if time.monotonic() > deadline:
                    self._discard(place)
                time.sleep(0.01)
            else:
                return

    def publish_tree(self, staged: Path, tree: Tree, files: Sequence[StoredFile]) -> Tree:
        """Make a staged folder a tree of the store, whole or not at all.

        Args:
            staged: a folder inside :meth:`staging` that holds the parts; it is gone afterwards.
            tree: its summary; ``tree.id`` is :func:`tree_id` of ``tree.sha256``.
            files: everything in it.

        Returns:
            The tree that is in the store: another process may have been first, then theirs stays.

        Raises:
            StoreError: the store cannot be written.
        """
        with store_failures(self.trees, f"store {tree.name} {tree.version}"):
            mode = seal_folders(staged, [file.path for file in files])
            place = self.trees / tree.id
            present = self._move_in(staged, place, lambda: self._find_own(tree.sha256))
            if present is not None:
                return present
            seal(place, mode)
            self._write_json(self.trees / f"{tree.id}.files", files)
            self._write_json(self.trees / f"{tree.id}.json", to_builtins(tree))
        return tree

    def publish_bundle(
        self, staged: Path, bundle_id: str, tree_ids: Sequence[str], paths: Sequence[str]
    ) -> None:
        """Make a staged folder a bundle of the store; like :meth:`publish_tree`."""
        with store_failures(self.bundles, f"store bundle {bundle_id}"):
            mode = seal_folders(staged, paths)
            place = self.bundles / bundle_id
            if self._move_in(staged, place, lambda: self.has_bundle(bundle_id) or None):
                return
            seal(place, mode)
            self._write_json(self.bundles / f"{bundle_id}.json", {"trees": list(tree_ids)})

    def remove_tree(self, tree_id: str, *, damaged: bool = False) -> None:
        """Take a tree out: first it stops being complete, then it goes. No error if it is not there.

        Bundles that hold its files go with it. Of the site's tree only the link goes.

        Args:
            tree_id: which.
            damaged: the site's tree of this id is not to be used either, now and later.

        Raises:
            StoreError: the store cannot be written.
        """
        place = self.trees / tree_id
        with store_failures(place, f"remove tree {tree_id}"):
            if damaged and self._site is not None:
                self.prepare()
                self._site.refuse(tree_id)
            self._remove_bundles_of(tree_id)
            for name in (f"{tree_id}.json", f"{tree_id}.files"):
                with suppress(FileNotFoundError):
                    (self.trees / name).unlink()
            self._discard(place)

    def remove_bundle(self, bundle_id: str) -> None:
        """Take a bundle out; like :meth:`remove_tree`."""
        place = self.bundles / bundle_id
        with store_failures(place, f"remove bundle {bundle_id}"):
            (self.bundles / f"{bundle_id}.json").unlink(missing_ok=True)
            self._discard(place)

    def _remove_bundles_of(self, tree_id: str) -> None:
        for sidecar in self.bundles.glob("*.json"):
            with suppress(FileNotFoundError):
                if tree_id in json.loads(sidecar.read_bytes())["trees"]:
                    sidecar.unlink()
                    self._discard(sidecar.with_suffix(""))

    def _discard(self, place: Path) -> None:
        """Take something out of the way at once, and away as far as possible."""
        discard(place, place.with_name(f"{place.name}.{os.urandom(6).hex()}{REMOVED}"))

    def guard(self, name: str) -> Guard:
        """The guard for making something; for a tree it has the tree's id for its name."""
        from envforge.store.guard import Guard

        return Guard(self.guards / name)

    def sweep(self) -> int:
        """Remove what dead processes left; returns how much that was. Nothing that it meets is an error."""
        from envforge.store.sweeping import sweep_store

        return sweep_store(self)

    def _find_own(self, sha256: str) -> Tree | None:
        tree = read_tree(self.trees, tree_id(sha256))
        return tree if tree is not None and tree.sha256 == sha256 else None

    def _write_json(self, place: Path, fields: object) -> None:
        self.write_whole(place, json.dumps(fields, separators=(",", ":")).encode())

    def write_whole(self, place: Path, content: bytes) -> None:
        """Write a file of the store so that readers see all of it or nothing.

        Raises:
            OSError: it cannot be written.
        """
        aside = self.tmp / f"{this_process()}.{os.urandom(6).hex()}.file"
        try:
            with open(aside, "wb") as file:
                file.write(content)
            if is_shared(self.tmp):
                share(aside)  # the others note their uses on it
            aside.replace(place)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise

    def _move_in(self, staged: Path, place: Path, find: Callable[[], _T | None]) -> _T | None:
        """Rename a staged folder into place; what ``find`` finds if a complete one is there already."""
        deadline = time.monotonic() + _HALF_PUBLISHED_S
        while True:
            try:
                staged.rename(place)
            except FileNotFoundError:
                if not staged.is_dir() or time.monotonic() > deadline:
                    raise
                self._prepared = False  # scratch is purged while we run; another thread may have it again
                self.prepare()
                continue
            except OSError:
                if not os.path.lexists(place):
                    raise
            else:
                return None
            present = find()
            if present is not None:
                return present
            if place.is_symlink() or time.monotonic() > deadline:
                # the site's, which is to be replaced, or what a killed process left without a summary
                self._discard(place)
            time.sleep(0.01)
