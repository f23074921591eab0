"""What native libraries look for outside their own tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from envforge.errors import StoreError
from envforge.store.couplings import find_couplings

from support.elf import shared_object


def couplings(lib: Path, libraries: dict[str, bytes]) -> tuple[str, ...]:
    for path, content in libraries.items():
        (lib / path).parent.mkdir(parents=True, exist_ok=True)
        (lib / path).write_bytes(content)
    return find_couplings(lib, libraries)


@pytest.mark.parametrize("rpath", [False, True])
@pytest.mark.parametrize("padding", [0, 2 << 20])
def test_folders_of_others(tmp_path: Path, rpath: bool, padding: int) -> None:
    path = "$ORIGIN/../../nvidia/cublas/lib:$ORIGIN/../../nvidia/cudnn/lib:$ORIGIN"
    library = shared_object(path, rpath=rpath, padding=padding)
    assert couplings(tmp_path, {"torch/lib/libtorch.so": library}) == (
        "nvidia/cublas/lib",
        "nvidia/cudnn/lib",
    )


@pytest.mark.parametrize(
    ("search_path", "expected"),
    [
        ("$ORIGIN/../numpy.libs", ()),  # in the same tree
        ("$ORIGIN", ()),
        ("$ORIGIN/", ()),
        ("$ORIGIN/..", ()),  # site-packages itself
        ("$ORIGIN/../../..", ()),  # and what is above
        ("$ORIGIN/../../../../lib", ()),
        ("/usr/lib:/opt/cuda", ()),
        ("$ORIGINAL/../x", ()),
        ("", ()),
        ("${ORIGIN}/../other", ("other",)),
        ("$ORIGIN/../other//./lib/", ("other/lib",)),
        ("$ORIGIN/../other:$ORIGIN/../other", ("other",)),
        ("$ORIGIN/../libs\udcffx", ("libs\ufffdx",)),
    ],
)
def test_entries(tmp_path: Path, search_path: str, expected: tuple[str, ...]) -> None:
    (tmp_path / "numpy.libs").mkdir()
    assert couplings(tmp_path, {"numpy/core.so": shared_object(search_path)}) == expected


def test_folders_below_the_librarys_own_are_found_through_links(tmp_path: Path) -> None:
    """PyQt6 and PyQt6-Qt6 share a folder, which is real in every environment."""
    libraries = {"PyQt6/QtCore.so": shared_object("$ORIGIN/Qt6/lib"), "a.so": shared_object("$ORIGIN/b")}
    assert couplings(tmp_path, libraries) == ()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text with $ORIGIN",
        b"\x7fELF$ORIGIN",
        shared_object("$ORIGIN/../x")[:100] + b"$ORIGIN",
        shared_object("$ORIGIN/../x")[:-12] + b"$ORIGIN\xff",
        b"INPUT(libc.so.6)\n",
        b"\xcf\xfa\xed\xfe$ORIGIN",
    ],
)
def test_what_is_no_library_is_passed_over(tmp_path: Path, content: bytes) -> None:
    found = couplings(tmp_path, {"a/b.so": content, "a/good.so": shared_object("$ORIGIN/../ok")})
    assert "ok" in found


def test_every_cut_and_every_flipped_byte_is_survived(tmp_path: Path) -> None:
    whole = shared_object("$ORIGIN/../x")
    place = tmp_path / "a" / "b.so"
    place.parent.mkdir()
    for cut in range(0, len(whole), 3):
        place.write_bytes(whole[:cut] + b"$ORIGIN")
        find_couplings(tmp_path, ["a/b.so"])
    for at in range(4, len(whole), 2):
        place.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        find_couplings(tmp_path, ["a/b.so"])


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="search path"):
        find_couplings(tmp_path, ["gone.so"])
