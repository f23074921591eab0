"""Locks that nobody thought of: written and read back, cut and changed, merged."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version as PypiVersion
from rattler import Version
from rattler.exceptions import InvalidVersionError

from envforge.errors import LockError
from envforge.lock.build import build_lock
from envforge.lock.conflict import parse_conflicted
from envforge.lock.consistency import find_faults
from envforge.lock.diff import diff_locks, format_diff
from envforge.lock.folders import with_folders_placed
from envforge.lock.graph import Edge, dependency_graph, shortest_chains
from envforge.lock.parse import parse_lock
from envforge.lock.write import format_lock
from envforge.metadata.rattler_records import to_rattler
from envforge.model.conda import CondaRecord
from envforge.model.lock import Lock, LockedFile, LockedIndex, LockedPackage, LockedTarget
from envforge.model.markers import marker_holds
from envforge.model.release import CoreMetadata
from envforge.model.requirement import parse_requirement
from envforge.model.resolution import Pin, TargetResolution
from envforge.model.target import PLATFORMS, SystemAssumptions, Target

from support.locks import PYPI, conda_python, conda_record, index_file, lock_of, resolution

TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
NAMES = st.from_regex(r"[a-z0-9]{1,4}(-[a-z0-9]{1,3}){0,2}", fullmatch=True)
NUMBERS = st.integers(0, 99)
VERSIONS = st.builds(
    lambda release, pre, post, local: str(PypiVersion(".".join(map(str, release)) + pre + post + local)),
    st.lists(NUMBERS, min_size=1, max_size=4),
    st.sampled_from(["", "", "a1", "b2", "rc10"]),
    st.sampled_from(["", ".post2", ".dev3", ".post1.dev0"]),
    st.sampled_from(["", "", "+cu128", "+ubuntu.1"]),
)
SYSTEM_VERSIONS = st.tuples(NUMBERS, NUMBERS)
SYSTEMS = st.builds(
    SystemAssumptions,
    SYSTEM_VERSIONS,
    SYSTEM_VERSIONS,
    SYSTEM_VERSIONS,
    st.none() | SYSTEM_VERSIONS,
    st.sampled_from(["", "x86_64_v3"]),
)
SHA256 = st.text("0123456789abcdef", min_size=64, max_size=64)
CHANNELS = ("https://conda.anaconda.org/conda-forge", "https://example.org/chan", "./folder")
CONDA_NAMES = st.from_regex(r"[a-z0-9_][a-z0-9_.-]{0,6}", fullmatch=True).filter(
    lambda name: name != "python"
)
CONDA_VERSIONS = st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){0,2}[a-z]?", fullmatch=True)
BUILDS = st.from_regex(r"[A-Za-z0-9_.+]{1,8}", fullmatch=True)
FILENAMES = st.from_regex(r"[A-Za-z0-9_.+-]{1,20}\.whl", fullmatch=True)


@st.composite
def locks(draw: st.DrawFn) -> Lock:
    """Any consistent lock."""
    platforms = draw(st.lists(st.sampled_from(sorted(PLATFORMS)), unique=True, min_size=1, max_size=4))
    indexes = draw(st.lists(NAMES, unique=True, min_size=1, max_size=3))
    packages: dict[str, LockedPackage] = {}
    installed: dict[str, list[str]] = {platform: [] for platform in platforms}
    for name in draw(st.lists(NAMES, unique=True, max_size=5)):
        parts = draw(st.lists(st.sampled_from(platforms), unique=True, min_size=1))
        cut = draw(st.integers(0, len(parts)))
        groups = [part for part in (parts[:cut], parts[cut:]) if part]
        found = draw(st.lists(VERSIONS, min_size=len(groups), max_size=len(groups), unique=True))
        for version, where in zip(found, groups, strict=True):
            package_id = name if len(groups) == 1 else f"{name}@{version}"
            packages[package_id] = draw(_packages(package_id, name, version, indexes, where))
            for platform in where:
                installed[platform].append(package_id)
    channels = draw(st.lists(st.sampled_from(CHANNELS), unique=True, min_size=1))
    records: dict[str, CondaRecord] = {}
    targets = []
    for platform in platforms:
        of_target = draw(_conda_parts(platform, channels)) if draw(st.booleans()) else []
        records.update((record.id, record) for record in of_target)
        python = draw(st.sampled_from(["3.9", "3.12", "3.13.1"]))
        target = Target(
            platform=platform,
            python=of_target[0].version if of_target else python,
            system=draw(SYSTEMS),
        )
        ids = st.lists(st.sampled_from(installed[platform] or [""]), unique=True).map(
            lambda found: tuple(filter(None, found))
        )
        targets.append(
            LockedTarget(
                target=target,
                groups=draw(st.dictionaries(TEXTS, ids, max_size=3)),
                conda=tuple(sorted(record.id for record in of_target)),
            )
        )
    return Lock(
        inputs=draw(TEXTS),
        exclude_newer=draw(TEXTS),
        indexes=tuple(LockedIndex(name=name, url=draw(TEXTS)) for name in indexes),
        targets=tuple(targets),
        packages=packages,
        channels=tuple(channels),
        conda_packages=dict(sorted(records.items())),
    )


@st.composite
def _conda_parts(draw: st.DrawFn, platform: str, channels: Sequence[str]) -> list[CondaRecord]:
    """Records of one target: Python first, then others of different names."""
    python = draw(st.sampled_from(["3.12.8", "3.13.1"]))
    records = [draw(_records("python", python, platform, channels))]
    names = draw(st.lists(CONDA_NAMES, unique=True, max_size=3))
    return [*records, *(draw(_records(name, draw(CONDA_VERSIONS), platform, channels)) for name in names)]


@st.composite
def _records(draw: st.DrawFn, name: str, version: str, platform: str, channels: Sequence[str]) -> CondaRecord:
    build, channel = draw(BUILDS), draw(st.sampled_from(channels))
    subdir = platform  # a noarch record of one id would have to be the same for all targets
    lists = st.lists(TEXTS, max_size=2).map(tuple)
    return CondaRecord(
        name=name,
        version=version,
        build=build,
        build_number=draw(st.integers(0, 2**40)),
        subdir=subdir,
        url=f"{channel}/{subdir}/{name}-{version}-{build}{draw(st.sampled_from(['.conda', '.tar.bz2']))}",
        channel=channel,
        sha256=draw(SHA256),
        md5=draw(st.sampled_from(["", "0f" * 16])),
        size_bytes=draw(st.none() | st.integers(0, 2**62)),
        depends=draw(lists),
        constrains=draw(lists),
        noarch=draw(st.sampled_from(["", "python", "generic"])),
        license=draw(TEXTS),
        license_family=draw(TEXTS),
        timestamp_ms=draw(st.none() | st.integers(0, 2**41)),
        track_features=draw(lists),
        features=draw(TEXTS),
        python_site_packages_path=draw(TEXTS),
        purls=draw(lists),
        pypi_names=draw(st.sampled_from([(), ("only-on-conda",)])),
    )


@st.composite
def _packages(
    draw: st.DrawFn, package_id: str, name: str, version: str, indexes: Sequence[str], where: Sequence[str]
) -> LockedPackage:
    return LockedPackage(
        id=package_id,
        name=name,
        version=version,
        index=draw(st.sampled_from(["", *indexes])),
        requires=tuple(draw(st.lists(TEXTS, max_size=3))),
        requires_python=draw(TEXTS),
        files=tuple(
            LockedFile(
                url=f"https://example.org/{draw(FILENAMES)}",
                sha256=draw(SHA256),
                size_bytes=draw(st.none() | st.integers(0, 2**70)),
                targets=(platform,),
            )
            for platform in where
        ),
    )


@settings(max_examples=60, deadline=None)
@given(locks())
def test_what_is_written_is_read_back(lock: Lock) -> None:
    assert find_faults(lock) == []
    text = format_lock(lock)
    again = parse_lock(text)
    assert again == lock
    assert format_lock(again) == text
    assert text.endswith("}\n")
    text.encode("utf-8")
    assert not diff_locks(lock, again)


@settings(max_examples=40, deadline=None)
@given(locks(), locks())
def test_differences_are_told_both_ways(old: Lock, new: Lock) -> None:
    there, back = diff_locks(old, new), diff_locks(new, old)
    assert [(item.name, item.old, item.new, item.targets) for item in there.packages] == [
        (item.name, item.new, item.old, item.targets) for item in back.packages
    ]
    assert [(item.name, item.old, item.new, item.targets) for item in there.conda] == [
        (item.name, item.new, item.old, item.targets) for item in back.conda
    ]
    assert (there.targets_added, there.targets_removed) == (back.targets_removed, back.targets_added)
    assert bool(there) == bool(list(format_diff(there)))


@settings(max_examples=40, deadline=None)
@given(locks(), locks())
def test_both_sides_of_a_conflict_are_read(ours: Lock, theirs: Lock) -> None:
    text = f"<<<<<<< HEAD\n{format_lock(ours)}=======\n{format_lock(theirs)}>>>>>>> theirs\n"
    assert parse_conflicted(text) == (ours, theirs)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=8), below, max_size=3),
    max_leaves=8,
)


def _places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The paths of all values below."""
    found = [path] if path else []
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, child in children:
        found += _places(child, (*path, key))
    return found


