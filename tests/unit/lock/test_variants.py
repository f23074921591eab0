"""Locks of projects with variants: several targets on one platform."""

from __future__ import annotations

import json

import pytest

from envforge.errors import LockError
from envforge.lock.build import build_lock
from envforge.lock.check import reasons_to_lock, unmet_requirements
from envforge.lock.conflict import parse_conflicted
from envforge.lock.diff import diff_locks, format_diff
from envforge.lock.graph import dependency_graph
from envforge.lock.parse import parse_lock
from envforge.lock.write import format_lock
from envforge.model.lock import Lock, LockedIndex
from envforge.model.requirement import parse_requirement
from envforge.model.resolution import Pin, TargetResolution
from envforge.model.target import SystemAssumptions, Target
from envforge.struct import replace

from support.locks import INPUTS, PYPI, conda_python, conda_record, index_file, pin, resolution

CU = LockedIndex(name="cu128", url="https://download.pytorch.org/whl/cu128")


def torch(version: str, index: str, platform: str = "manylinux_2_28_x86_64", *requires: str) -> Pin:
    file = index_file(f"torch-{version}-py3-none-{platform}.whl", index=index)
    return pin("torch", version, requires, file=file._replace(url=f"https://{index}.test/{file.filename}"))


def on(variant: str, *pins: Pin, platform: str = "linux-64") -> TargetResolution:
    system = SystemAssumptions(cuda=(12, 8)) if variant == "cuda" else SystemAssumptions()
    plain = resolution(platform, pins)
    return replace(plain, target=Target(platform=platform, python="3.12", variant=variant, system=system))


def lock_of(*resolutions: TargetResolution) -> Lock:
    return build_lock(inputs=INPUTS, exclude_newer="P7D", indexes=[PYPI, CU], resolutions=resolutions)


@pytest.fixture
def lock() -> Lock:
    """torch from PyPI on the Mac, and the same version with other needs from an index of its own."""
    return lock_of(
        on(
            "cuda",
            torch("2.9.0+cu128", "cu128", "manylinux_2_28_x86_64", "nvidia"),
            pin("nvidia", "1"),
            pin("six", "1"),
        ),
        on("cpu", torch("2.9.0", "cu128"), pin("six", "1")),
        on(
            "cpu",
            torch("2.9.0", "pypi", "macosx_14_0_arm64", "sympy"),
            pin("sympy", "1"),
            platform="osx-arm64",
        ),
    )


def test_one_version_from_two_indexes_is_two_packages(lock: Lock) -> None:
    assert [*lock.packages] == [
        "nvidia",
        "six",
        "sympy",
        "torch@2.9.0+cu128",
        "torch@2.9.0@cu128",
        "torch@2.9.0@pypi",
    ]
    assert lock.packages["torch@2.9.0@cu128"].requires == ()
    assert lock.packages["torch@2.9.0@pypi"].requires == ("sympy",)
    assert lock.packages["torch@2.9.0@pypi"].index == "pypi"
    assert lock.packages["six"].files[0].targets == ("linux-64:cpu", "linux-64:cuda")


def test_it_comes_back_as_it_was_written(lock: Lock) -> None:
    text = format_lock(lock)
    assert parse_lock(text) == lock
    assert format_lock(parse_lock(text)) == text
    document = json.loads(text)
    assert document["version"] == 2
    assert document["exclude-newer"] == "P7D"
    assert [(each["platform"], each["variant"]) for each in document["targets"]] == [
        ("linux-64", "cuda"),
        ("linux-64", "cpu"),
        ("osx-arm64", "cpu"),
    ]
    assert [target.id for target in lock.targets_on("linux-64")] == ["linux-64:cuda", "linux-64:cpu"]
    assert lock.target_for("linux-64") is None


