"""Removal where something is in use, or belongs to others: out of the way at once, the rest later."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from envforge.environment.collect import remove_generation
from envforge.environment.generation import sweep_unfinished
from envforge.model.tree import Tree
from envforge.store.owner import Owner, this_process
from envforge.store.sealing import discard, remove_sealed
from envforge.store.store import Store

Plant = Callable[..., Tree]
FILES = {"lib/demo/__init__.py": b"x = 1\n", "lib/demo/sub/a.py": b""}


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Callable[[Path], None]]:
    """Make a folder that cannot be removed (EBUSY) until the block ends: something is mounted on it."""
    mounted: list[Path] = []

    def mount(place: Path) -> None:
        place.mkdir(parents=True)
        command = ["mount", "-t", "tmpfs", "none", str(place)]
        if os.getuid() != 0 or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("needs the right to mount")
        mounted.append(place)

    yield mount
    for place in mounted:
        for now in [place, *tmp_path.rglob(place.name)]:
            subprocess.run(["umount", str(now)], capture_output=True)


def release(folder: Path, name: str) -> None:
    [place] = folder.rglob(name)
    subprocess.run(["umount", str(place)], check=True)


def test_what_is_in_use_stays_and_the_rest_goes(tmp_path: Path, busy: Callable[[Path], None]) -> None:
    place = tmp_path / "tree"
    busy(place / "lib" / "in-use")
    (place / "lib" / "file").write_text("")
    (place / "other").mkdir(mode=0o555)
    assert not remove_sealed(place)
    assert [str(path.relative_to(place)) for path in place.rglob("*")] == ["lib", "lib/in-use"]
    release(tmp_path, "in-use")
    assert remove_sealed(place)
    assert not place.exists()
    assert remove_sealed(place)


@pytest.mark.parametrize("number", [errno.EBUSY, errno.ENOTEMPTY, errno.ESTALE])
def test_what_a_network_disk_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """NFS keeps an open file as ``.nfs…``: to remove that one is EBUSY, and its folder is not empty."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / ".nfs0001").write_text("")
    (tmp_path / "tree" / "file").write_text("")
    real = os.unlink

    def unlink(path: str) -> None:
        if ".nfs" in str(path):
            raise OSError(number, os.strerror(number), path)
        real(path)

    monkeypatch.setattr(os, "unlink", unlink)
    assert not remove_sealed(tmp_path / "tree")
    assert [place.name for place in (tmp_path / "tree").iterdir()] == [".nfs0001"]
    monkeypatch.undo()
    assert remove_sealed(tmp_path / "tree")


def test_other_failures_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")

    def unlink(path: str) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), path)

    monkeypatch.setattr(os, "unlink", unlink)
    with pytest.raises(OSError, match="Input/output"):
        remove_sealed(tmp_path / "file")
    monkeypatch.undo()


def test_a_tree_in_use_is_out_of_the_way_at_once(
    store: Store, plant: Plant, busy: Callable[[Path], None]
) -> None:
    tree = plant("demo", FILES)
    (store.trees / tree.id).chmod(0o755)
    busy(store.trees / tree.id / "in-use")
    store.remove_tree(tree.id)
    assert store.find_tree(tree.sha256) is None
    assert plant("demo", FILES) == tree
    assert store.verify_tree(tree) == []
    assert store.sweep() == 0
    release(store.trees, "in-use")
    assert store.sweep() == 1
    assert len(list(store.trees.iterdir())) == 3


def test_a_generation_in_use_goes_with_the_next_sweep(tmp_path: Path, busy: Callable[[Path], None]) -> None:
    environments = tmp_path / "envs"
    busy(environments / "abc" / "in-use")
    remove_generation(environments / "abc")
    [left] = environments.iterdir()
    assert left.name.startswith(f".tmp-{this_process()}.")
    release(environments, "in-use")
    assert sweep_unfinished(environments) == 0  # we might be at it
    left.rename(environments / f".tmp-{Owner(this_process().host, os.getpid(), '1')}.abc")
    assert sweep_unfinished(environments) == 1
    assert list(environments.iterdir()) == []


def test_what_cannot_be_renamed_is_removed_in_place(tmp_path: Path) -> None:
    """A folder of an overlay's lower layer: a store that came with a container's image."""
    lower, upper, work, merged = (tmp_path / name for name in ("lower", "upper", "work", "merged"))
    for place in (lower / "trees" / "a" / "lib", upper, work, merged):
        place.mkdir(parents=True)
    (lower / "trees" / "a" / "lib" / "file").write_text("")
    layers = f"lowerdir={lower},upperdir={upper},workdir={work},redirect_dir=off"
    command = ["mount", "-t", "overlay", "overlay", "-o", layers, str(merged)]
    if os.getuid() != 0 or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs the right to mount an overlay")
    try:
        with pytest.raises(OSError, match="Invalid cross-device link"):
            (merged / "trees/a").rename(merged / "trees/b")
        assert discard(merged / "trees/a", merged / "trees/b")
        assert list((merged / "trees").iterdir()) == []
    finally:
        subprocess.run(["umount", str(merged)], check=True)
