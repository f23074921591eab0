"""Whether and why a lock has to be renewed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from envforge.lock.check import reasons_to_lock, unmet_requirements
from envforge.model.lock import Lock
from envforge.model.requirement import parse_requirement
from envforge.struct import replace

from support.locks import INPUTS, conda_python, conda_record, lock_of, pin, resolution, simple_lock

LOCK = simple_lock({"numpy": "2.5.0", "torch": "2.15.0"})
BOTH = ("linux-64", "osx-arm64")


def reasons(
    lock: Lock = LOCK,
    *,
    inputs: str = "sha256:other",
    platforms: tuple[str, ...] = BOTH,
    conda: Mapping[str, Sequence[str]] | None = None,
    **groups: list[str],
) -> list[str]:
    parsed = {group: [parse_requirement(text) for text in texts] for group, texts in groups.items()}
    return reasons_to_lock(lock, inputs, targets=platforms, groups={"": parsed}, conda=conda)


def test_the_digest_decides():
    assert LOCK.fits(INPUTS)
    assert not LOCK.fits("sha256:other")
    assert reasons(inputs=INPUTS, project=["scipy"]) == []


def test_there_is_always_a_reason():
    assert reasons(project=["numpy", "torch>=2"]) == [
        "requirements or settings of the manifest were changed since the lock was made"
    ]


def test_requirements():
    assert reasons(project=["numpy<2.5", "scipy"]) == [
        "project: numpy<2.5 does not admit the locked 2.5.0",
        "project: scipy is not locked",
    ]


def test_requirements_on_some_platforms():
    lock = lock_of(resolution("linux-64", [pin("a", "1")]), resolution("osx-arm64", [pin("a", "2")]))
    assert reasons(lock, project=["a>=2", 'b; sys_platform == "darwin"', 'c; sys_platform == "win32"']) == [
        "project: a>=2 does not admit the locked 1 (linux-64 only)",
        'project: b; sys_platform == "darwin" is not locked (osx-arm64 only)',
    ]


def test_platforms():
    assert reasons(platforms=("linux-64", "win-64"), project=["numpy"]) == [
        "win-64 is not locked",
        "osx-arm64 is locked, but no platform of the manifest any more",
    ]


def test_groups():
    assert reasons(**{"group:dev": ["numpy"]}) == [
        "the group project is not in the manifest any more",
        "the group group:dev is not locked",
    ]


def test_a_package_of_another_group_does_not_count():
    lock = lock_of(
        resolution("linux-64", [pin("a", "1")], groups={"project": [], "group:dev": ["a"]}),
    )
    assert reasons(lock, platforms=("linux-64",), project=["a"], **{"group:dev": ["a"]}) == [
        "project: a is not locked"
    ]


WITH_CONDA = lock_of(
    *(
        resolution(
            platform,
            [pin("app", "1", ["numpy[extra]>=1.20"])],
            conda=[
                conda_python(subdir=platform),
                conda_record("numpy", "2.1.0", subdir=platform, pypi="numpy"),
                conda_record("odd", "9e_x", subdir=platform, pypi="odd"),
            ],
        )
        for platform in BOTH
    )
)


def test_what_conda_brings_is_locked():
    assert reasons(
        WITH_CONDA, project=["app", "numpy>=2"], conda={platform: ["numpy"] for platform in BOTH}
    ) == ["requirements or settings of the manifest were changed since the lock was made"]
    assert reasons(
        WITH_CONDA, project=["numpy<2", "odd"], conda={platform: ["numpy"] for platform in BOTH}
    ) == ["project: numpy<2 does not admit the locked 2.1.0"]


def test_conda_packages():
    specs = ["ffmpeg", "numpy >=2", "numpy >=3", "cudnn"]
    lock = replace(WITH_CONDA, targets=(WITH_CONDA.targets[0], replace(WITH_CONDA.targets[1], conda=())))
    wanted = {"linux-64": specs, "osx-arm64": ["ffmpeg", "numpy >=2", "gone"]}
    assert reasons(lock, project=[], conda=wanted) == [
        "conda: ffmpeg is not locked",
        "conda: numpy >=3 does not admit the locked numpy 2.1.0 h0_0",
        "conda: cudnn is not locked",
        "conda: gone is not locked",
    ]
    one_moved = {"linux-64": ["numpy <2"], "osx-arm64": ["numpy <2"]}
    assert reasons(lock, project=[], conda=one_moved) == [
        "conda: numpy <2 does not admit the locked numpy 2.1.0 h0_0 (linux-64 only)"
    ]
    none = {"linux-64": [], "osx-arm64": []}
    assert reasons(lock, project=[], conda=none) == [
        "conda packages are locked, but none is in the manifest any more"
    ]


def unmet(lock: Lock, *roots: str) -> list[str]:
    return unmet_requirements(lock, {"": {"project": [parse_requirement(root) for root in roots]}})


def test_versions_that_do_not_go_together_after_a_merge():
    pins = [pin("torch", "2.15.0", ["numpy<2.5", "sympy"]), pin("numpy", "2.5.0")]
    lock = lock_of(resolution("linux-64", pins), resolution("osx-arm64", pins))
    assert unmet(lock, "torch") == [
        "torch 2.15.0 requires numpy<2.5, but 2.5.0 is locked (linux-64, osx-arm64)",
        "torch 2.15.0 requires sympy, which is not locked (linux-64, osx-arm64)",
    ]


def test_only_what_holds_for_the_target_has_to_be_met():
    pins = [pin("a", "1", ['b; sys_platform == "darwin"'])]
    lock = lock_of(resolution("linux-64", pins), resolution("osx-arm64", pins))
    assert unmet(lock, "a") == ['a 1 requires b; sys_platform == "darwin", which is not locked (osx-arm64)']


def test_extras_count_where_somebody_asks_for_them():
    chain = ['lib[more]; extra == "fast"', 'speed>=2; extra == "more"', 'ghost; extra == "never"']
    pins = [
        pin("lib", "1", chain, extras=["fast", "more"]),
        pin("app", "1", ["lib[fast]"]),
        pin("speed", "1"),
    ]
    lock = lock_of(resolution("linux-64", pins))
    expected = ['lib 1 requires speed>=2; extra == "more", but 1 is locked (linux-64)']
    assert unmet(lock, "app") == expected
    plain = lock_of(resolution("linux-64", [pins[0], pins[2]]))
    assert unmet(plain, "lib") == []
    assert unmet(plain, "lib[fast]", "gone[x]") == expected


def test_a_good_lock_meets_everything():
    pins = [pin("a", "1", ["b>=1", "a[self]"]), pin("b", "1.0", ["a"])]
    assert unmet(lock_of(resolution("linux-64", pins)), "a", 'z; sys_platform == "win32"') == []


def test_what_conda_brings_meets_requirements():
    assert unmet(WITH_CONDA, "app", "odd") == []
    bad = replace(WITH_CONDA.packages["app"], requires=("numpy<2", "odd>=1", "odd"))
    assert unmet(replace(WITH_CONDA, packages={"app": bad}), "app") == [
        "app 1 requires numpy<2, but 2.1.0 is locked (linux-64, osx-arm64)",
        "app 1 requires odd>=1, but 9e_x is locked (linux-64, osx-arm64)",
    ]
    without = replace(WITH_CONDA.targets[0], conda=())
    assert unmet(replace(WITH_CONDA, targets=(without,)), "app") == [
        "app 1 requires numpy[extra]>=1.20, which is not locked (linux-64)"
    ]
