"""The archives that the script writes say what they hold, in both formats, and are the same each time."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Module = Callable[[str], ModuleType]
BLOCK = 128 * 1024


@pytest.fixture
def package(channel_module: Module) -> Any:
    values = channel_module("package")
    prefix = values.PLACEHOLDER.encode()
    sizes = (0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK)
    return values.Package(
        name="demo",
        version="1.0",
        build="h1_3",
        build_number=3,
        subdir="linux-64",
        depends=("other >=2",),
        track_features=("one", "two"),
        purls=("pkg:pypi/demo",),
        extension=".conda",
        files={
            **{f"share/{size}": values.File(os.urandom(size)) for size in sizes},
            "bin/demo": values.File(b"#!" + prefix + b"/bin/sh\n", executable=True),
            "bin/link": values.File(target="demo"),
            "lib/demo.so": values.File(b"\x7fELF\0" + prefix + b"/share\0"),
            "lib/" + "deep/" * 60 + "file": values.File(b"a path that is longer than a tar header"),
        },
    )


@pytest.mark.parametrize("extension", [".conda", ".tar.bz2"])
def test_what_was_packed_comes_out(
    channel_module: Module, package: Any, tmp_path: Path, extension: str
) -> None:
    from dataclasses import replace

    from rattler.package_streaming import extract

    archive = channel_module("archive").write_archive(replace(package, extension=extension), tmp_path)
    assert archive == tmp_path / "linux-64" / f"demo-1.0-h1_3{extension}"
    tree = tmp_path / "tree"
    extract(archive, tree)
    for path, file in package.files.items():
        if file.target:
            assert os.readlink(tree / path) == file.target
        else:
            assert (tree / path).read_bytes() == file.content
            assert os.access(tree / path, os.X_OK) == file.executable
    assert (tree / "info" / "files").read_text().split() == sorted(package.files)


def test_the_info_folder_tells_it_all(channel_module: Module, package: Any) -> None:
    info = channel_module("package").info_files(package)
    index = json.loads(info["info/index.json"].content)
    assert index["depends"] == ["other >=2"]
    assert index["track_features"] == "one two"
    assert index["purls"] == ["pkg:pypi/demo"]
    assert (index["build_number"], index["subdir"], index["arch"]) == (3, "linux-64", "x86_64")
    rows = {row["_path"]: row for row in json.loads(info["info/paths.json"].content)["paths"]}
    assert rows.keys() == package.files.keys()
    assert rows["bin/link"]["path_type"] == "softlink"
    assert rows["bin/demo"]["file_mode"] == "text"
    assert rows["lib/demo.so"]["file_mode"] == "binary"
    assert rows["lib/demo.so"]["prefix_placeholder"] == package.placeholder
    assert len(package.placeholder) == 255
    assert "file_mode" not in rows["share/1"]
    assert rows["share/1"]["sha256"] == sha256(package.files["share/1"].content).hexdigest()
    assert "info/link.json" not in info


def test_noarch_python_has_its_entry_points(channel_module: Module) -> None:
    hello = next(iter(channel_module("python_packages")._hello()))
    link = json.loads(channel_module("package").info_files(hello)["info/link.json"].content)
    assert link["noarch"] == {"type": "python", "entry_points": ["conda-hello = conda_hello:main"]}
    assert json.loads(channel_module("package").info_files(hello)["info/index.json"].content)["noarch"]


def test_the_same_package_is_the_same_archive(
    channel_module: Module, package: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = channel_module("archive").write_archive
    first = write(package, tmp_path / "one").read_bytes()
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
    assert write(package, tmp_path / "two").read_bytes() == first
