"""Edits of pyproject.toml against its values: whatever the layout, only what was asked for changes."""

from __future__ import annotations

import tomllib
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from envforge.manifest.dotted import child, item
from envforge.manifest.edit import add_requirements, create_manifest, remove_requirements
from envforge.manifest.parse import parse_manifest
from envforge.manifest.positions import scan_positions
from envforge.model.names import normalize_name
from envforge.model.target import PLATFORMS

CORPUS = sorted((Path(__file__).parents[1] / "unit/manifest/corpus").glob("*.toml"))

names = st.sampled_from(["torch", "NumPy", "a", "b.c", "z_z", "Scikit-Learn", "x1", "jax"])
specifiers = st.sampled_from(["", ">=1", "==2.0,!=2.1", "~=3.4", "[extra]>=1", "; os_name == 'nt'"])
blanks = st.sampled_from(
    ["", "", " ", "  ", "\n", "\n    ", ' # note, "quoted" ]\n', "\n\n\t", "\n  # line\n  "]
)
endings = st.sampled_from(["\n", "\r\n"])


@st.composite
def arrays(draw: st.DrawFn) -> tuple[str, list[str]]:
    """An array as a person (or a cat) might lay it out, and its entries of different projects."""
    entries = [
        name + draw(specifiers) for name in draw(st.lists(names, unique_by=normalize_name, max_size=5))
    ]
    text = "["
    for position, entry in enumerate(entries):
        is_last = position == len(entries) - 1
        comma = "," if not is_last or draw(st.booleans()) else ""
        text += f'{draw(blanks)}"{entry}"{draw(blanks)}{comma}'
    return f"{text}{draw(blanks)}]", entries


@st.composite
def manifests(draw: st.DrawFn) -> tuple[str, list[str]]:
    array, entries = draw(arrays())
    before, after = (
        draw(st.sampled_from(["", "# head\n"])),
        draw(st.sampled_from(["", " # tail", "\n\n[tool.x]\na = [1]"])),
    )
    text = (
        f'{before}[project]\nname = "p"\ndependencies = {array}{after}{draw(st.sampled_from(["", chr(10)]))}'
    )
    return text.replace("\n", draw(endings)), entries


def dependencies(text: str) -> list[str]:
    return [entry.text for entry in parse_manifest(text).dependencies]


def comments(text: str) -> list[str]:
    return [line.partition(" # ")[2].strip() for line in text.splitlines() if " # " in line]


@settings(deadline=None)
@given(manifests(), st.sampled_from(["new", "Aaa", 'zzz>=2; os_name == "nt"']))
def test_adding_keeps_every_other_entry_and_every_comment(manifest: tuple[str, list[str]], new: str) -> None:
    text, entries = manifest
    edited = add_requirements(text, [new])
    found = dependencies(edited)
    assert [entry for entry in found if entry != new] == entries
    assert found.count(new) == 1
    assert comments(edited) == comments(text)


@settings(deadline=None)
@given(manifests())
def test_sorted_stays_sorted(manifest: tuple[str, list[str]]) -> None:
    text, entries = manifest
    keys = [normalize_name(entry.split("[")[0].split(";")[0].rstrip("=!~>,.0123456789")) for entry in entries]
    edited = dependencies(add_requirements(text, ["mmm"]))
    if len(entries) > 1 and keys == sorted(keys):
        assert edited.index("mmm") == sum(key < "mmm" for key in keys)
    else:
        assert edited[-1] == "mmm"


@settings(deadline=None)
@given(manifests(), names, specifiers)
def test_adding_twice_is_adding_once(manifest: tuple[str, list[str]], name: str, specifier: str) -> None:
    once = add_requirements(manifest[0], [name + specifier])
    assert add_requirements(once, [name + specifier]) == once


@settings(deadline=None)
@given(manifests(), st.data())
def test_removing_takes_that_entry_only(manifest: tuple[str, list[str]], data: st.DataObject) -> None:
    text, entries = manifest
    if not entries:
        return
    position = data.draw(st.integers(0, len(entries) - 1))
    name = normalize_name(parse_name(entries[position]))
    edited = remove_requirements(text, [name])
    assert dependencies(edited) == entries[:position] + entries[position + 1 :]
    assert {key: value for key, value in tomllib.loads(edited).items() if key != "project"} == {
        key: value for key, value in tomllib.loads(text).items() if key != "project"
    }


