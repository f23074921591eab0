"""Locks that nobody thought of: written and read back, cut and changed, merged."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version

from envforge.errors import LockError
from envforge.lock.build import build_lock
from envforge.lock.conflict import parse_conflicted
from envforge.lock.consistency import find_faults
from envforge.lock.diff import diff_locks, format_diff
from envforge.lock.graph import dependency_graph, shortest_chains
from envforge.lock.parse import parse_lock
from envforge.lock.write import format_lock
from envforge.model.lock import Lock, LockedFile, LockedIndex, LockedPackage, LockedTarget
from envforge.model.release import CoreMetadata
from envforge.model.requirement import parse_requirement
from envforge.model.resolution import Pin, TargetResolution
from envforge.model.target import PLATFORMS, SystemAssumptions, Target

from support.locks import PYPI, index_file

TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
NAMES = st.from_regex(r"[a-z0-9]{1,4}(-[a-z0-9]{1,3}){0,2}", fullmatch=True)
NUMBERS = st.integers(0, 99)
VERSIONS = st.builds(
    lambda release, pre, post, local: str(Version(".".join(map(str, release)) + pre + post + local)),
    st.lists(NUMBERS, min_size=1, max_size=4),
    st.sampled_from(["", "", "a1", "b2", "rc10"]),
    st.sampled_from(["", ".post2", ".dev3", ".post1.dev0"]),
    st.sampled_from(["", "", "+cu128", "+ubuntu.1"]),
)
SYSTEMS = st.builds(SystemAssumptions, st.tuples(NUMBERS, NUMBERS), st.tuples(NUMBERS, NUMBERS))
SHA256 = st.text("0123456789abcdef", min_size=64, max_size=64)
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
    targets = []
    for platform in platforms:
        target = Target(
            platform=platform, python=draw(st.sampled_from(["3.9", "3.12", "3.13.1"])), system=draw(SYSTEMS)
        )
        ids = st.lists(st.sampled_from(installed[platform] or [""]), unique=True).map(
            lambda found: tuple(filter(None, found))
        )
        targets.append(LockedTarget(target=target, groups=draw(st.dictionaries(TEXTS, ids, max_size=3))))
    return Lock(
        inputs=draw(TEXTS),
        exclude_newer=draw(TEXTS),
        indexes=tuple(LockedIndex(name=name, url=draw(TEXTS)) for name in indexes),
        targets=tuple(targets),
        packages=packages,
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
    """A lock or a LockError, nothing else; what is read can be written and read again."""
    try:
        lock = parse_lock(text)
    except LockError as error:
        assert error.message
        assert all(isinstance(line, str) and line for line in error.context)
        return
    assert find_faults(lock) == []
    assert parse_lock(format_lock(lock)) == lock


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
        assert side is None or find_faults(side) == []


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
                assert len(set(stops)) == len(stops)
                assert [edge.source for edge in chain] == ["", *stops[:-1]]
