"""Whether conda's records go together, and are the channel's."""

from __future__ import annotations

from typing import Any

import pytest

from envforge.lock.conda_check import altered_records, spec_fault, unmet_specs
from envforge.model.conda import CondaRecord
from envforge.model.lock import Lock
from envforge.model.target import SystemAssumptions
from envforge.struct import replace

from support.locks import conda_python, conda_record, lock_of, resolution

PYTHON = conda_python(depends=["libzlib >=1.3,<2.0a0", "__glibc >=2.17,<3.0.a0"])
ZLIB = conda_record("libzlib", "1.3.1", ["__unix"], constrains=("zlib 1.3.1 *_2",))


def lock(*records: CondaRecord, cuda: tuple[int, int] | None = None) -> Lock:
    answer = resolution("linux-64", [], conda=[PYTHON, ZLIB, *records])
    return lock_of(replace(answer, target=replace(answer.target, system=SystemAssumptions(cuda=cuda))))


def test_a_good_lock_meets_everything():
    assert unmet_specs(lock(conda_record("a", "1", ["python", "libzlib 1.3.* h0_*"]))) == []


@pytest.mark.parametrize(
    ("depends", "fault"),
    [
        ("libzlib >=2", "conda's a 1 requires libzlib >=2, but libzlib 1.3.1 h0_0 is locked (linux-64)"),
        ("libzlib 1.3.1 *_2", "requires libzlib 1.3.1 *_2, but libzlib 1.3.1 h0_0 is locked"),
        ("gone", "requires gone, which is not locked"),
        ("gone=1.2", "requires gone=1.2, which is not locked"),
        ("__cuda >=12", "requires __cuda >=12, which the target may not assume"),
        ("__glibc >=2.34", "requires __glibc >=2.34, but __glibc 2.28 0 is what the target may assume"),
        ("python[version='>=3.13']", "requires python[version='>=3.13'], but python 3.12.8"),
        ("conda-forge::libzlib 2.*", "requires conda-forge::libzlib 2.*, but libzlib 1.3.1"),
        ("libzlib[md5=0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f]", "but libzlib 1.3.1 h0_0 is locked"),
        (">=1", "requires '>=1', which is no match spec"),
        ("", "requires '', which is no match spec"),
        ("libzlib >=", "requires 'libzlib >=', which is no match spec"),
    ],
)
def test_a_dependency_that_is_not_there(depends: str, fault: str):
    (found,) = unmet_specs(lock(conda_record("a", "1", [depends])))
    assert fault in found


@pytest.mark.parametrize(
    "depends",
    ["libzlib 1.3|1.3.1", "libzlib >=1.3.*", "LibZlib", "libzlib[license=Zlib]", "gone[when='python <3']"],
)
def test_specs_as_channels_have_them(depends: str):
    record = replace(ZLIB, license="Zlib")
    answer = resolution("linux-64", [], conda=[PYTHON, record, conda_record("a", "1", [depends])])
    assert unmet_specs(lock_of(answer)) == []


def test_virtual_packages_are_those_of_the_target():
    record = conda_record("a", "1", ["__cuda >=12"], constrains=("__cuda <13",))
    assert unmet_specs(lock(record, cuda=(12, 8))) == []
    assert unmet_specs(lock(record, cuda=(13, 0))) == [
        "conda's a 1 goes with __cuda <13 only, and __cuda 13.0 0 is what the target may assume (linux-64)"
    ]


def test_constraints_hold_for_what_is_there():
    zlib = conda_record("zlib", "1.3.1")
    assert unmet_specs(lock()) == []
    assert unmet_specs(lock(zlib)) == [
        "conda's libzlib 1.3.1 goes with zlib 1.3.1 *_2 only, and zlib 1.3.1 h0_0 is locked (linux-64)"
    ]
    odd = conda_record("a", "1", constrains=("libzlib >=",))
    assert unmet_specs(lock(odd)) == [
        "conda's a 1 constrains 'libzlib >=', which is no match spec (linux-64)"
    ]


def test_targets_with_one_fault_are_told_together():
    broken = conda_record("a", "1", ["gone"], subdir="noarch", noarch="generic")
    found = unmet_specs(
        lock_of(
            resolution("linux-64", [], conda=[PYTHON, ZLIB, broken]),
            resolution("osx-arm64", [], conda=[conda_python(subdir="osx-arm64"), broken]),
            resolution("win-64", []),
        )
    )
    assert found == ["conda's a 1 requires gone, which is not locked (linux-64, osx-arm64)"]


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ("libzlib", ""),
        ("libzlib >=1.3 h0_*", ""),
        ("libzlib >=1.4", "does not admit the locked libzlib 1.3.1 h0_0"),
        ("ffmpeg", "is not locked"),
    ],
)
def test_what_the_user_wants(spec: str, fault: str):
    found = lock()
    assert spec_fault(spec, found.targets[0], found) == fault


A = conda_record("a", "1", ["b >=1", "c"], md5="0f" * 16, build_number=3)


def altered(**changes: Any) -> list[str]:
    """The lock has the record with these changes, the channel has it as it was."""
    return altered_records(lock(replace(A, **changes)), {A.url: A, ZLIB.url: ZLIB})


def test_the_channels_own_records_are_not_altered():
    assert altered() == []
    assert altered(depends=("c", "b >=1")) == [], "the order says nothing"
    assert altered(license="MIT", timestamp_ms=5, pypi_names=("a",), purls=("pkg:pypi/a",)) == []
    assert altered_records(lock(A), {}) == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (
            {"depends": ("libgreet",)},
            "depends: is not what the channel says; it lacks b >=1, c; it has libgreet",
        ),
        ({"depends": ("b >=1",)}, "depends: is not what the channel says; it lacks c"),
        ({"depends": ()}, "depends: is not what the channel says; it lacks b >=1, c"),
        ({"constrains": ("x <2",)}, "constrains: is not what the channel says; it has x <2"),
        ({"noarch": "python"}, "noarch: is not what the channel says: 'python', not ''"),
        ({"build_number": 0}, "build-number: is not what the channel says: 0, not 3"),
        ({"md5": "1f" * 16}, f"md5: is not what the channel says: '{'1f' * 16}', not '{'0f' * 16}'"),
        ({"size_bytes": 7}, "size: is not what the channel says: 7, not 14000"),
        ({"track_features": ("x",)}, "track-features: is not what the channel says; it has x"),
    ],
)
def test_a_record_with_anothers_content(changes: dict[str, Any], fault: str):
    assert altered(**changes) == [f"conda.linux-64/a-1-h0_0.conda.{fault}"]


def test_what_an_archive_does_not_say_is_not_missed():
    own = replace(A, sha256="", md5="", size_bytes=None)
    assert altered_records(lock(A), {A.url: own}) == []
