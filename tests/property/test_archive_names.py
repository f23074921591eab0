"""Whatever a wheel's entries are called: it is refused, or everything it writes is inside its tree."""

from __future__ import annotations

import os
import tempfile
from hashlib import sha256
from pathlib import Path, PurePosixPath
from unicodedata import normalize

from hypothesis import example, given, settings
from hypothesis import strategies as st

from envforge.errors import ArchiveError
from envforge.fetch.archive_names import find_clash, name_problem
from envforge.fetch.sources import MemorySource
from envforge.fetch.unpack import unpack_wheel
from envforge.store.sealing import remove_sealed

from support.wheels import RawEntry, RawZip, wheel_files

segments = st.one_of(
    st.sampled_from(
        ["", ".", "..", "...", "a", "A", "b", "demo", "demo-1.0.data", "purelib", "scripts", "data", "C:"]
    ),
    st.text(max_size=6),
    st.text(alphabet="./\\:~a\0\u0301e\u00e9", max_size=8),
)
names = st.builds("/".join, st.lists(segments, min_size=1, max_size=5))


def snapshot(folder: Path) -> set[str]:
    return {str(path) for path in folder.rglob("*")}


@settings(max_examples=300, deadline=None)
@given(st.lists(names, min_size=1, max_size=4))
@example(["../evil"])
@example(["/evil"])
@example(["demo/../../evil"])
@example(["demo-1.0.data/scripts/../../../evil"])
@example(["demo-1.0.data/data/a", "demo-1.0.data/data/A"])
def test_nothing_escapes(chosen: list[str]) -> None:
    try:
        encoded = [name.encode() for name in chosen]
    except UnicodeEncodeError:
        return
    honest = wheel_files(files=dict.fromkeys(chosen, b"evil"))
    entries = [RawEntry(name=name, data=b"evil", flags=0x800) for name in encoded]
    entries += [
        RawEntry(name=path.encode(), data=data)
        for path, data in honest.items()
        if path.startswith("demo-1.0.dist")
    ]
    content = RawZip(entries=entries).build()
    with tempfile.TemporaryDirectory() as name:
        outer = Path(name)
        staged = outer / "deep" / "er" / "staged"
        staged.mkdir(parents=True)
        before = snapshot(outer)
        try:
            _, files = unpack_wheel(
                MemorySource(content),
                staged,
                filename="demo.whl",
                archive_sha256=sha256(content).hexdigest(),
                name="demo",
                version="1.0",
            )
        except ArchiveError:
            files = []
        written = snapshot(outer) - before
        assert all(path.startswith(f"{staged}{os.sep}") for path in written)
        assert not any(os.path.islink(path) for path in written)
        for file in files:
            assert (staged / file.path).read_bytes()[:4] or file.size_bytes == 0
        remove_sealed(staged)


@given(names)
def test_an_allowed_name_stays_below(name: str) -> None:
    if name_problem(name, windows=False):
        return
    path = PurePosixPath(name)
    assert not path.is_absolute()
    assert ".." not in path.parts
    assert str(path) == name.removesuffix("/")
    assert os.path.normpath(os.path.join("/base", name)).startswith("/base/")


def folded(path: str) -> str:
    return normalize("NFC", normalize("NFC", path).casefold())


similar = st.lists(st.sampled_from(["a", "A", "b", "\u00e9", "e\u0301"]), min_size=1, max_size=3)


@given(st.lists(st.builds("/".join, similar), max_size=6))
def test_clashes_as_by_brute_force(paths: list[str]) -> None:
    """Two paths clash when one careless file system has one place for two different things."""
    places: dict[str, set[tuple[str, bool]]] = {}
    for path in paths:
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            prefix = "/".join(parts[:depth])
            places.setdefault(folded(prefix), set()).add((prefix, depth < len(parts)))
    expected = len(set(paths)) < len(paths) or any(len(things) > 1 for things in places.values())
    assert (find_clash(paths) is not None) is expected