def _read(text: str) -> None:
    """A lock or a LockError, nothing else; what is read can be written and read again, and installed."""
    try:
        lock = parse_lock(text)
    except LockError as error:
        assert error.message
        assert all(isinstance(line, str) and line for line in error.context)
        return
    assert find_faults(lock) == []
    assert parse_lock(format_lock(lock)) == lock
    placed = with_folders_placed(lock, {"./folder": "file:///p/folder"})
    for record in placed.conda_packages.values():
        assert str(to_rattler(record).version) == record.version


@given(st.from_regex(r"[0-9A-Za-z_.+!-]{1,9}", fullmatch=True))
def test_a_version_is_taken_where_rattler_takes_it(version: str) -> None:
    record = conda_record("thing", version)
    lock = lock_of(resolution("linux-64", [], conda=[conda_python(), record]))
    try:
        Version(version)
    except InvalidVersionError:
        assert find_faults(lock) == [
            f"conda.linux-64/thing-{version}-h0_0.conda.version: {version!r} is no version"
        ]
    else:
        assert find_faults(lock) == []


@settings(max_examples=100, deadline=None)
@given(locks(), st.data())
def test_any_change_gives_a_lock_or_a_clear_error(lock: Lock, data: st.DataObject) -> None:
    document = json.loads(format_lock(lock))
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(_places(document)))
        place = document
        for key in path[:-1]:
            place = place[key]
        if data.draw(st.booleans()):
            del place[path[-1]]
        else:
            place[path[-1]] = data.draw(JSON)
        if not document:
            break
    _read(json.dumps(document, ensure_ascii=data.draw(st.booleans())))


