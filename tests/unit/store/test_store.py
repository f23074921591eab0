"""Trees are in the store whole or not at all, and stay as they are."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from envforge.errors import StoreError
from envforge.model.tree import EntryPoint, Tree
from envforge.store.failures import store_error
from envforge.store.layout import Damage, StoredFile, tree_id
from envforge.store.owner import Owner, this_process
from envforge.store.sealing import remove_sealed
from envforge.store.store import Store
from envforge.struct import replace

from .conftest import AsNobody, describe, stage

FILES = {
    "lib/demo/__init__.py": b"x = 1\n",
    "lib/demo/data/table.csv": b"1,2\n",
    "lib/demo/tool.sh": b"#!/bin/sh\n",
    "lib/single.py": b"",
    "data/share/demo.txt": b"hello",
}


def mode(path: Path) -> str:
    return oct(path.stat().st_mode & 0o777)


def test_id_is_short_and_of_the_digest() -> None:
    assert tree_id("00" * 32) == "a" * 20
    assert tree_id("ff" * 32) == "7" * 20
    assert len({tree_id(f"{number:064x}"[::-1]) for number in range(500)}) == 500


def test_a_store_that_is_only_looked_at_writes_nothing(store: Store) -> None:
    assert store.find_tree("ab" * 32) is None
    assert store.entries("nobody", "") == []
    assert store.sweep() == 0
    assert not store.root.exists()


def test_a_published_tree_is_found_as_it_was_described(store: Store) -> None:
    tree = replace(
        describe("demo", FILES, ("nvidia/cublas/lib",)),
        entry_points=(EntryPoint(name="demo", module="demo.cli", attribute="main", gui=True),),
        scripts=("a.sh",),
        data=("share/demo.txt",),
        headers=("demo.h",),
    )
    with store.staging() as staging:
        staged = staging / "tree"
        staged.mkdir()
        files = stage(staged, FILES)
        assert store.find_tree(tree.sha256) is None
        assert store.publish_tree(staged, tree, files) == tree
        assert not staged.exists()
    assert Store(store.root).find_tree(tree.sha256) == tree
    assert store.tree_files(tree.id) == files
    assert store.verify_tree(tree) == []
    assert list(store.tmp.iterdir()) == []


def test_the_whole_digest_is_compared(store: Store, plant: Callable[..., Tree]) -> None:
    tree = plant("demo", FILES)
    assert store.find_tree(tree.sha256[:40] + "0" * 24) is None


def test_listing_has_folders_and_files_but_no_bytecode(store: Store, plant: Callable[..., Tree]) -> None:
    tree = plant("demo", FILES)
    assert store.entries(tree.id, "") == [("demo", True), ("single.py", False)]
    assert store.entries(tree.id, "demo") == [("__init__.py", False), ("data", True), ("tool.sh", False)]
    assert store.entries(tree.id, "demo/none") == []
    assert store.entries(tree.id, "single.py") == []


def test_modes(store: Store, plant: Callable[..., Tree]) -> None:
    before = os.umask(0o022)
    try:
        tree = plant("demo", FILES)
    finally:
        os.umask(before)
    place = store.tree_path(tree.id)
    modes = {str(path.relative_to(place)): mode(path) for path in [place, *place.rglob("*")]}
    assert modes == {
        ".": "0o555",
        "data": "0o555",
        "data/share": "0o555",
        "data/share/demo.txt": "0o444",
        "lib": "0o555",
        "lib/demo": "0o555",
        "lib/demo/__init__.py": "0o444",
        "lib/demo/__pycache__": "0o755",
        "lib/demo/data": "0o555",
        "lib/demo/data/table.csv": "0o444",
        "lib/demo/tool.sh": "0o555",
        "lib/single.py": "0o444",
    }


@pytest.mark.parametrize(
    ("umask", "folder", "bytecode", "file"),
    [
        (0o077, "0o500", "0o700", "0o400"),
        (0o027, "0o550", "0o750", "0o440"),
        (0o002, "0o555", "0o775", "0o444"),
    ],
)
def test_the_umask_takes_its_share(
    store: Store, plant: Callable[..., Tree], umask: int, folder: str, bytecode: str, file: str
) -> None:
    before = os.umask(umask)
    try:
        place = store.tree_path(plant("demo", FILES).id)
    finally:
        os.umask(before)
    assert mode(place) == mode(place / "lib/demo") == folder
    assert mode(place / "lib/demo/__pycache__") == bytecode
    assert mode(place / "lib/single.py") == file


def test_python_writes_bytecode_but_nobody_deletes(as_nobody: AsNobody, open_folder: Path) -> None:
    """For a user who is not root, import through a link compiles into the store; removing fails."""
    folder = open_folder / "home"
    folder.mkdir()
    if os.getuid() == 0:
        os.chown(folder, 65534, 65534)
    code = f"""if 1:
        import os, sys, shutil
        from pathlib import Path
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from conftest import describe, stage
        from envforge.store.store import Store
        root = Path(sys.argv[1])
        store = Store(root / "tier")
        files = {{"lib/demo/__init__.py": b"x = 41", "lib/demo/sub/a.py": b"y = 1"}}
        with store.staging() as staging:
            staged = staging / "tree"
            staged.mkdir()
            tree = store.publish_tree(staged, describe("demo", files), stage(staged, files))
        place = store.tree_path(tree.id)
        site = root / "site"
        site.mkdir()
        (site / "demo").symlink_to(place / "lib/demo")
        sys.path.insert(0, str(site))
        sys.pycache_prefix = None
        import demo
        assert demo.x == 41
        assert list((place / "lib/demo/__pycache__").iterdir()), "no bytecode"
        for attempt in (
            lambda: os.unlink(site / "demo/__init__.py"),
            lambda: shutil.rmtree(site / "demo/sub"),
            lambda: open(site / "demo/__init__.py", "w"),
            lambda: (site / "demo/new.py").write_text(""),
            lambda: os.rename(site / "demo/__init__.py", site / "demo/gone.py"),
        ):
            try:
                attempt()
            except PermissionError:
                continue
            raise AssertionError("the store was changed")
        assert store.verify_tree(tree) == []
        store.remove_tree(tree.id)
        assert not place.exists() and not os.listdir(store.tmp)
        with store.staging() as staging:
            staged = staging / "tree"
            staged.mkdir()
            store.publish_tree(staged, describe("demo", files), stage(staged, files))
        print("done")
    """
    result = as_nobody(code, folder)
    assert (result.returncode, result.stdout, result.stderr) == (0, "done\n", "")


def test_a_folder_that_cannot_be_written(as_nobody: AsNobody, open_folder: Path) -> None:
    locked = open_folder / "locked"
    locked.mkdir(mode=0o555)
    code = """if 1:
        import sys
        from pathlib import Path
        from envforge.store.store import Store
        from envforge.errors import StoreError
        try:
            with Store(Path(sys.argv[1]) / "tier").staging():
                pass
        except StoreError as error:
            print(error.message, error.context[0].partition(":")[0], bool(error.hints))
    """
    assert as_nobody(code, locked).stdout == "cannot write to the store: permission denied path True\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_told(tmp_path: Path) -> None:
    with pytest.raises(OSError) as caught, open("/dev/full", "w") as full:
        full.write("x")
    error = store_error(caught.value, tmp_path / "not/there", "unpack demo")
    assert error.message == "cannot unpack demo: no space left"
    assert error.context[0].startswith("path: ")
    assert any(line.startswith("free inodes: ") for line in error.context)
    assert "--tier" in error.hints[0]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EROFS, "read-only"),
        (errno.EDQUOT, "quota"),
        (errno.EACCES, "permission"),
        (errno.EMFILE, "too many open files"),
        (errno.ENOTCONN, "not connected"),
    ],
)
def test_each_failure_has_words_and_a_hint(tmp_path: Path, number: int, words: str) -> None:
    error = store_error(OSError(number, os.strerror(number), "/some/file"), tmp_path, "do it")
    assert words in error.message
    assert error.context[0] == "path: /some/file"
    assert error.hints


def test_a_failed_publication_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = describe("demo", FILES)
    with store.staging() as staging:
        staged = staging / "tree"
        staged.mkdir()
        files = stage(staged, FILES)
        (store.trees / f"{tree.id}.json").mkdir()  # the summary cannot be put in its place
        with pytest.raises(StoreError, match="cannot store demo"):
            store.publish_tree(staged, tree, files)
        (store.trees / f"{tree.id}.json").rmdir()
    assert store.find_tree(tree.sha256) is None
    assert list(store.tmp.iterdir()) == []


def test_the_second_to_publish_gets_what_is_there(store: Store, plant: Callable[..., Tree]) -> None:
    first = plant("demo", FILES)
    inode = (store.tree_path(first.id) / "lib/single.py").stat().st_ino
    assert plant("demo", FILES) == first
    assert (store.tree_path(first.id) / "lib/single.py").stat().st_ino == inode
    assert store.verify_tree(first) == []
    assert list(store.tmp.iterdir()) == []


def test_a_tree_without_summary_is_replaced(store: Store, plant: Callable[..., Tree]) -> None:
    tree = describe("demo", FILES)
    store.staging().__enter__()
    half = store.tree_path(tree.id)
    (half / "lib").mkdir(parents=True)
    (half / "lib/rubbish").write_text("half")
    half.chmod(0o555)
    assert store.find_tree(tree.sha256) is None
    assert plant("demo", FILES) == tree
    assert store.verify_tree(tree) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"id": 1}', '{"entry_points": []}'])
def test_a_damaged_summary_counts_as_absent(store: Store, plant: Callable[..., Tree], text: str) -> None:
    tree = plant("demo", FILES)
    (store.trees / f"{tree.id}.json").write_text(text)
    assert store.find_tree(tree.sha256) is None
    assert plant("demo", FILES) == tree
    assert store.find_tree(tree.sha256) == tree


def test_removal(store: Store, plant: Callable[..., Tree]) -> None:
    tree, other = plant("demo", FILES), plant("other", FILES)
    store.remove_tree(tree.id)
    store.remove_tree("never-there")
    assert store.find_tree(tree.sha256) is None
    assert sorted(path.name for path in store.trees.iterdir()) == sorted(
        [other.id, f"{other.id}.files", f"{other.id}.json"]
    )
    assert store.verify_tree(other) == []


def test_verify_finds_each_kind_of_damage(store: Store, plant: Callable[..., Tree]) -> None:
    tree = plant("demo", FILES)
    library = store.tree_path(tree.id) / "lib"
    for folder in (library, library / "demo", library / "demo/data"):
        folder.chmod(0o755)
    (library / "single.py").unlink()
    (library / "demo/__init__.py").chmod(0o644)
    (library / "demo/__init__.py").write_text("x = 2\n")  # as long as before
    (library / "demo/data/table.csv").unlink()
    (library / "demo/data/table.csv").symlink_to("/etc/passwd")
    (library / "demo/new.py").write_text("")
    (library / "demo/__pycache__/x.cpython-312.pyc").write_text("is not looked at")
    assert store.verify_tree(tree) == [
        Damage(tree.id, "lib/demo/__init__.py", "changed"),
        Damage(tree.id, "lib/demo/data/table.csv", "changed"),
        Damage(tree.id, "lib/demo/new.py", "unexpected"),
        Damage(tree.id, "lib/single.py", "missing"),
    ]


@pytest.mark.parametrize("text", ["", "{", "[1]", '[["a"]]'])
def test_a_damaged_list_of_files_is_an_error(store: Store, plant: Callable[..., Tree], text: str) -> None:
    tree = plant("demo", FILES)
    (store.trees / f"{tree.id}.files").write_text(text)
    with pytest.raises(StoreError, match="cannot be read"):
        store.verify_tree(tree)


def test_layouts_are_told_apart(store: Store, plant: Callable[..., Tree]) -> None:
    plant("demo", FILES)
    assert json.loads((store.root / "store").read_text()) == {"format": 1}
    (store.root / "store").write_text('{"format": 2}')
    with pytest.raises(StoreError, match="layout 2") as caught:
        Store(store.root)
    assert "upgrade" in caught.value.hints[0]
    (store.root / "store").write_text("")
    Store(store.root)


def test_a_purged_tmp_folder_is_made_again(store: Store, plant: Callable[..., Tree]) -> None:
    plant("demo", FILES)
    store.tmp.rmdir()
    assert plant("other", FILES).name == "other"


def test_threads_go_on_where_the_folder_of_trees_is_purged(store: Store, plant: Callable[..., Tree]) -> None:
    """One makes it again between another's failure and its look."""
    for number in range(20):
        plant(f"first{number}", FILES)
        for folder in (store.trees, store.bundles):
            remove_sealed(folder)
        with ThreadPoolExecutor(8) as threads:
            names = [f"thread{number}x{each}" for each in range(8)]
            assert [tree.name for tree in threads.map(lambda name: plant(name, FILES), names)] == names


