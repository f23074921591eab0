"""A lock of the right shape can still contradict itself."""

from __future__ import annotations

import pytest

from envforge.errors import LockError
from envforge.lock.consistency import find_faults
from envforge.lock.parse import parse_lock
from envforge.lock.write import format_lock
from envforge.model.lock import Lock, LockedPackage
from envforge.struct import replace

from support.locks import PYPI, index_file, lock_of, pin, resolution, simple_lock

LOCK = simple_lock({"numpy": "2.5.0", "torch": "2.15.0"})
TORCH = LOCK.packages["torch"]
TORCH_FILE = TORCH.files[0]


def with_torch(**changes: object) -> Lock:
    package: LockedPackage = replace(TORCH, **changes)
    return replace(LOCK, packages={**LOCK.packages, "torch": package})


def with_file(**changes: object) -> Lock:
    return with_torch(files=(replace(TORCH_FILE, **changes),))


def with_group(*ids: str, group: str = "project") -> Lock:
    first, second = LOCK.targets
    return replace(LOCK, targets=(replace(first, groups={**first.groups, group: ids}), second))


def test_a_good_lock_has_none():
    assert find_faults(LOCK) == []


@pytest.mark.parametrize(
    ("lock", "fault"),
    [
        (replace(LOCK, targets=(*LOCK.targets, LOCK.targets[0])), "targets: linux-64 is there twice"),
        (replace(LOCK, indexes=(PYPI, PYPI)), "indexes: pypi is there twice"),
        (with_torch(name="../../etc"), "packages.torch.name: '../../etc' is no normalized name"),
        (with_torch(name="Torch"), "packages.torch.name: 'Torch' is no normalized name"),
        (with_torch(name="tensorflow"), "packages.torch: its id has to be tensorflow or tensorflow@2.15.0"),
        (with_torch(version="latest"), "packages.torch.version: 'latest' is no canonical version"),
        (with_torch(version="2.015"), "packages.torch.version: '2.015' is no canonical version"),
        (with_torch(version="1/../.."), "packages.torch.version: '1/../..' is no canonical version"),
        (with_torch(index="corporate"), "packages.torch.index: no index is named corporate"),
        (with_torch(files=()), "targets.linux-64.groups.project: no file of torch is for linux-64"),
        (with_torch(files=TORCH.files * 2), "packages.torch.files: more than one is for linux-64"),
        (with_file(sha256="AB" * 32), "packages.torch.files[0].sha256: has to be 64 lower-case"),
        (with_file(sha256="ab" * 31), "packages.torch.files[0].sha256: has to be 64 lower-case"),
        (with_file(targets=()), "packages.torch.files[0].targets: names no target"),
        (with_file(targets=("win-64",)), "packages.torch.files[0].targets: win-64 is no target of this lock"),
        (
            with_file(url="torch.whl"),
            "packages.torch.files[0].url: 'torch.whl' is neither an absolute URL nor a path",
        ),
        (with_file(url="https://pypi.org/"), "'https://pypi.org/' does not end with a file name"),
        (with_file(url="https://a/..%2F..%2Fetc"), "does not end with a file name"),
        (with_file(url="https://a/x%5Cy.whl"), "does not end with a file name"),
        (with_file(url="https://a/%2E%2E"), "does not end with a file name"),
        (with_file(url="https://a/x%00.whl"), "does not end with a file name"),
        (with_group("numpy", "scipy"), "targets.linux-64.groups.project: no package has the id scipy"),
        (with_group("numpy", "numpy"), "targets.linux-64.groups.project: numpy is there twice"),
    ],
)
def test_a_contradiction_is_told_with_its_place(lock: Lock, fault: str):
    assert any(fault in found for found in find_faults(lock))
    with pytest.raises(LockError, match="is damaged") as caught:
        parse_lock(format_lock(lock))
    assert any(fault in line for line in caught.value.context)


def test_two_versions_of_a_project_in_one_target():
    split = lock_of(
        resolution("linux-64", [pin("numpy", "2.4.0")]), resolution("osx-arm64", [pin("numpy", "2.5.0")])
    )
    linux, mac = split.targets
    old, new = split.packages.values()
    merged = replace(
        split,
        targets=(replace(linux, groups={"project": (old.id,), "group:dev": (new.id,)}), mac),
        packages={
            old.id: old,
            new.id: replace(new, files=(replace(new.files[0], targets=("linux-64", "osx-arm64")),)),
        },
    )
    assert find_faults(merged) == ["targets.linux-64.groups: more than one version of numpy: 2.4.0, 2.5.0"]


@pytest.mark.parametrize(
    "version", ["0", "1.0", "2!1.2.3", "1.0a1", "1.0rc2.post3.dev4", "2.9.0+cu128", "1+a.1"]
)
def test_every_canonical_version_is_good(version: str):
    file = index_file(f"torch-{version}-py3-none-any.whl")
    assert find_faults(lock_of(resolution("linux-64", [pin("torch", version, file=file)]))) == []


def test_a_quoted_local_version_in_a_url_is_a_file_name():
    lock = with_file(url="https://download.pytorch.org/whl/torch-2.15.0%2Bcu128-py3-none-any.whl")
    assert find_faults(lock) == []
    assert lock.packages["torch"].files[0].filename == "torch-2.15.0+cu128-py3-none-any.whl"