@settings(max_examples=60, deadline=None)
@given(locks(), st.data())
def test_a_text_that_is_cut_or_spliced_gives_a_lock_or_a_clear_error(lock: Lock, data: st.DataObject) -> None:
    text = format_lock(lock)
    start, end = sorted(data.draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
    spliced = text[:start] + data.draw(st.text(max_size=9)) + text[end:]
    _read(spliced)
    for side in parse_conflicted(spliced):
        assert side is None or find_faults(side, whole=False) == []


@settings(max_examples=50, deadline=None)
@given(st.lists(JSON | st.text(), max_size=1))
def test_any_json_is_refused(values: list[Any]) -> None:
    for value in values:
        _read(json.dumps(value))


EXTRAS = ("x", "y")
REQUIREMENTS = st.builds(
    lambda name, extra, marker: f"{name}{extra}{marker}",
    st.sampled_from("abcd"),
    st.sampled_from(["", "[x]", "[x,y]"]),
    st.sampled_from(
        ["", '; sys_platform == "linux"', '; extra == "x"', '; extra == "y" and os_name == "nt"']
    ),
)
WORLDS = st.fixed_dictionaries(
    {name: st.tuples(st.sampled_from(["1", "2"]), st.lists(REQUIREMENTS, max_size=4)) for name in "abcd"}
)


def _resolution(platform: str, world: Mapping[str, tuple[str, list[str]]]) -> TargetResolution:
    pins = {}
    for name, (version, requires) in world.items():
        metadata = CoreMetadata(
            name=name, version=version, requires=tuple(parse_requirement(text) for text in requires)
        )
        file = index_file(f"{name}-{version}-py3-none-any.whl")
        pins[name] = Pin(name=name, version=version, extras=frozenset(EXTRAS), file=file, metadata=metadata)
    return TargetResolution(
        target=Target(platform=platform, python="3.12"), pins=pins, groups={"project": frozenset(pins)}
    )


@given(
    WORLDS, WORLDS, st.lists(REQUIREMENTS.filter(lambda text: "extra" not in text), min_size=1, max_size=3)
)
def test_resolutions_become_a_consistent_lock(
    linux: Mapping[str, tuple[str, list[str]]],
    windows: Mapping[str, tuple[str, list[str]]],
    roots: list[str],
) -> None:
    """Each target gets its versions, and its graph is that of its own metadata."""
    worlds = {"linux-64": linux, "win-64": windows}
    lock = build_lock(
        inputs="",
        exclude_newer="",
        indexes=[PYPI],
        resolutions=[_resolution(platform, world) for platform, world in worlds.items()],
    )
    assert parse_lock(format_lock(lock)) == lock
    parsed = [parse_requirement(text) for text in roots]
    for platform, world in worlds.items():
        graph = dependency_graph(lock, platform, parsed)
        assert graph.versions == {name: version for name, (version, _) in world.items()}
        for name in graph.versions:
            for chain in shortest_chains(graph, name):
                stops = [edge.name for edge in chain]
                assert stops[-1] == name
                assert name not in stops[:-1]
                assert [edge.source for edge in chain] == ["", *stops[:-1]]
                _check_truth(chain, lock, lock.targets_on(platform)[0])


def _check_truth(chain: list[Edge], lock: Lock, locked: LockedTarget) -> None:
    """Each requirement holds by what the one before asks for, and by nothing else."""
    packages = {lock.packages[i].name: lock.packages[i] for i in locked.package_ids(["project"])}
    target = locked.target
    extras = {""}
    for edge in chain:
        requirement = parse_requirement(edge.requirement)
        assert any(marker_holds(requirement.marker, target, extra) for extra in extras), chain
        extras = {"", *requirement.extras}
        own = [parse_requirement(text) for text in packages[edge.name].requires]
        for _ in EXTRAS:
            for item in own:
                if item.name == edge.name and any(marker_holds(item.marker, target, e) for e in extras):
                    extras |= set(item.extras)