def parse_name(entry: str) -> str:
    from envforge.model.requirement import parse_requirement

    return parse_requirement(entry).name


@st.composite
def tidy_arrays(draw: st.DrawFn) -> str:
    """An array in one of the layouts that formatters write."""
    entries = [f'"{name}"' for name in draw(st.lists(names, unique_by=normalize_name, max_size=6))]
    if len(entries) < 3 and draw(st.booleans()):
        return f"[{', '.join(entries)}]"
    if not entries:
        return "[]"
    indent, comma = draw(st.sampled_from(["  ", "    ", "\t"])), draw(st.sampled_from(["", ","]))
    notes = [draw(st.sampled_from(["", "  # note"])) for _ in entries]
    above = draw(st.sampled_from(["", f"\n{indent}# above"]))
    separators = [","] * (len(entries) - 1) + [comma]
    rows = (f"\n{indent}{e}{c}{note}" for e, c, note in zip(entries, separators, notes, strict=True))
    return f"[{above}{''.join(rows)}\n]"


@settings(deadline=None)
@given(tidy_arrays(), endings, st.sampled_from(["", "\n"]), st.sampled_from(["new", "aaa>=1", "zzz"]))
def test_add_then_remove_gives_the_same_text(array: str, newline: str, end: str, new: str) -> None:
    text = f'[project]\nname = "p"\ndependencies = {array}{end}'.replace("\n", newline)
    edited = add_requirements(text, [new])
    assert edited != text
    assert remove_requirements(edited, [new.partition(">")[0]]) == text


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(CORPUS),
    endings,
    st.lists(names, min_size=1, max_size=4, unique_by=normalize_name),
    st.booleans(),
)
def test_real_manifests_come_through_any_edit(
    path: Path, newline: str, new: list[str], in_group: bool
) -> None:
    text = path.read_text(encoding="utf-8").replace("\n", newline)
    options = {"group": "dev"} if in_group else {}
    edited = add_requirements(text, new, **options)
    assert add_requirements(edited, new, **options) == edited
    restored = remove_requirements(edited, new, **options)
    before, after = tomllib.loads(text), tomllib.loads(restored)
    for data in (before, after):
        data["project"].pop("dependencies", None)
        data.get("dependency-groups", {}).pop("dev", None)
        data.setdefault("dependency-groups", {})
    assert before == after


project_names = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,8}[A-Za-z0-9])?", fullmatch=True)


@settings(deadline=None)
@given(
    st.sampled_from(
        ["", "# mine\n", "[tool.ruff]\nx = 1", "[build-system]\nrequires = []\n", "[tool.envforge]\n"]
    ),
    project_names,
    st.sampled_from(["", ">=3.11", ">=3.10,<4"]),
    st.sampled_from(["", "3.12", "3.13.1"]),
    st.lists(st.sampled_from(sorted(PLATFORMS)), min_size=1, unique=True),
)
def test_what_is_created_can_be_read(
    existing: str, name: str, requires_python: str, python: str, platforms: list[str]
) -> None:
    created = create_manifest(
        existing, name=name, requires_python=requires_python, python=python, platforms=platforms
    )
    manifest = parse_manifest(created)
    assert (manifest.name, manifest.requires_python) == (name, requires_python)
    assert (manifest.settings.python, manifest.settings.platforms) == (python, tuple(platforms))


keys = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=4)
leaves = st.one_of(
    st.integers(), st.booleans(), st.floats(allow_nan=False, allow_infinity=False), st.dates(), keys
)
trees = st.dictionaries(
    keys,
    st.recursive(
        leaves,
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3)),
        max_leaves=12,
    ),
    max_size=4,
)


@settings(deadline=None)
@given(trees)
def test_the_scan_finds_everything_that_a_writer_may_write(tree: dict[str, object]) -> None:
    import tomlkit

    text = tomlkit.dumps(tree)
    positions = scan_positions(text)
    expected: set[str] = set()

    def walk(value: object, where: str) -> None:
        if where:
            expected.add(where)
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(inner, child(where, key))
        elif isinstance(value, list):
            for index, inner in enumerate(value):
                walk(inner, item(where, index))

    walk(tomllib.loads(text), "")
    assert set(positions.starts) | {""} == expected | {""}
