"""The store of one tier: trees under their ids, published whole or not at all.

Layout under the tier's root (version 1)::

    store                 the layout's version
    trees/<id>/           lib/ scripts/ data/ headers/, read-only
    trees/<id>.files      every file of the tree, for those who need to look at all of them
    trees/<id>.json       the tree's summary; written last, so it says that the tree is complete
    bundles/<id>/         coupled trees as physical siblings, made by :mod:`envforge.store.bundle`
    tmp/                  what is being made
    guards/               who is making it, see :mod:`envforge.store.guard`

Files of a tree are read-only, and so are its folders, so that ``pip uninstall`` through a link cannot
delete them. Each folder with modules has a writable ``__pycache__``, made beforehand, for Python.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from envforge.errors import StoreError
from envforge.events import Reporter
from envforge.model.tree import EntryPoint, Tree
from envforge.store.failures import store_failures
from envforge.store.owner import is_dead, parse_owner, this_process
from envforge.store.sealing import BYTECODE, remove_sealed, seal_folders

if TYPE_CHECKING:
    from envforge.store.guard import Guard

FORMAT = 1
PARTS = ("lib", "scripts", "data", "headers")
_T = TypeVar("_T")
_STALE_S = 24 * 3600
_HALF_PUBLISHED_S = 0.5
"""How long a tree may stand without its summary before it counts as a killed process's."""


class StoredFile(NamedTuple):
    """A file of a tree. ``path`` starts with the part: ``lib/torch/__init__.py``. ``sha256`` is hex."""

    path: str
    size_bytes: int
    sha256: str
    executable: bool


@dataclass(frozen=True, slots=True)
class Damage:
    """A file that is not as it was stored: ``missing``, ``changed``, ``unexpected`` or ``unreadable``."""

    tree_id: str
    path: str
    problem: str


def tree_id(sha256: str) -> str:
    """The id of a tree: 20 letters, so that a relative link to it stays under 60 bytes.

    100 bits of the digest; whoever looks a tree up compares the whole digest.
    """
    from base64 import b32encode

    return b32encode(bytes.fromhex(sha256)[:15])[:20].decode().lower()