def test_without_variants_nothing_of_them_is_written() -> None:
    plain = lock_of(resolution("linux-64", [pin("six", "1")]))
    document = json.loads(format_lock(plain))
    assert document["version"] == 1
    assert "variant" not in document["targets"][0]
    assert document["packages"]["six"]["files"][0]["targets"] == ["linux-64"]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('"version": 2\n', '"version": 1\n', "version: has to be 2, since there are variants"),
        ('"variant": "cuda"', '"variant": "cpu"', "targets: linux-64:cpu is there twice"),
        (
            '"variant": "cuda"',
            '"variant": "a:b"',
            "targets.linux-64:a:b.variant: 'a:b' is no normalized name",
        ),
        ('"variant": "cuda"', '"variant": 7', "targets[0].variant: has to be a text"),
        (
            '"linux-64:cuda"',
            '"linux-64"',
            "packages.nvidia.files[0].targets: linux-64 is no target of this lock",
        ),
    ],
)
def test_what_is_broken_is_told(lock: Lock, old: str, new: str, fault: str) -> None:
    text = format_lock(lock)
    assert old in text
    with pytest.raises(LockError) as caught:
        parse_lock(text.replace(old, new))
    assert fault in caught.value.context


def test_a_conflict_is_read_on_both_sides(lock: Lock) -> None:
    ours, theirs = format_lock(lock), format_lock(lock).replace("P7D", "P8D")
    sides = parse_conflicted(f"<<<<<<< a\n{ours}=======\n{theirs}>>>>>>> b\n")
    assert sides == (lock, replace(lock, exclude_newer="P8D"))


def test_what_changes_is_told_by_target(lock: Lock) -> None:
    less = lock_of(
        on("cpu", torch("2.9.0", "cu128"), pin("six", "2")),
        on(
            "cpu",
            torch("2.9.0", "pypi", "macosx_14_0_arm64", "sympy"),
            pin("sympy", "1"),
            platform="osx-arm64",
        ),
    )
    assert list(format_diff(diff_locks(lock, less))) == [
        "- nvidia 1",
        "~ six 1 → 2",
        "- torch 2.9.0+cu128 (linux-64:cuda only)",
        "- target linux-64:cuda · Python 3.12",
    ]


def test_reasons_name_variants(lock: Lock) -> None:
    groups = {
        "cpu": {"project": [parse_requirement("torch>=2.9")]},
        "cuda": {"project": [parse_requirement("torch>=2.9"), parse_requirement("nvidia>=2")]},
        "rocm": {"project": [parse_requirement("torch>=2.9")]},
    }
    wanted = ["linux-64:cuda", "linux-64:rocm", "linux-64:cpu"]
    assert reasons_to_lock(lock, "sha256:other", targets=wanted, groups=groups) == [
        "linux-64:rocm is not locked",
        "osx-arm64:cpu is locked, but no variant of the manifest any more",
        "project: nvidia>=2 does not admit the locked 1 (linux-64:cuda only)",
    ]


def test_needs_are_looked_at_variant_by_variant(lock: Lock) -> None:
    groups = {name: {"project": [parse_requirement("torch")]} for name in ("cpu", "cuda")}
    assert unmet_requirements(lock, groups) == []
    torn = replace(
        lock,
        targets=tuple(
            replace(each, groups={"project": tuple(i for i in each.groups["project"] if i != "nvidia")})
            for each in lock.targets
        ),
    )
    assert unmet_requirements(torn, groups) == [
        "torch 2.9.0+cu128 requires nvidia, which is not locked (linux-64:cuda)"
    ]


def test_the_graph_is_that_of_one_variant(lock: Lock) -> None:
    roots = [parse_requirement("torch")]
    assert dependency_graph(lock, "linux-64:cuda", roots).versions["torch"] == "2.9.0+cu128"
    assert [edge.name for edge in dependency_graph(lock, "osx-arm64:cpu", roots).edges["torch"]] == ["sympy"]
    with pytest.raises(KeyError):
        dependency_graph(lock, "linux-64", roots)


def test_conda_packages_belong_to_the_platform() -> None:
    records = [conda_python(), conda_record("cudnn", "9", build="cuda12_0")]
    plain = resolution("linux-64", [], conda=records)
    cuda = replace(plain, target=replace(plain.target, variant="cuda"))
    lock = build_lock(
        inputs=INPUTS, exclude_newer="", indexes=[], channels=[records[0].channel], resolutions=[cuda]
    )
    assert parse_lock(format_lock(lock)) == lock
