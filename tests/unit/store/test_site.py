"""The site's store: found there, used from there, never written to, and not missed when it is gone."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from envforge.errors import StoreError
from envforge.events import SilentReporter
from envforge.model.tree import Tree
from envforge.store.bundle import ensure_bundle
from envforge.store.sealing import remove_sealed
from envforge.store.store import Store

from .conftest import AsNobody, describe, stage

SILENT = SilentReporter()
FILES = {"lib/demo/__init__.py": b"x = 1\n", "lib/demo/data/table.csv": b"1,2\n", "data/share/a": b"hello"}
OTHER = {"lib/other/lib/b.so": b"library", "lib/other/__init__.py": b""}
Publish = Callable[..., Tree]


def publish(store: Store, name: str, files: Mapping[str, bytes]) -> Tree:
    with store.staging() as staging:
        staged = staging / "tree"
        staged.mkdir()
        return store.publish_tree(staged, describe(name, files), stage(staged, files))


def state(folder: Path) -> dict[str, tuple[int, int]]:
    """Everything in a folder, with what would tell of a write."""
    return {
        str(path): (path.lstat().st_mtime_ns, path.lstat().st_mode) for path in [folder, *folder.rglob("*")]
    }


@pytest.fixture
def site(tmp_path: Path) -> Store:
    return Store(tmp_path / "site")


@pytest.fixture
def demo(site: Store) -> Tree:
    return publish(site, "demo", FILES)


@pytest.fixture
def own(tmp_path: Path, site: Store, demo: Tree) -> Store:
    return Store(tmp_path / "own", site.root)


def test_looking_finds_it_and_writes_nothing(site: Store, own: Store, demo: Tree) -> None:
    before = state(site.root)
    assert own.has_tree(demo.sha256)
    assert own.find_tree(demo.sha256) == own.find_tree_by_id(demo.id) == demo
    assert own.entries(demo.id, "demo") == [("__init__.py", False), ("data", True)]
    assert own.tree_files(demo.id) == site.tree_files(demo.id)
    assert own.verify_tree(demo) == []
    assert own.tree_path(demo.id) == site.trees / demo.id
    assert not own.root.exists()
    assert state(site.root) == before
    assert own.find_tree("ab" * 32) is None and not own.has_tree("ab" * 32)


def test_using_it_makes_one_link(site: Store, own: Store, demo: Tree) -> None:
    before = state(site.root)
    assert own.lacks_links([demo.id])
    for _ in range(2):
        own.use_site_trees([demo.id, "not-there-at-all"])
    assert not own.lacks_links([demo.id])
    [link] = own.trees.iterdir()
    assert (link.name, os.readlink(link)) == (demo.id, str(site.trees / demo.id))
    assert own.sweep() == 0
    assert link.exists()
    own.remove_tree(demo.id)
    assert list(own.trees.iterdir()) == []
    assert own.find_tree(demo.sha256) == demo  # only the link went
    assert state(site.root) == before


def test_a_site_that_has_moved(tmp_path: Path, own: Store, demo: Tree) -> None:
    own.use_site_trees([demo.id])
    (tmp_path / "site").rename(tmp_path / "moved")
    moved = Store(own.root, tmp_path / "moved")
    assert moved.lacks_links([demo.id])
    moved.use_site_trees([demo.id])
    assert (own.trees / demo.id / "lib/demo/__init__.py").read_bytes() == b"x = 1\n"


@pytest.mark.parametrize("what", ["store", "tree", "summary"])
def test_what_the_site_loses_is_fetched_into_the_own_store(
    site: Store, own: Store, demo: Tree, what: str
) -> None:
    own.use_site_trees([demo.id])
    if what == "store":
        remove_sealed(site.root)
    elif what == "tree":
        site.remove_tree(demo.id)
    else:
        (site.trees / f"{demo.id}.json").write_text("")
    again = Store(own.root, site.root)
    assert again.site_fault == ("there is no store" if what == "store" else "")
    assert again.find_tree(demo.sha256) is None
    again.sweep()  # the link stays for the ones who are still to find it mended
    assert publish(again, "demo", FILES) == demo
    assert not (own.trees / demo.id).is_symlink()
    assert again.find_tree(demo.sha256) == demo
    assert again.verify_tree(demo) == []
    assert [place.suffix for place in sorted(own.trees.iterdir())] == ["", ".files", ".json"]


def test_what_is_damaged_there_is_refused_from_then_on(site: Store, own: Store, demo: Tree) -> None:
    own.use_site_trees([demo.id])
    file = site.trees / demo.id / "lib/demo/__init__.py"
    file.chmod(0o644)
    file.write_bytes(b"x = 2\n")
    assert [damage.problem for damage in own.verify_tree(demo)] == ["changed"]
    own.remove_tree(demo.id, damaged=True)
    assert own.find_tree(demo.sha256) is None
    publish(own, "demo", FILES)
    assert own.verify_tree(demo) == []
    own.remove_tree(demo.id)
    assert Store(own.root, site.root).find_tree(demo.sha256) is None


def test_the_own_tree_comes_first(site: Store, own: Store, demo: Tree) -> None:
    publish(own, "demo", FILES)
    own.use_site_trees([demo.id])
    assert own.tree_path(demo.id) == own.trees / demo.id
    assert not (own.trees / demo.id).is_symlink()


def test_half_an_own_tree_makes_way(own: Store, demo: Tree) -> None:
    own.staging().__enter__()
    (own.trees / demo.id / "lib").mkdir(parents=True)
    own.use_site_trees([demo.id])
    assert own.verify_tree(demo) == []
    assert (own.trees / demo.id).is_symlink()


def test_a_newer_site_is_left_out(site: Store, own: Store, demo: Tree) -> None:
    (site.root / "store").write_text('{"format": 2}')
    store = Store(own.root, site.root)
    assert "layout 2" in store.site_fault
    assert store.find_tree(demo.sha256) is None


def test_no_site_is_missed_where_none_is_wanted(tmp_path: Path, site: Store, demo: Tree) -> None:
    assert Store(tmp_path / "own").site_fault == ""
    assert Store(site.root, site.root).site_fault == ""  # the one who looks after it
    assert Store(tmp_path / "own", tmp_path / "nothing").site_fault == "there is no store"
    (tmp_path / "file").write_text("")
    assert Store(tmp_path / "own", tmp_path / "file").site_fault == "there is no store"
    Store(tmp_path / "cache/tier").prepare()
    fault = f"there is no store, but one in {tmp_path / 'cache/tier'}"
    assert Store(tmp_path / "own", tmp_path / "cache").site_fault == fault


def test_its_bundle_is_used(site: Store, own: Store, demo: Tree) -> None:
    trees = [demo, publish(site, "other", OTHER)]
    identity = ensure_bundle(site, trees, SILENT)
    before = state(site.root)
    own.use_site_trees(tree.id for tree in trees)
    assert ensure_bundle(own, trees, SILENT) == identity
    assert os.readlink(own.bundles / identity) == str(site.bundles / identity)
    assert state(site.root) == before
    # it has files of a tree that is damaged, so another one is made
    own.remove_tree(demo.id, damaged=True)
    publish(own, "demo", FILES)
    assert ensure_bundle(own, trees, SILENT) == identity
    assert not (own.bundles / identity).is_symlink()
    theirs = site.trees / trees[1].id / "lib/other/lib/b.so"
    assert (own.bundles / identity / "lib/other/lib/b.so").samefile(theirs)


def test_a_bundle_of_trees_that_cannot_be_linked(own: Store, as_nobody: AsNobody, open_folder: Path) -> None:
    """Files of root cannot be hard-linked by others (``fs.protected_hardlinks``)."""
    if os.getuid() != 0:
        pytest.skip("needs root, to be another user than the site's")
    site = Store(open_folder / "site")
    trees = [publish(site, "demo", FILES), publish(site, "other", OTHER)]
    (open_folder / "home").mkdir()
    os.chown(open_folder / "home", 65534, 65534)
    code = f"""if 1:
        import sys
        from pathlib import Path
        from envforge.events import SilentReporter
        from envforge.store.store import Store
        store = Store(Path(sys.argv[1]) / "own", Path({str(site.root)!r}))
        ids = {[tree.id for tree in trees]!r}
        store.use_site_trees(ids)
        trees = [store.find_tree_by_id(identity) for identity in ids]
        place = store.bundles / store.ensure_bundle(trees, SilentReporter())
        for name in ("demo/__init__.py", "demo/data/table.csv", "other/lib/b.so"):
            file = place / "lib" / name
            print(file.is_symlink(), file.read_bytes())
        print((place / "lib/demo/data/../../other/lib/b.so").exists())
    """
    done = as_nobody(code, open_folder / "home")
    assert done.stderr == ""
    protected = Path("/proc/sys/fs/protected_hardlinks").read_text().strip() == "1"
    assert done.stdout.splitlines() == [
        f"{protected} b'x = 1\\n'",
        f"{protected} b'1,2\\n'",
        f"{protected} b'library'",
        "True",
    ]


def test_libraries_find_each_other_through_symlinks(as_nobody: AsNobody, open_folder: Path) -> None:
    """A bundle of symlinks to the site's files: ``$ORIGIN/../..`` leads to the neighbour all the same."""
    if os.getuid() != 0 or not shutil.which("gcc"):
        pytest.skip("needs root, to be another user than the site's, and gcc")
    work = open_folder / "work"
    work.mkdir()
    (work / "b.c").write_text("int answer(void) { return 42; }")
    (work / "a.c").write_text("int answer(void); int ask(void) { return answer(); }")
    link = ["-L.", "-l:libb.so", "-Wl,-rpath,$ORIGIN/../../other/lib"]
    for command in (["b.c", "-o", "libb.so"], ["a.c", "-o", "liba.so", *link]):
        subprocess.run(["gcc", "-shared", "-fPIC", *command], cwd=work, check=True)
    site = Store(open_folder / "site")
    demo = publish(site, "demo", {"lib/demo/lib/liba.so": (work / "liba.so").read_bytes()})
    other = publish(site, "other", {"lib/other/lib/libb.so": (work / "libb.so").read_bytes()})
    (open_folder / "home").mkdir()
    os.chown(open_folder / "home", 65534, 65534)
    code = f"""if 1:
        import ctypes, sys
        from pathlib import Path
        from envforge.events import SilentReporter
        from envforge.store.store import Store
        root = Path(sys.argv[1])
        store = Store(root / "own", Path({str(site.root)!r}))
        store.use_site_trees({[demo.id, other.id]!r})
        trees = [store.find_tree_by_id(identity) for identity in {[demo.id, other.id]!r}]
        bundle = store.bundles / store.ensure_bundle(trees, SilentReporter())
        (root / "site-packages").mkdir()
        (root / "site-packages/demo").symlink_to(bundle / "lib/demo")
        place = root / "site-packages/demo/lib/liba.so"
        print(place.is_symlink(), ctypes.CDLL(str(place)).ask())
    """
    done = as_nobody(code, open_folder / "home")
    protected = Path("/proc/sys/fs/protected_hardlinks").read_text().strip() == "1"
    assert (done.stdout, done.stderr) == (f"{protected} 42\n", "")


def test_an_own_store_that_cannot_be_written(own: Store, demo: Tree) -> None:
    own.root.write_text("")
    with pytest.raises(StoreError, match="cannot write to the store"):
        own.use_site_trees([demo.id])