class Store:
    """Trees in one folder. Making the object reads one small file and writes nothing.

    Args:
        root: the tier's folder; it need not exist.

    Raises:
        StoreError: the folder belongs to a newer envforge, or cannot be read.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.trees = root / "trees"
        self.bundles = root / "bundles"
        self.tmp = root / "tmp"
        self.guards = root / "guards"
        self._prepared = _check_format(root)

    # Looking

    def find_tree(self, sha256: str) -> Tree | None:
        """The complete tree of an archive, None if it is not here. One small read."""
        tree = self.find_tree_by_id(tree_id(sha256))
        return tree if tree is not None and tree.sha256 == sha256 else None

    def has_tree(self, sha256: str) -> bool:
        """Whether the tree of an archive seems to be here, without reading it."""
        return os.path.exists(f"{self.trees}/{tree_id(sha256)}.json")

    def find_tree_by_id(self, tree_id: str) -> Tree | None:
        """The complete tree of a known id, None if it is not here."""
        try:
            with open(f"{self.trees}/{tree_id}.json", "rb") as sidecar:
                return _parse_tree(json.loads(sidecar.read()))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValueError, KeyError, TypeError):
            return None  # cut off by a power failure: as good as not there, and fetched again
        except OSError as error:
            with store_failures(self.trees, "read the store"):
                raise error

    def tree_path(self, tree_id: str) -> Path:
        """The folder of a tree."""
        return self.trees / tree_id

    def has_bundle(self, bundle_id: str) -> bool:
        """Whether a bundle is here and complete."""
        return os.path.exists(f"{self.bundles}/{bundle_id}.json")

    def ensure_bundle(self, trees: Sequence[Tree], reporter: Reporter) -> str:
        """The id of the bundle of these trees, which is made if it is not here.

        Raises:
            StoreError: the store cannot be written.
        """
        from envforge.store.bundle import ensure_bundle

        return ensure_bundle(self, trees, reporter)

    def entries(self, tree_id: str, folder: str) -> list[tuple[str, bool]]:
        """(name, is_folder) of what is in ``lib/<folder>`` of a tree, by name; bytecode is left out."""
        try:
            with os.scandir(f"{self.trees}/{tree_id}/lib/{folder}") as listing:
                return sorted((entry.name, entry.is_dir()) for entry in listing if entry.name != BYTECODE)
        except (FileNotFoundError, NotADirectoryError):
            return []

    def tree_files(self, tree_id: str) -> list[StoredFile]:
        """Every file of a tree, by path.

        Raises:
            StoreError: the list is missing or damaged.
        """
        place = self.trees / f"{tree_id}.files"
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

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """A new empty folder of this process on the store's file system, gone when the block ends."""
        place = self.tmp / f"{this_process()}.{os.urandom(6).hex()}"
        with store_failures(self.root, "write to the store"):
            self._prepare()
            try:
                place.mkdir()
            except FileNotFoundError:  # scratch is purged while we run
                self._prepared = False
                self._prepare()
                place.mkdir()
        try:
            yield place
        finally:
            remove_sealed(place)

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
            place = self.tree_path(tree.id)
            present = _move_in(staged, place, lambda: self.find_tree(tree.sha256))
            if present is not None:
                return present
            place.chmod(mode & 0o555)
            self._write_whole(self.trees / f"{tree.id}.files", files)
            self._write_whole(self.trees / f"{tree.id}.json", _tree_fields(tree))
        return tree

    def publish_bundle(
        self, staged: Path, bundle_id: str, tree_ids: Sequence[str], paths: Sequence[str]
    ) -> None:
        """Make a staged folder a bundle of the store; like :meth:`publish_tree`."""
        with store_failures(self.bundles, f"store bundle {bundle_id}"):
            mode = seal_folders(staged, paths)
            place = self.bundles / bundle_id
            if _move_in(staged, place, lambda: self.has_bundle(bundle_id) or None):
                return
            place.chmod(mode & 0o555)
            self._write_whole(self.bundles / f"{bundle_id}.json", {"trees": list(tree_ids)})

    def remove_tree(self, tree_id: str) -> None:
        """Take a tree out: first it stops being complete, then it goes. No error if it is not there.

        Bundles that hold its files go with it.
        """
        place = self.tree_path(tree_id)
        with store_failures(place, f"remove tree {tree_id}"), self.staging() as trash:
            self._remove_bundles_of(tree_id, trash)
            for name in (f"{tree_id}.json", f"{tree_id}.files"):
                with suppress(FileNotFoundError):
                    (self.trees / name).unlink()
            with suppress(FileNotFoundError):
                # the mode of the folder itself decides whether its `..` may change
                place.chmod(0o700)
                place.rename(trash / "tree")

    def _remove_bundles_of(self, tree_id: str, trash: Path) -> None:
        for sidecar in self.bundles.glob("*.json"):
            with suppress(FileNotFoundError):
                if tree_id in json.loads(sidecar.read_bytes())["trees"]:
                    sidecar.unlink()
                    place = sidecar.with_suffix("")
                    place.chmod(0o700)
                    place.rename(trash / place.name)

    def guard(self, name: str) -> Guard:
        """The guard for making something; for a tree it has the tree's id for its name."""
        from envforge.store.guard import Guard

        return Guard(self.guards / name)

    def sweep(self) -> int:
        """Remove what dead processes left behind; returns how much that was.

        In ``tmp``, on this host a process is dead when it is gone; of other hosts, what is older than a
        day goes. Trees that were never finished go if nobody is at them, and guards of the dead.
        """
        from envforge.store.guard import sweep_guards

        removed = 0
        with store_failures(self.root, "clean the store"):
            for place in sorted(self.tmp.iterdir()) if self.tmp.is_dir() else ():
                if _is_abandoned(place):
                    remove_sealed(place)
                    removed += 1
            for place in sorted(self.trees.iterdir()) if self.trees.is_dir() else ():
                if not place.suffix and not place.with_suffix(".json").exists():
                    removed += self._sweep_tree(place.name)
        return removed + sweep_guards(self.guards)

    def _sweep_tree(self, tree_id: str) -> bool:
        """Remove a tree without summary unless somebody is making it."""
        with self.guard(tree_id).try_hold() as mine:
            if mine and not (self.trees / f"{tree_id}.json").exists():
                self.remove_tree(tree_id)
                return True
        return False

    def _prepare(self) -> None:
        """Make the store's folders, once per process."""
        if self._prepared:
            return
        for folder in (self.trees, self.bundles, self.tmp, self.guards):
            folder.mkdir(parents=True, exist_ok=True)
        marker = self.tmp / f"store.{os.urandom(6).hex()}"
        marker.write_text(json.dumps({"format": FORMAT}) + "\n")
        marker.replace(self.root / "store")
        self._prepared = True

    def _write_whole(self, place: Path, fields: object) -> None:
        """Write a JSON file so that readers see all of it or nothing."""
        aside = self.tmp / f"{this_process()}.{os.urandom(6).hex()}.file"
        try:
            aside.write_text(json.dumps(fields, separators=(",", ":")), encoding="utf-8")
            aside.replace(place)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise


