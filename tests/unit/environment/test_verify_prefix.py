"""Every way in which a conda prefix can have been changed is told."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from envforge.environment.spec import PrefixPackage
from envforge.environment.verify_prefix import verify_prefix

from support.prefixes import PlantedPrefix

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the prefix is planted for POSIX")


def damages(prefix: PlantedPrefix) -> list[tuple[str, str, str]]:
    _, found = verify_prefix(prefix.value, ("bin", prefix.site_packages))
    site = prefix.site_packages
    return [(damage.path.replace(site, "SITE"), damage.problem, damage.package) for damage in found]


@pytest.fixture
def whole(prefix: PlantedPrefix) -> PlantedPrefix:
    """The planted Python's own names are put into its record, as an installer has it."""
    rows = [{"_path": f"bin/{name}", "path_type": "softlink"} for name in os.listdir(prefix.path / "bin")]
    record = prefix.path / "conda-meta" / f"python-{prefix.base.version}-0.json"
    document = json.loads(record.read_text())
    document["paths_data"]["paths"] += [row for row in rows if row["_path"].startswith("bin/python")]
    record.write_text(json.dumps(document))
    return prefix


def test_a_fresh_one_is_fine(whole: PlantedPrefix) -> None:
    (whole.path / whole.site_packages / "__pycache__").mkdir()
    (whole.path / "share/data/cache.tmp").write_text("written by a program")
    checked, found = verify_prefix(whole.value, ("bin", whole.site_packages))
    assert found == []
    assert checked == 13


def change(prefix: PlantedPrefix) -> None:
    (prefix.path / "share/data/table.txt").write_text("ROWS")


def remove(prefix: PlantedPrefix) -> None:
    (prefix.path / "bin/native").unlink()


def replace_by_folder(prefix: PlantedPrefix) -> None:
    (prefix.path / "bin/native").unlink()
    (prefix.path / "bin/native").mkdir()


def break_link(prefix: PlantedPrefix) -> None:
    prefix.python.unlink()


def lose_record(prefix: PlantedPrefix) -> None:
    (prefix.path / "conda-meta/data-1.0-0.json").unlink()


def break_record(prefix: PlantedPrefix) -> None:
    (prefix.path / "conda-meta/data-1.0-0.json").write_text('{"paths_data": {"paths": [1]}}')


def install_by_hand(prefix: PlantedPrefix) -> None:
    (prefix.path / prefix.site_packages / "mine").mkdir()
    (prefix.path / "bin/mine").write_text("")


def lose_everything(prefix: PlantedPrefix) -> None:
    shutil.rmtree(prefix.path)


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (change, [("share/data/table.txt", "changed", "data")]),
        (remove, [("bin/native", "missing", "data")]),
        (replace_by_folder, [("bin/native", "missing", "data")]),
        (break_link, [("bin/PYTHON", "missing", "python")]),
        (lose_record, [("conda-meta/data-1.0-0.json", "missing, or cannot be read", "data")]),
        (break_record, [("conda-meta/data-1.0-0.json", "missing, or cannot be read", "data")]),
        (
            install_by_hand,
            [("bin/mine", "not from a package", ""), ("SITE/mine", "not from a package", "")],
        ),
        (lose_everything, [("", "the conda prefix is gone", "")]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_damage(
    whole: PlantedPrefix, damage: Callable[[PlantedPrefix], None], expected: list[tuple[str, str, str]]
) -> None:
    damage(whole)
    name = Path(whole.python).name
    assert damages(whole) == [(path.replace("PYTHON", name), *rest) for path, *rest in expected]


def test_a_package_that_was_never_installed(whole: PlantedPrefix) -> None:
    whole.packages.append(PrefixPackage("more", "1.0", "0"))
    assert damages(whole) == [("conda-meta/more-1.0-0.json", "missing, or cannot be read", "more")]


def test_records_without_digests_are_compared_by_size(whole: PlantedPrefix) -> None:
    record = whole.path / "conda-meta/data-1.0-0.json"
    document = json.loads(record.read_text())
    for row in document["paths_data"]["paths"]:
        del row["sha256"], row["sha256_in_prefix"]
    record.write_text(json.dumps(document))
    assert damages(whole) == []  # not that of a file into which the prefix was written
    (whole.path / "share/data/table.txt").write_text("more rows")
    assert damages(whole) == [("share/data/table.txt", "changed", "data")]
