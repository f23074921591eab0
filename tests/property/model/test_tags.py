"""Wheel tags against packaging.tags."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from packaging import tags
from packaging.utils import parse_wheel_filename

from envforge.model.release import IndexFile, best_wheel
from envforge.model.tags import wheel_ranks
from envforge.model.target import PLATFORMS, SystemAssumptions, Target

targets = st.builds(
    lambda platform, minor, glibc, macos: Target(
        platform=platform, python=f"3.{minor}", system=SystemAssumptions(glibc=(2, glibc), macos=macos)
    ),
    st.sampled_from(sorted(PLATFORMS)),
    st.integers(7, 20),
    st.integers(17, 45),
    st.sampled_from([(10, 9), (10, 15), (11, 0), (11, 3), (13, 0), (14, 0), (26, 1)]),
)


def platform_tags(target: Target) -> list[str]:
    platform = PLATFORMS[target.platform]
    if platform.sys_platform == "darwin":
        return list(tags.mac_platforms(target.system.macos, platform.wheel_arch))
    if platform.sys_platform == "win32":
        return [platform.wheel_arch]
    return list(dict.fromkeys(tag.rsplit("-", 1)[1] for tag in wheel_ranks(target).tags if "-any" not in tag))


@given(targets)
def test_the_tags_and_their_order_are_those_of_packaging(target: Target) -> None:
    version = (3, int(target.python.split(".")[1]))
    interpreter = f"cp3{version[1]}"
    platforms = platform_tags(target)
    expected = [
        *tags.cpython_tags(version, [interpreter], platforms),
        *tags.compatible_tags(version, interpreter, platforms),
    ]
    assert wheel_ranks(target).tags == list(dict.fromkeys(map(str, expected)))


wheels = st.builds(
    lambda build, python, abi, platform: f"demo-1.0{build}-{python}-{abi}-{platform}.whl",
    st.sampled_from(["", "-1", "-2a", "-10"]),
    st.sampled_from(["cp312", "cp311", "py3", "py2.py3", "cp38", "pp310"]),
    st.sampled_from(["cp312", "abi3", "none", "cp311.cp312"]),
    st.sampled_from(["any", "manylinux_2_17_x86_64.manylinux2014_x86_64", "linux_x86_64", "win_amd64"]),
)


@given(st.lists(wheels, max_size=6, unique=True), targets)
def test_the_best_wheel_has_the_best_tag_and_then_the_highest_build(names: list[str], target: Target) -> None:
    ranks = {tag: rank for rank, tag in enumerate(wheel_ranks(target).tags)}
    fitting = []
    for name in names:
        _, _, build, tag_set = parse_wheel_filename(name)
        known = [ranks[str(tag)] for tag in tag_set if str(tag) in ranks]
        if known:
            fitting.append((min(known), [-build[0], build[1]] if build else [1], name))
    files = [IndexFile(filename=name, url=f"https://example.org/{name}", index="pypi") for name in names]
    found = best_wheel(files, wheel_ranks(target))
    if not fitting:
        assert found is None
        return
    best = min(fitting)
    assert found is not None
    assert found.filename in {name for rank, build, name in fitting if (rank, build) == best[:2]}
