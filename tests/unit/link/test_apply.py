"""A link plan on a real file system."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from envforge.errors import StoreError
from envforge.events import Event, Warned
from envforge.link.apply import apply_link_plan, link_target
from envforge.model.layout import environment_layout
from envforge.plan.link_plan import Link, LinkMode, LinkPlan, plan_links

from support.forest import Forest

LAYOUT = environment_layout("linux-64", "3.12")
SITE = LAYOUT.site_packages


class Hearing:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def report(self, event: Event) -> None:
        self.events.append(event)


def files_below(folder: Path) -> dict[str, bytes]:
    """Path → content, through links, without bytecode."""
    found = {}
    for parent, folders, names in os.walk(folder, followlinks=True):
        shortcuts = {"b", "t"} if Path(parent) == folder / "lib/python3.12" else set()
        folders[:] = [name for name in folders if name not in {"__pycache__", *shortcuts}]
        for name in names:
            place = Path(parent, name)
            found[str(place.relative_to(folder))] = place.read_bytes()
    return found


def make(forest: Forest, mode: LinkMode, final: Path | None = None, **options: object) -> Path:
    """Plan and apply aside, then rename, as a generation is made."""
    plan = plan_links(forest.trees, LAYOUT, forest, mode=mode, **options)  # type: ignore[arg-type]
    final = final or forest.root / "envs" / "project" / "generation"
    aside = final.parent / ".tmp-x"
    apply_link_plan(plan, forest.root, aside, final_prefix=final)
    aside.rename(final)
    return final


@pytest.fixture
def planted(forest: Forest) -> Forest:
    forest.plant(
        "torch", {"torch/__init__.py": "t", "torch/lib/libtorch.so": b"\0" * 5000, "torchgen.py": "g"}
    )
    forest.plant("cublas", {"nvidia/cublas/__init__.py": "", "nvidia/cublas/lib/c.so": b"c"})
    forest.plant("cudnn", {"nvidia/cudnn/__init__.py": "", "nvidia/__init__.py": ""})
    forest.plant("lab", data={"share/lab/x.json": "{}", "etc/lab.cfg": "e"}, headers={"lab.h": "h"})
    return forest


@pytest.mark.parametrize("mode", list(LinkMode))
def test_every_mode_gives_the_same_files(planted: Forest, mode: LinkMode) -> None:
    prefix = make(planted, mode)
    found = files_below(prefix)
    expected = {
        f"{SITE}/{path}": content
        for tree in planted.trees
        for path, content in files_below(planted.root / "trees" / tree.id / "lib").items()
    }
    expected["share/lab/x.json"] = b"{}"
    expected["etc/lab.cfg"] = b"e"
    expected["include/site/python3.12/lab/lab.h"] = b"h"
    assert found == expected


def test_shared_links_are_relative_short_and_move_with_the_tier(planted: Forest) -> None:
    prefix = make(planted, LinkMode.SHARED)
    torch = prefix / SITE / "torch"
    assert os.readlink(torch) == f"../t/{planted.trees[0].id}/lib/torch"
    assert os.readlink(prefix / "lib/python3.12/t") == "../../../../../trees"
    moved = planted.root.with_name("elsewhere")
    planted.root.rename(moved)
    assert (moved / "envs/project/generation" / SITE / "torch/__init__.py").read_text() == "t"


def test_an_environment_outside_the_tier_has_absolute_links(planted: Forest, tmp_path: Path) -> None:
    prefix = make(planted, LinkMode.SHARED, tmp_path / "project" / ".venv")
    assert os.readlink(prefix / SITE / "torch") == str(
        planted.root / "trees" / planted.trees[0].id / "lib/torch"
    )


def test_a_symlink_on_the_way_to_the_tier_is_noticed(planted: Forest, tmp_path: Path) -> None:
    """``envs`` put on another disk: ``..`` would lead to that disk."""
    (tmp_path / "disk" / "far" / "away").mkdir(parents=True)
    (planted.root / "envs").symlink_to(tmp_path / "disk" / "far" / "away")
    prefix = make(planted, LinkMode.SHARED)
    assert (prefix / SITE / "torch" / "__init__.py").read_text() == "t"


def test_a_tier_that_is_reached_through_a_symlink_keeps_relative_links(
    planted: Forest, tmp_path: Path
) -> None:
    alias = tmp_path / "alias"
    alias.symlink_to(planted.root)
    final = alias / "envs" / "project" / "generation"
    plan = plan_links(planted.trees, LAYOUT, planted, mode=LinkMode.SHARED)
    apply_link_plan(plan, alias, final, final_prefix=final)
    assert os.readlink(final / SITE / "torch").startswith("../")
    assert (final / SITE / "torch" / "__init__.py").read_text() == "t"


def test_link_target_tells_what_was_made(planted: Forest) -> None:
    plan = plan_links(planted.trees, LAYOUT, planted, mode=LinkMode.SHARED)
    prefix = make(planted, LinkMode.SHARED)
    for link in [*plan.shortcuts, *plan.links]:
        if link.is_folder:
            assert os.readlink(prefix / link.path) == link_target(link, plan, planted.root, prefix)
        else:
            assert (prefix / link.path).samefile(planted.root / link.source)


def test_hard_links_are_the_stores_files(planted: Forest) -> None:
    prefix = make(planted, LinkMode.HARDLINK)
    library = prefix / SITE / "torch/lib/libtorch.so"
    assert library.samefile(planted.root / "trees" / planted.trees[0].id / "lib/torch/lib/libtorch.so")
    assert not library.is_symlink()
    assert os.access(prefix / SITE / "torch", os.W_OK)


def test_copies_are_ones_own(planted: Forest) -> None:
    prefix = make(planted, LinkMode.COPY)
    source = planted.root / "trees" / planted.trees[0].id / "lib/torch/__init__.py"
    copy = prefix / SITE / "torch/__init__.py"
    assert not copy.samefile(source)
    assert stat.S_IMODE(copy.stat().st_mode) & stat.S_IWUSR
    assert copy.stat().st_mtime_ns == source.stat().st_mtime_ns
    copy.write_text("changed")
    assert source.read_text() == "t"


def test_an_executable_stays_one_when_copied(forest: Forest) -> None:
    tree = forest.plant("tool", {"tool/bin/run": "#!/bin/sh\n"})
    (forest.root / "trees" / tree.id / "lib/tool/bin/run").chmod(0o555)
    prefix = make(forest, LinkMode.COPY)
    assert stat.S_IMODE((prefix / SITE / "tool/bin/run").stat().st_mode) & 0o700 == 0o700


def test_bytecode_goes_along_into_real_folders_but_not_half_written(forest: Forest) -> None:
    tree = forest.plant("a")
    bytecode = forest.root / "trees" / tree.id / "lib/a/__pycache__"
    (bytecode / "__init__.cpython-312.pyc").write_bytes(b"done")
    (bytecode / "__init__.cpython-312.pyc.140213").write_bytes(b"ha")
    for mode in (LinkMode.HARDLINK, LinkMode.COPY):
        prefix = make(forest, mode, forest.root / "envs" / mode)
        assert os.listdir(prefix / SITE / "a/__pycache__") == ["__init__.cpython-312.pyc"]


def test_only_unshared_packages_are_copied(planted: Forest) -> None:
    prefix = make(planted, LinkMode.SHARED, unshared={"torch"})
    assert not (prefix / SITE / "torch").is_symlink()
    assert (prefix / SITE / "nvidia/cublas").is_symlink()


def test_refused_hard_links_become_copies_and_are_told_once(planted: Forest, tmp_path: Path) -> None:
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system here")
    hearing = Hearing()
    plan = plan_links(planted.trees, LAYOUT, planted, mode=LinkMode.HARDLINK)
    prefix = other / f"envforge-test-{os.getpid()}"
    try:
        apply_link_plan(plan, planted.root, prefix, final_prefix=prefix, reporter=hearing)
        assert (prefix / SITE / "torch/__init__.py").read_text() == "t"
    finally:
        import shutil

        shutil.rmtree(prefix)
    [event] = hearing.events
    assert isinstance(event, Warned)
    assert "could not be hard-linked" in event.message


def test_too_many_links_to_one_file_copy_that_file(forest: Forest, monkeypatch: pytest.MonkeyPatch) -> None:
    forest.plant("a", {"a/x.py": "x", "a/y.py": "y"})
    real = os.link

    def link(source: str, target: str) -> None:
        if source.endswith("x.py"):
            raise OSError(errno.EMLINK, "Too many links", source, None, target)
        real(source, target)

    monkeypatch.setattr(os, "link", link)
    prefix = make(forest, LinkMode.HARDLINK)
    assert (prefix / SITE / "a/x.py").stat().st_nlink == 1
    assert (prefix / SITE / "a/y.py").stat().st_nlink == 2


@pytest.mark.parametrize("mode", [LinkMode.HARDLINK, LinkMode.COPY])
def test_a_tree_that_is_not_there(planted: Forest, mode: LinkMode) -> None:
    plan = plan_links(planted.trees, LAYOUT, planted, mode=mode)
    planted.root.rename(planted.root.with_name("gone"))
    with pytest.raises(StoreError, match="the store lacks a file") as raised:
        apply_link_plan(plan, planted.root, planted.root / "x", final_prefix=planted.root / "x")
    assert "trees/" in raised.value.context[0]
    assert "envforge verify" in raised.value.hints[0]


def test_a_name_that_is_too_long_is_named(forest: Forest) -> None:
    plan = LinkPlan(
        folders=["lib"], links=[Link(f"lib/{'x' * 300}", "trees/a", True, LinkMode.SHARED)], scripts=[]
    )
    with pytest.raises(StoreError, match="the path is too long") as raised:
        apply_link_plan(plan, forest.root, forest.root / "e", final_prefix=forest.root / "e")
    assert "xxx" in raised.value.context[0]


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "no space left"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "permission denied"),
    ],
)
@pytest.mark.parametrize("mode", list(LinkMode))
def test_a_place_that_cannot_be_written(
    planted: Forest, monkeypatch: pytest.MonkeyPatch, number: int, message: str, mode: LinkMode
) -> None:
    """The system's own refusals; a full disk for real is in tests/system."""
    plan = plan_links(planted.trees, LAYOUT, planted, mode=mode)
    name = {LinkMode.SHARED: "symlink", LinkMode.HARDLINK: "link", LinkMode.COPY: "utime"}[mode]
    real = getattr(os, name)

    def refuse(*arguments: object, **options: object) -> None:
        if "probe" in str(arguments):
            real(*arguments, **options)
        else:
            raise OSError(number, os.strerror(number), arguments[0], None, arguments[-1])

    monkeypatch.setattr(os, name, refuse)
    prefix = planted.root / "envs" / "g"
    with pytest.raises(StoreError, match=message) as raised:
        apply_link_plan(plan, planted.root, prefix, final_prefix=prefix)
    assert raised.value.hints