def test_sweep_removes_what_the_dead_left(store: Store, plant: Callable[..., Tree]) -> None:
    tree = plant("demo", FILES)
    me = this_process()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    gone = [
        Owner(me.host, dead.pid, "1"),  # its process is gone
        Owner(me.host, me.pid, "1"),  # the id was used again: by us
    ]
    stays = [me, Owner("elsewhere-12345678", 1, "1")]
    for owner in gone + stays:
        place = store.tmp / f"{owner}.abc" / "lib"
        place.mkdir(parents=True)
        (place / "file").write_text("")
        place.chmod(0o555)
    old = store.tmp / "elsewhere-12345678.2.1.abc"
    old.mkdir()
    os.utime(old, (0, 0))
    (store.tmp / f"{gone[0]}.def.file").write_text("")
    half = store.tree_path("a" * 20)
    half.mkdir()
    assert store.sweep() == 5
    assert sorted(path.name for path in store.tmp.iterdir()) == sorted(f"{owner}.abc" for owner in stays)
    assert not half.exists()
    assert store.verify_tree(tree) == []


def test_sweep_leaves_a_tree_that_somebody_is_making(store: Store, plant: Callable[..., Tree]) -> None:
    plant("demo", FILES)
    half = store.tree_path("a" * 20)
    half.mkdir()
    with store.guard("a" * 20).try_hold() as mine:
        assert mine
        assert store.sweep() == 0
    assert half.exists()
    assert store.sweep() == 1


def test_stored_files_survive_odd_names(store: Store) -> None:
    files = {'lib/demo/a, "b"\n.py': b"1", "lib/demo/ümlaut.py": b"2"}
    tree = describe("demo", files)
    with store.staging() as staging:
        staged = staging / "tree"
        staged.mkdir()
        store.publish_tree(staged, tree, stage(staged, files))
    assert {file.path for file in store.tree_files(tree.id)} == set(files)
    assert isinstance(store.tree_files(tree.id)[0], StoredFile)
    assert store.verify_tree(tree) == []
