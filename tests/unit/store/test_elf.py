"""Search paths of ELF files. What is damaged is :mod:`test_couplings`' affair."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from envforge.store.elf import RunPath, read_run_paths

from support.elf import shared_object


def run_paths(content: bytes) -> list[RunPath]:
    return read_run_paths(lambda offset, count: content[offset : offset + count])


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("rpath", [False, True])
def test_any_machine(bits: int, order: str, rpath: bool) -> None:
    content = shared_object("$ORIGIN/../x:/opt", bits=bits, order=order, rpath=rpath, padding=10_000)
    (found,) = run_paths(content)
    assert found.text == b"$ORIGIN/../x:/opt"
    assert content[found.offset :].startswith(found.text + b"\0")


def test_a_file_without_a_path(tmp_path: Path) -> None:
    assert run_paths(b"") == run_paths(b"\x7fELF") == run_paths(b"\x7fELF\2\1" + b"\0" * 100) == []


def test_the_last_entry_of_a_kind_counts_and_one_section() -> None:
    """A file of 80 kB with a thousand entries would take 130 MB, else, and a few more never end."""
    text = b"x:" * 32_000 + b"\0"
    entries = 1000
    dynamic_at = 64 + 12 * 56
    texts_at = dynamic_at + 16 * (entries + 2)
    whole = texts_at + 1 + len(text)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1" + b"\0" * 9, 3, 62, 1, 0, 64, 0, 0, 64, 56, 12, 64, 0, 0
    )
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, whole, whole, 4096)
    section = struct.pack("<IIQQQQQQ", 2, 6, dynamic_at, dynamic_at, 0, 16 * (entries + 2), 0, 8)
    rows = struct.pack("<QQ", 5, texts_at) + struct.pack("<QQ", 29, 1) * entries + struct.pack("<QQ", 0, 0)
    asked: list[int] = []
    content = header + load + section * 11 + rows + b"\0" + text

    def read(offset: int, count: int) -> bytes:
        asked.append(count)
        return content[offset : offset + count]

    assert read_run_paths(read) == [RunPath(texts_at + 1, text[:-1])]
    assert len(asked) == 4
    assert sum(asked) < 200_000


def test_no_table_of_texts_no_path() -> None:
    content = shared_object("$ORIGIN/../x")
    entry = struct.pack("<QQ", 5, 64 + 2 * 56 + 4 * 16)
    assert entry in content
    assert run_paths(content.replace(entry, struct.pack("<QQ", 6, 0))) == []


@pytest.mark.skipif(not shutil.which("gcc"), reason="there is no gcc here")
@pytest.mark.parametrize("tag", ["--enable-new-dtags", "--disable-new-dtags"])
def test_what_the_linker_writes(tmp_path: Path, tag: str) -> None:
    (tmp_path / "a.c").write_text("int a(void) { return 1; }\n")
    library = tmp_path / "a.so"
    options = ["-shared", "-fPIC", f"-Wl,{tag},-rpath,$ORIGIN/../lib:/opt/lib"]
    subprocess.run(["gcc", *options, "-o", str(library), str(tmp_path / "a.c")], check=True)
    assert [path.text for path in run_paths(library.read_bytes())] == [b"$ORIGIN/../lib:/opt/lib"]
    subprocess.run(["strip", "--strip-all", str(library)], check=True)
    assert [path.text for path in run_paths(library.read_bytes())] == [b"$ORIGIN/../lib:/opt/lib"]
