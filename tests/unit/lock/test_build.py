"""From resolutions to one lock."""

from __future__ import annotations

import pytest

from envforge.errors import LockError
from envforge.lock.build import build_lock
from envforge.lock.consistency import find_faults
from envforge.model.lock import LockedIndex

from support.locks import PYPI, index_file, lock_of, pin, resolution


def test_one_version_everywhere_has_the_name_as_id():
    lock = lock_of(
        resolution("linux-64", [pin("numpy", "2.5.0")]), resolution("osx-arm64", [pin("numpy", "2.5.0")])
    )
    assert list(lock.packages) == ["numpy"]
    assert [target.groups for target in lock.targets] == [{"project": ("numpy",)}] * 2
    assert lock.packages["numpy"].files[0].targets == ("linux-64", "osx-arm64")


def test_versions_that_differ_are_in_the_id():
    lock = lock_of(
        resolution("linux-64", [pin("numpy", "2.5.0"), pin("six", "1.17.0")]),
        resolution("osx-arm64", [pin("numpy", "2.4.0"), pin("six", "1.17.0")]),
    )
    assert list(lock.packages) == ["numpy@2.4.0", "numpy@2.5.0", "six"]
    assert [target.groups["project"] for target in lock.targets] == [
        ("numpy@2.5.0", "six"),
        ("numpy@2.4.0", "six"),
    ]
    assert lock.packages["numpy@2.4.0"].files[0].targets == ("osx-arm64",)
    assert find_faults(lock) == []


def test_each_target_brings_its_file():
    linux = index_file("torch-2.15.0-cp312-cp312-manylinux_2_28_x86_64.whl")
    mac = index_file("torch-2.15.0-cp312-none-macosx_11_0_arm64.whl")
    lock = lock_of(
        resolution("osx-arm64", [pin("torch", "2.15.0", file=mac)]),
        resolution("linux-64", [pin("torch", "2.15.0", file=linux)]),
    )
    torch = lock.packages["torch"]
    assert [(file.filename, file.targets) for file in torch.files] == [
        (linux.filename, ("linux-64",)),
        (mac.filename, ("osx-arm64",)),
    ]
    assert torch.file_for("osx-arm64").sha256 == mac.sha256
    assert torch.file_for("osx-arm64").size_bytes == mac.size_bytes


def test_files_of_one_name_with_different_content_stay_two():
    name = "torch-2.15.0-py3-none-any.whl"
    lock = lock_of(
        resolution("linux-64", [pin("torch", "2.15.0", file=index_file(name, sha256="a" * 64))]),
        resolution("osx-arm64", [pin("torch", "2.15.0", file=index_file(name, sha256="b" * 64))]),
    )
    torch = lock.packages["torch"]
    assert torch.file_for("linux-64").sha256 == "a" * 64
    assert torch.file_for("osx-arm64").sha256 == "b" * 64


REQUIRES = (
    "numpy>=2",
    'pywin32; sys_platform == "win32"',
    'triton==3.6; platform_system == "Linux"',
    'opt-einsum>=3.3; extra == "opt-einsum"',
    'cuda-bindings; extra == "all" and sys_platform == "linux"',
)


def test_only_requirements_that_hold_for_a_target_are_kept():
    lock = lock_of(resolution("linux-64", [pin("torch", "2.15.0", REQUIRES)], groups={}))
    assert lock.packages["torch"].requires == ("numpy>=2", 'triton==3.6; platform_system == "Linux"')


def test_a_requirement_holds_if_it_holds_for_any_target():
    lock = lock_of(
        resolution("osx-arm64", [pin("torch", "2.15.0", REQUIRES)], groups={}),
        resolution("win-64", [pin("torch", "2.15.0", REQUIRES, extras=["opt-einsum", "all"])], groups={}),
    )
    assert lock.packages["torch"].requires == (
        "numpy>=2",
        'opt-einsum>=3.3; extra == "opt-einsum"',
        'pywin32; sys_platform == "win32"',
    )


def test_groups_list_what_they_reach_in_order():
    pins = [pin("torch", "1"), pin("pytest", "1"), pin("attrs", "1")]
    lock = lock_of(
        resolution("linux-64", pins, groups={"project": ["torch", "attrs"], "group:dev": ["pytest", "attrs"]})
    )
    assert lock.targets[0].groups == {"group:dev": ("attrs", "pytest"), "project": ("attrs", "torch")}


def test_requires_python_comes_from_the_metadata_or_else_the_index():
    lock = lock_of(resolution("linux-64", [pin("a", "1", requires_python=">=3.9"), pin("b", "1")]))
    assert [package.requires_python for package in lock.packages.values()] == [">=3.9", ""]


def test_a_file_without_a_digest_cannot_be_locked():
    file = index_file("old-1-py3-none-any.whl", sha256="")
    with pytest.raises(LockError, match="has no sha256") as caught:
        lock_of(resolution("linux-64", [pin("old", "1", file=file)]))
    assert caught.value.context == ("index: pypi", f"url: {file.url}")


def test_indexes_stand_in_order_of_name():
    other = LockedIndex(name="corporate", url="https://pypi.org/corporate")
    lock = build_lock(inputs="", exclude_newer="", indexes=[PYPI, other], resolutions=[])
    assert lock.indexes == (other, PYPI)


def test_nothing_to_lock_is_a_lock():
    lock = lock_of(resolution("linux-64", []))
    assert lock.packages == {}
    assert find_faults(lock) == []
