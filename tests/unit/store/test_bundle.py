"""Coupled trees become physical siblings, once."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from envforge.errors import StoreError
from envforge.events import SilentReporter
from envforge.model.tree import Tree
from envforge.plan.bundles import bundle_id, plan_bundles
from envforge.store.integrity import find_bundle_damage
from envforge.store.store import Store

Plant = Callable[..., Tree]
SILENT = SilentReporter()


@pytest.fixture
def pair(plant: Plant) -> list[Tree]:
    torch = {"lib/torch/__init__.py": b"", "lib/torch/lib/libtorch.so": b"elf", "lib/torch/run.sh": b"#!"}
    cublas = {
        "lib/nvidia/cublas/lib/libcublas.so": b"elf",
        "lib/nvidia/cublas/__init__.py": b"",
        "data/x": b"x",
    }
    return [plant("torch", torch, ("nvidia/cublas/lib",)), plant("nvidia-cublas", cublas)]


def test_everything_stands_in_one_real_folder(store: Store, pair: list[Tree]) -> None:
    identity = store.ensure_bundle(pair, SILENT)
    assert identity == bundle_id(tree.id for tree in pair)
    assert store.has_bundle(identity)
    library = store.bundles / identity / "lib"
    assert (library / "torch/lib/../../nvidia/cublas/lib/libcublas.so").read_bytes() == b"elf"
    for tree, path in ((pair[0], "torch/lib/libtorch.so"), (pair[1], "nvidia/cublas/lib/libcublas.so")):
        assert os.path.samefile(library / path, store.tree_path(tree.id) / "lib" / path)
    assert not (library.parent / "data").exists()
    assert not any(path.is_symlink() for path in library.rglob("*"))
    assert oct((library / "torch").stat().st_mode & 0o777) == "0o555"
    assert oct((library / "torch/__pycache__").stat().st_mode & 0o777) == "0o755"
    assert oct(library.parent.stat().st_mode & 0o777) == "0o555"
    assert json.loads((store.bundles / f"{identity}.json").read_text()) == {
        "trees": sorted(t.id for t in pair)
    }
    assert list(store.tmp.iterdir()) == list(store.guards.iterdir()) == []


def test_it_is_made_once(store: Store, pair: list[Tree]) -> None:
    first = store.ensure_bundle(pair, SILENT)
    inode = (store.bundles / first / "lib").stat().st_ino
    assert store.ensure_bundle(pair[::-1], SILENT) == first
    assert (store.bundles / first / "lib").stat().st_ino == inode


def test_many_at_once_make_one(store: Store, pair: list[Tree]) -> None:
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(store.ensure_bundle(pair, SILENT))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert len(list(store.bundles.iterdir())) == 2
    assert list(store.tmp.iterdir()) == []


def test_half_a_bundle_is_replaced(store: Store, pair: list[Tree]) -> None:
    identity = bundle_id(tree.id for tree in pair)
    half = store.bundles / identity / "lib"
    half.mkdir(parents=True)
    (half / "rubbish").write_text("")
    half.parent.chmod(0o555)
    assert not store.has_bundle(identity)
    store.ensure_bundle(pair, SILENT)
    assert sorted(path.name for path in half.iterdir()) == ["nvidia", "torch"]


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP])
def test_files_are_copied_where_links_cannot_be(
    store: Store, pair: list[Tree], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    library = store.bundles / store.ensure_bundle(pair, SILENT) / "lib"
    assert (library / "torch/lib/libtorch.so").read_bytes() == b"elf"
    assert (library / "torch/lib/libtorch.so").stat().st_nlink == 1
    assert oct((library / "torch/lib/libtorch.so").stat().st_mode & 0o777) == "0o444"
    assert oct((library / "torch/run.sh").stat().st_mode & 0o777) == "0o555"


def test_other_failures_leave_nothing(
    store: Store, pair: list[Tree], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(StoreError, match="no space left"):
        store.ensure_bundle(pair, SILENT)
    assert [list(folder.iterdir()) for folder in (store.bundles, store.tmp, store.guards)] == [[], [], []]


def test_of_two_files_the_first_by_name_stays(store: Store, plant: Plant) -> None:
    late = plant("zebra", {"lib/shared/a.txt": b"zebra", "lib/file/below": b"zebra", "lib/folder": b"zebra"})
    early = plant("ant", {"lib/shared/a.txt": b"ant", "lib/file": b"ant", "lib/folder/below": b"ant"})
    library = store.bundles / store.ensure_bundle([late, early], SILENT) / "lib"
    assert (library / "shared/a.txt").read_bytes() == b"ant"
    assert (library / "file").read_bytes() == b"ant"
    assert (library / "folder/below").read_bytes() == b"ant"


def test_a_bundle_of_thousands_of_files(store: Store, plant: Plant, tmp_path: Path) -> None:
    files = {f"lib/big/{number % 40}/{number}.txt": b"x" for number in range(2001)}
    trees = [plant("big", files), plant("small", {"lib/small/x": b""})]
    library = store.bundles / store.ensure_bundle(trees, SILENT) / "lib"
    assert sum(len(names) for _, _, names in os.walk(library)) == 2002


def test_planning_on_a_real_store(store: Store, pair: list[Tree], plant: Plant) -> None:
    other = plant("numpy", {"lib/numpy/__init__.py": b""}, ("nvidia/none/lib",))
    assert plan_bundles([*pair, other], store) == [tuple(sorted(tree.id for tree in pair))]


def test_damage_to_a_bundle_is_found(store: Store, pair: list[Tree]) -> None:
    identity = store.ensure_bundle(pair, SILENT)
    assert find_bundle_damage(store, identity, pair) == []
    library = store.bundles / identity / "lib"
    for folder in (library / "torch", library / "torch/lib", library / "nvidia/cublas/lib"):
        folder.chmod(0o755)
    (library / "torch/run.sh").unlink()
    (library / "torch/lib/libtorch.so").unlink()
    (library / "torch/lib/libtorch.so").write_bytes(b"fle")
    (library / "nvidia/cublas/lib/extra.so").write_bytes(b"")
    (library / "torch/__pycache__").mkdir(exist_ok=True)
    (library / "torch/__pycache__/x.pyc").write_bytes(b"")
    assert [(found.path, found.problem) for found in find_bundle_damage(store, identity, pair)] == [
        ("lib/nvidia/cublas/lib/extra.so", "unexpected"),
        ("lib/torch/lib/libtorch.so", "changed"),
        ("lib/torch/run.sh", "missing"),
    ]


def test_a_copy_of_a_file_in_a_bundle_is_no_damage(store: Store, pair: list[Tree]) -> None:
    """Such as where there are no hard links."""
    identity = store.ensure_bundle(pair, SILENT)
    folder = store.bundles / identity / "lib/torch"
    folder.chmod(0o755)
    (folder / "run.sh").unlink()
    (folder / "run.sh").write_bytes(b"#!")
    assert find_bundle_damage(store, identity, pair) == []
