"""Search paths of ELF files. What is damaged is :mod:`test_couplings`' affair."""

from __future__ import annotations

import shutil
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
