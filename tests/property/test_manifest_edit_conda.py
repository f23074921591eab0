"""Edits of conda dependencies against the manifest's values: only what was asked changes, in any form."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from envforge.manifest.dotted import child
from envforge.manifest.edit_conda import add_conda_dependencies, remove_conda_dependencies
from envforge.manifest.parse import parse_manifest

CORPUS = sorted((Path(__file__).parents[1] / "unit/manifest/corpus").glob("*.toml"))
TABLE = "tool.envforge.conda-dependencies"

names = st.sampled_from(["ffmpeg", "zlib", "cuda-toolkit", "ruamel.yaml", "_libgcc_mutex", "a", "python_abi"])
specs = st.sampled_from(["*", ">=7", "12.*", ">=7,<9", "2.* *cuda*", "==1.2.3"])
platforms = st.lists(st.sampled_from(["linux-64", "win-64"]), unique=True, min_size=1)
values: st.SearchStrategy[Any] = specs | st.fixed_dictionaries(
    {},
    optional={"version": st.sampled_from(["*", ">=7"]), "build": st.just("*cuda*"), "platforms": platforms},
).filter(bool)
tables = st.dictionaries(names, values, max_size=5)
notes = st.sampled_from(["", "", "  # why"])
forms = st.sampled_from(["header", "inline", "dotted", "own headers"])
endings = st.sampled_from(["\n", "\r\n"])


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {json.dumps(each)}' for key, each in value.items())} }}"
    return json.dumps(value)


@st.composite
def manifests(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A manifest with the table in one of the forms of TOML, comments and other tables around it."""
    table = draw(tables)
    head = '# mine\n[project]\nname = "p"\n\n[tool.envforge]\nplatforms = ["linux-64", "win-64"]'
    tail = draw(st.sampled_from(["", "\n\n# linters\n[tool.x]\na = [1]  # one"]))
    form = draw(forms)
    pairs = [(child("", name), toml(value), draw(notes)) for name, value in table.items()]
    if form == "header" and (pairs or draw(st.booleans())):
        above = draw(st.sampled_from(["", "# group\n", "\n"]))
        body = f"\n\n[{TABLE}]" + "".join(f"\n{above}{key} = {raw}{note}" for key, raw, note in pairs)
    elif form == "inline":
        inside = ", ".join(f"{key} = {raw}" for key, raw, _ in pairs)
        body = f"\nconda-dependencies = {{ {inside} }}{draw(notes)}"
    elif form == "dotted":
        body = "".join(f"\nconda-dependencies.{key} = {raw}{note}" for key, raw, note in pairs)
    else:
        body = "".join(_own_table(name, value) for name, value in table.items())
    text = f"{head}{body}{tail}{draw(st.sampled_from(['', chr(10)]))}"
    return text.replace("\n", draw(endings)), table


def _own_table(name: str, value: Any) -> str:
    rows = {"version": value} if isinstance(value, str) else value
    return f"\n\n[{child(TABLE, name)}]" + "".join(
        f"\n{key} = {json.dumps(each)}" for key, each in rows.items()
    )


def dependencies(text: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    found = parse_manifest(text).settings.conda_dependencies
    return {each.name: (each.spec, each.platforms) for each in found}


def others(text: str) -> dict[str, Any]:
    """All that is not in the table."""
    data = tomllib.loads(text)
    data["tool"]["envforge"].pop("conda-dependencies", None)
    return data


def comments(text: str) -> list[str]:
    return [line.partition("#")[2] for line in text.splitlines() if "#" in line]


@settings(deadline=None)
@given(manifests(), names, specs)
def test_adding_says_what_was_asked_and_the_rest_stays(
    manifest: tuple[str, dict[str, Any]], name: str, spec: str
) -> None:
    text, table = manifest
    edited = add_conda_dependencies(text, {name: spec})
    before, after = dependencies(text), dependencies(edited)
    kept = before[name][1] if isinstance(table.get(name), dict) else ()
    assert after == {**before, name: (spec, kept)}
    assert others(edited) == others(text)
    assert comments(edited) == comments(text)
    assert ("\r\n" in edited) == ("\r\n" in text) and edited.count("\r") in (0, edited.count("\n"))
    assert add_conda_dependencies(edited, {name: spec}) == edited


@settings(deadline=None)
@given(manifests(), names, platforms)
def test_a_table_replaces_all(manifest: tuple[str, dict[str, Any]], name: str, where: list[str]) -> None:
    text, _ = manifest
    wish = {"version": ">=9", "build": "h*", "platforms": where}
    edited = add_conda_dependencies(text, {name: wish})
    assert dependencies(edited) == {**dependencies(text), name: (">=9 h*", tuple(where))}
    assert others(edited) == others(text)


@settings(deadline=None)
@given(manifests(), names, specs)
def test_what_is_added_and_removed_leaves_the_others(
    manifest: tuple[str, dict[str, Any]], name: str, spec: str
) -> None:
    text, _ = manifest
    edited = remove_conda_dependencies(add_conda_dependencies(text, {name: spec}), [name])
    before = dependencies(text)
    before.pop(name, None)
    assert dependencies(edited) == before
    assert others(edited) == others(text)


@settings(deadline=None)
@given(manifests(), st.data())
def test_removing_takes_those_only(manifest: tuple[str, dict[str, Any]], data: st.DataObject) -> None:
    text, table = manifest
    gone = data.draw(st.lists(st.sampled_from(sorted(table)), unique=True)) if table else []
    edited = remove_conda_dependencies(text, gone)
    assert dependencies(edited) == {
        name: found for name, found in dependencies(text).items() if name not in gone
    }
    assert others(edited) == others(text)
    assert "[project]" in edited and (not gone or len(edited) < len(text))


@settings(deadline=None, max_examples=20)
@given(st.sampled_from(CORPUS), st.dictionaries(names, specs, min_size=1, max_size=3))
def test_real_manifests(path: Path, wishes: dict[str, str]) -> None:
    text = path.read_bytes().decode()
    edited = add_conda_dependencies(text, wishes)
    assert {name: spec for name, (spec, _) in dependencies(edited).items()} == wishes
    following = iter(edited.splitlines())
    assert all(line in following for line in text.splitlines()), "a line was lost, changed or moved"
    assert dependencies(remove_conda_dependencies(edited, list(wishes))) == {}
