"""Platforms agree in the versions of conda packages, wherever their channels have them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from support.conda_channel import write_channel
from support.projects import MINOR, Project

LINUX, MAC = "linux-64", "osx-arm64"


def python(subdir: str, version: str = f"{MINOR}.1") -> list[dict[str, object]]:
    minor = version.rpartition(".")[0]
    abi = f"{minor.replace('.', '')}"
    return [
        {"name": "python", "version": version, "subdir": subdir, "depends": ["python_abi"]},
        {"name": "python_abi", "version": minor, "build": f"7_cp{abi}", "subdir": subdir},
    ]


def package(name: str, version: str, subdir: str, **fields: object) -> dict[str, object]:
    return {"name": name, "version": version, "subdir": subdir, **fields}


@pytest.fixture
def lock(project: Project, tmp_path: Path) -> Iterator[object]:
    def run(records: Sequence[dict[str, object]], *names: str) -> dict[str, dict[str, str]]:
        """Platform → version of what is locked there, by name."""
        channel = write_channel(tmp_path / "channel", records, subdirs=(LINUX, MAC, "noarch"))
        wanted = "\n".join(f'{name} = "*"' for name in names)
        project.write(
            settings=f'platforms = ["{LINUX}", "{MAC}"]\nchannels = ["{channel.as_uri()}"]',
            tables=f"[tool.envforge.conda-dependencies]\n{wanted}",
        )
        project.done("lock")
        document = json.loads(project.lock.read_text())
        rows = document["conda"]
        return {
            target["platform"]: {rows[each]["name"]: rows[each]["version"] for each in target["conda"]}
            for target in document["targets"]
        }

    yield run


def test_a_newer_version_of_one_platform_alone_is_not_taken(lock) -> None:
    records = [package("x", "2.0", LINUX), package("x", "2.0", MAC), package("x", "3.0", MAC)]
    found = lock([*python(LINUX), *python(MAC), *records], "x")
    assert found[LINUX]["x"] == found[MAC]["x"] == "2.0"


def test_what_a_platform_does_not_have_keeps_nothing_else_from_agreeing(lock) -> None:
    records = [
        *(package("x", version, LINUX) for version in ("1.0", "2.0")),
        *(package("x", version, MAC) for version in ("1.0", "2.0", "3.0")),
        package("y", "2.0", LINUX),
        package("y", "1.0", MAC),
    ]
    found = lock([*python(LINUX, f"{MINOR}.2"), *python(MAC), *records], "x", "y")
    assert [found[LINUX][name] for name in ("python", "x", "y")] == [f"{MINOR}.2", "2.0", "2.0"]
    assert [found[MAC][name] for name in ("python", "x", "y")] == [f"{MINOR}.1", "2.0", "1.0"]


def test_a_version_for_another_python_is_not_there(lock) -> None:
    """And what goes together with nothing is given up together."""
    abi = MINOR.replace(".", "")
    other = {"build": "py38_0", "depends": ["python", "python_abi 3.8.* *_cp38"]}
    own = {"build": f"py{abi}_0", "depends": ["python", f"python_abi {MINOR}.* *_cp{abi}"]}
    records = [
        package("x", "2.0", LINUX, **own),
        package("x", "2.0", MAC, **other),
        package("x", "1.0", MAC, **own),
        package("y", "1.0", LINUX),
        package("y", "1.0", MAC),
        package("y", "2.0", MAC),
    ]
    found = lock([*python(LINUX), *python(MAC), *python(MAC, "3.8.9"), *records], "x", "y")
    assert [found[LINUX][name] for name in ("x", "y")] == ["2.0", "1.0"]
    assert [found[MAC][name] for name in ("x", "y")] == ["1.0", "1.0"]


def test_versions_that_do_not_go_together_are_given_up(lock) -> None:
    records = [
        package("x", "1.0", LINUX),
        package("x", "1.0", MAC, depends=["z <1"]),
        package("x", "2.0", MAC),
        package("y", "1.0", LINUX),
        package("y", "1.0", MAC, depends=["z >=1"]),
        package("y", "2.0", MAC),
        package("z", "0.9", MAC),
        package("z", "1.1", MAC),
    ]
    found = lock([*python(LINUX), *python(MAC), *records], "x", "y")
    assert [found[LINUX][name] for name in ("x", "y")] == ["1.0", "1.0"]
    assert [found[MAC][name] for name in ("x", "y")] == ["2.0", "2.0"]
