"""Whatever an archive's members are, what is unpacked stays in its folder, by every path that leads there."""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from envforge.build.sdist import unpack_sdist
from envforge.errors import ArchiveError

PARTS = st.sampled_from(["a", "b", "c", "..", "."])
PATHS = st.lists(PARTS, min_size=1, max_size=5).map("/".join)
NAMES = st.one_of(PATHS.map("top/{}".format), PATHS, st.sampled_from(["/a", "top", "."]))
TARGETS = st.one_of(PATHS, NAMES, st.just("/tmp"))
MEMBERS = st.tuples(st.sampled_from("fdsh"), NAMES, TARGETS)
TYPES = {"f": tarfile.REGTYPE, "d": tarfile.DIRTYPE, "s": tarfile.SYMTYPE, "h": tarfile.LNKTYPE}


def write_archive(path: Path, members: list[tuple[str, str, str]]) -> None:
    with tarfile.open(path, "w") as archive:
        for kind, name, target in [("f", "top/setup.py", ""), *members]:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = TYPES[kind], target if kind in "sh" else ""
            info.size = 1 if kind == "f" else 0
            archive.addfile(info, io.BytesIO(b"x") if kind == "f" else None)


@settings(max_examples=300, deadline=None)
@given(members=st.lists(MEMBERS, max_size=8))
def test_nothing_leaves_its_folder(members: list[tuple[str, str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        write_archive(root / "x.tar", members)
        try:
            source = unpack_sdist(root / "x.tar", root / "out")
        except ArchiveError:
            assert os.listdir(root / "out") == []
        else:
            assert os.listdir(root / "out") == [source.name]
            for path in source.rglob("*"):
                assert Path(os.path.realpath(path)).is_relative_to(source)
        assert sorted(os.listdir(root)) == ["out", "x.tar"]


def test_the_members_of_the_property_reach_both_outcomes() -> None:
    """The property would hold for an unpacker that refuses everything."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        good = [("d", "top/a", ""), ("s", "top/a/b", "../setup.py"), ("h", "top/c", "top/setup.py")]
        write_archive(root / "x.tar", good)
        assert sorted(os.listdir(unpack_sdist(root / "x.tar", root / "out"))) == ["a", "c", "setup.py"]
