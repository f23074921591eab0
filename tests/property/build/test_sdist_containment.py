"""Whatever an archive's members are, what is unpacked stays in its folder, by every path that leads there."""

from __future__ import annotations

import io
import itertools
import os
import shutil
import tarfile
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from envforge.build.sdist import unpack_sdist
from envforge.errors import ArchiveError

PATHS = st.lists(st.sampled_from(["a", "b", "..", "."]), min_size=1, max_size=5).map("/".join)
# Few names and some depth, so that links meet and lead through one another.
PLAIN = st.sampled_from(["top/p/q/a", "top/p/q/b", "top/p/a", "top/a"])
NAMES = st.one_of(PLAIN, PLAIN, PLAIN, PATHS.map("top/{}".format), st.sampled_from(["/a", "top", "../a"]))
TARGETS = st.one_of(
    st.lists(st.sampled_from(["a", ".."]), min_size=1, max_size=4).map("/".join), PATHS, PLAIN
)
MEMBERS = st.tuples(st.sampled_from("sssfdh"), NAMES, TARGETS)
TYPES = {"f": tarfile.REGTYPE, "d": tarfile.DIRTYPE, "s": tarfile.SYMTYPE, "h": tarfile.LNKTYPE}


def write_archive(path: Path, members: list[tuple[str, str, str]]) -> None:
    with tarfile.open(path, "w") as archive:
        for kind, name, target in [("f", "top/setup.py", ""), *members]:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = TYPES[kind], target if kind in "sh" else ""
            info.size = 1 if kind == "f" else 0
            archive.addfile(info, io.BytesIO(b"x") if kind == "f" else None)


def assert_contained(root: Path, members: list[tuple[str, str, str]]) -> None:
    write_archive(root / "x.tar", members)
    try:
        source = unpack_sdist(root / "x.tar", root / "out")
    except ArchiveError:
        assert os.listdir(root / "out") == []
    else:
        assert os.listdir(root / "out") == [source.name]
        for path in source.rglob("*"):
            assert Path(os.path.realpath(path)).is_relative_to(source), members
        shutil.rmtree(source)
    assert sorted(os.listdir(root)) == ["out", "x.tar"]


@settings(max_examples=150, deadline=None)
@given(members=st.lists(MEMBERS, max_size=5))
def test_nothing_leaves_its_folder(members: list[tuple[str, str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        assert_contained(Path(folder).resolve(), members)


def test_no_two_links_lead_out_together(tmp_path: Path) -> None:
    """All pairs out of a small universe: alone each may be harmless, one through the other not."""
    first = [("s", name, target) for name in ("top/p/q/a", "top/a") for target in ("..", "../..", "p", "b")]
    ways = ("a", "a/..", "a/../..", "a/../../..", "../a/..", "../../a/../..", "..", "../..", "../../..")
    second = [("s", name, target) for name in ("top/p/q/b", "top/p/b", "top/b") for target in ways]
    for pair in itertools.product(first, second):
        assert_contained(tmp_path, list(pair))


def test_the_members_of_the_property_reach_both_outcomes() -> None:
    """The property would hold for an unpacker that refuses everything."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        good = [("d", "top/a", ""), ("s", "top/a/b", "../setup.py"), ("h", "top/c", "top/setup.py")]
        write_archive(root / "x.tar", good)
        assert sorted(os.listdir(unpack_sdist(root / "x.tar", root / "out"))) == ["a", "c", "setup.py"]
