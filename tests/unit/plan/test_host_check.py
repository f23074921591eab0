"""Which needs of records a host meets, and what is said of the others."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from shutil import which

import pytest

from envforge.model.conda import CondaRecord, VirtualPackage
from envforge.plan.host_check import HostNeed, host_error, needs_of, unmet_by_host

LINUX = (
    VirtualPackage("__unix", "0"),
    VirtualPackage("__linux", "6.1"),
    VirtualPackage("__glibc", "2.28"),
    VirtualPackage("__archspec", "1", "x86_64_v3"),
    VirtualPackage("__archspec", "1", "x86_64_v2"),
    VirtualPackage("__archspec", "1", "x86_64"),
)
CUDA = VirtualPackage("__cuda", "12.4")
SHARED = Path(__file__).parents[4] / "shared" / "data" / "conda-forge"


def record(name: str, *depends: str, constrains: tuple[str, ...] = ()) -> CondaRecord:
    return CondaRecord(
        name=name,
        version="1.0",
        build="0",
        build_number=0,
        subdir="linux-64",
        url=f"https://conda.anaconda.org/conda-forge/linux-64/{name}-1.0-0.conda",
        channel="https://conda.anaconda.org/conda-forge",
        depends=depends,
        constrains=constrains,
    )


def test_needs_are_merged_by_spec_and_tell_who_has_them() -> None:
    found = needs_of(
        [
            record("b", "__glibc >=2.17,<3.0.a0", "zlib"),
            record("a", "__glibc >=2.17,<3.0.a0", constrains=("__cuda  >=12",)),
        ]
    )
    assert found == [
        HostNeed("__cuda", "__cuda >=12", True, ("a 1.0",)),
        HostNeed("__glibc", "__glibc >=2.17,<3.0.a0", False, ("a 1.0", "b 1.0")),
    ]


@pytest.mark.parametrize(
    ("spec", "met"),
    [
        ("__glibc >=2.17,<3.0.a0", True),
        ("__glibc >=2.28", True),
        ("__glibc >=2.34,<3.0.a0", False),
        ("__unix", True),
        ("__win", False),
        ("__osx >=11.0", False),
        ("__osx>=11.0", False),
        ("__cuda", False),
        ("__linux", True),
        ("__linux >=6.2", False),
        ("__archspec 1 x86_64", True),
        ("__archspec 1.* x86_64_v3", True),
        ("__archspec 1 x86_64_v4", False),
        ("__archspec * *v2", True),
        ("__nobody_knows", False),
    ],
)
def test_specs_are_met_as_conda_meets_them(spec: str, met: bool) -> None:
    assert bool(unmet_by_host([record("a", spec)], LINUX)) is not met


@pytest.mark.parametrize(
    ("host", "constraint", "met"),
    [
        (LINUX, "__cuda >=12.8", True),
        ((*LINUX, CUDA), "__cuda >=12.8", False),
        ((*LINUX, CUDA), "__cuda  >= 11.0", True),
        (LINUX, "__win ==0|>=10", True),
        (LINUX, "__glibc >=2.34", False),
    ],
)
def test_a_constraint_is_met_by_a_host_without_the_package(
    host: tuple[VirtualPackage, ...], constraint: str, met: bool
) -> None:
    assert bool(unmet_by_host([record("a", constrains=(constraint,))], host)) is not met


def test_one_line_for_each_virtual_package() -> None:
    unmet = unmet_by_host(
        [
            record("libtorch", "__cuda", "__glibc >=2.34"),
            record("pytorch", "__cuda >=12.8", "__glibc >=2.17"),
            *(record(f"pycolmap{number}", "__cuda >=12.8") for number in range(4)),
        ],
        LINUX,
    )
    assert [need.name for need in unmet] == ["__cuda", "__glibc"]
    error = host_error(unmet)
    assert error.context == (
        "__cuda and __cuda >=12.8 (an NVIDIA driver for CUDA) is needed by libtorch 1.0, pycolmap0 1.0, "
        "pycolmap1 1.0 and 3 more; this host has none",
        "__glibc >=2.34 (the C library of Linux) is needed by libtorch 1.0; this host has 2.28",
    )
    assert any("--ignore-host" in hint for hint in error.hints)
    assert any("CONDA_OVERRIDE_CUDA" in hint for hint in error.hints)
    assert not any("CUDA" in hint for hint in host_error(unmet[1:]).hints)


def test_a_processor_is_told_by_its_name() -> None:
    error = host_error(unmet_by_host([record("fast", "__archspec 1 x86_64_v4")], LINUX))
    assert error.context == (
        "__archspec 1 x86_64_v4 (a processor) is needed by fast 1.0; this host has x86_64_v3",
    )


def test_nothing_is_unmet_where_nothing_is_needed() -> None:
    assert unmet_by_host([], ()) == []
    assert unmet_by_host([record("a", "python >=3.12", "_x86_64-microarch-level >=1")], ()) == []


def test_real_records_need_what_can_be_read() -> None:
    """Every need in conda-forge is one that a modern host with a driver meets, on its own platform."""
    if not SHARED.is_dir() or which("zstd") is None:
        pytest.skip(f"no records in {SHARED}, or no program zstd")
    repodata = SHARED / "linux-64" / "repodata.json.zst"
    done = subprocess.run(["zstd", "-dc", str(repodata)], capture_output=True, check=True)
    rows = json.loads(done.stdout)["packages.conda"].values()
    records = [
        record(f"r{number}", *row["depends"], constrains=tuple(row.get("constrains", ())))
        for number, row in enumerate(rows)
    ]
    needs = needs_of(records)
    assert {need.name for need in needs} == {"__cuda", "__glibc"}
    host = (*LINUX[:2], VirtualPackage("__glibc", "2.39"), *LINUX[3:], VirtualPackage("__cuda", "13.3"))
    assert unmet_by_host(records, host) == []
    without_driver = [package for package in host if package.name != "__cuda"]
    (cuda,) = unmet_by_host(records, without_driver)
    assert cuda.name == "__cuda"
    assert cuda.host == ""