def _move_in(staged: Path, place: Path, find: Callable[[], _T | None]) -> _T | None:
    """Rename a staged folder into place; what ``find`` finds if a complete one is there already."""
    deadline = time.monotonic() + _HALF_PUBLISHED_S
    while True:
        try:
            staged.rename(place)
        except OSError:
            if not place.is_dir():
                raise
        else:
            return None
        present = find()
        if present is not None:
            return present
        if time.monotonic() > deadline:
            _move_out(place, staged.with_name(f"{staged.name}.replaced"))
        time.sleep(0.01)


def _move_out(place: Path, aside: Path) -> None:
    """Move what a killed process left without a summary out of the way, into our staging folder."""
    with suppress(FileNotFoundError):
        place.chmod(0o700)
        place.rename(aside)
        remove_sealed(aside)


def _check_format(root: Path) -> bool:
    """Whether the store is there; StoreError if a newer envforge made it."""
    marker = root / "store"
    try:
        with open(marker, "rb") as file:
            version = json.loads(file.read())["format"]
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (ValueError, KeyError, TypeError):
        return False  # cut off by a power failure: written again
    except OSError as error:
        with store_failures(marker, "read the store"):
            raise error
    if version != FORMAT:
        raise StoreError(
            f"the store has layout {version}, this envforge knows {FORMAT}",
            context=[f"path: {root}"],
            hints=["upgrade envforge, or choose another place with --tier DIR"],
        )
    return True


def _tree_fields(tree: Tree) -> dict[str, object]:
    points = [(point.name, point.module, point.attribute, point.gui) for point in tree.entry_points]
    return {**asdict(tree), "entry_points": points}


def _parse_tree(fields: dict[str, Any]) -> Tree:
    """Read a sidecar; it has exactly the fields of a tree, others are another layout's."""
    fields["entry_points"] = tuple(
        EntryPoint(name=name, module=module, attribute=attribute, gui=gui)
        for name, module, attribute, gui in fields["entry_points"]
    )
    for key in ("scripts", "data", "headers", "couplings"):
        fields[key] = tuple(fields[key])
    return Tree(**fields)


def _is_abandoned(place: Path) -> bool:
    """Whether the process that made something in ``tmp`` is gone."""
    owner = parse_owner(".".join(place.name.split(".")[:3]))
    dead = is_dead(owner) if owner is not None else None
    if dead is not None:
        return dead
    try:
        return time.time() - place.stat().st_mtime > _STALE_S
    except FileNotFoundError:
        return False
