from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

from envforge.manifest.dotted import child, item
from envforge.manifest.positions import scan_positions


def places(value: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """The dotted path of everything in parsed TOML."""
    if where:
        yield where, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, child(where, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, item(where, index))


def test_every_key_and_entry_of_the_corpus_is_found(corpus_text, file_style):
    text = file_style(corpus_text)
    positions = scan_positions(text)
    found = dict(places(tomllib.loads(text)))
    assert positions.starts.keys() == found.keys()


def test_values_stand_where_the_scan_says(corpus_text, file_style):
    text = file_style(corpus_text)
    found = dict(places(tomllib.loads(text)))
    positions = scan_positions(text)
    assert positions.values
    for where, (start, end) in positions.values.items():
        assert tomllib.loads(f"value = {text[start:end]}")["value"] == found[where], where


def test_array_entries_stand_where_the_scan_says(corpus_text, file_style):
    text = file_style(corpus_text)
    found = dict(places(tomllib.loads(text)))
    for where, array in scan_positions(text).arrays.items():
        entries = [tomllib.loads(f"e = {text[e.start : e.end]}")["e"] for e in array.entries]
        assert entries == found[where]
        assert all(text[e.comma] == "," for e in array.entries if e.comma is not None)


def test_lines():
    text = (
        "# head\r\n"
        "[a]\n"
        'b = """\n[x]\n""""\n'
        "c = '''\n'''\n"
        "[[t]]\n"
        "k = [\n  1,  # one\n  { z = 2 },\n]\n"
        "[[t]]\n"
        "[t.s]\n"
        '"quoted.key" = 1979-05-27 07:32:00\n'
        "d.'e f'.g = +1e3 # end"
    )
    positions = scan_positions(text)
    lines = {where: positions.line(where) for where in positions.starts}
    assert lines == {
        **{"a": 2, "a.b": 3, "a.c": 6, "t": 8, "t[0]": 8, "t[0].k": 9, "t[0].k[0]": 10, "t[0].k[1]": 11},
        **{"t[0].k[1].z": 11, "t[1]": 13, "t[1].s": 14, 't[1].s."quoted.key"': 15},
        **{"t[1].s.d": 16, 't[1].s.d."e f"': 16, 't[1].s.d."e f".g': 16},
    }


def test_what_is_not_there_has_the_line_of_the_table_above():
    positions = scan_positions('\n[project]\nname = "x"\n\n["a.b"]\n')
    assert positions.line("project.dependencies[3]") == 2
    assert positions.line('"a.b".c') == 5
    assert positions.line("nothing.at.all") == 1
    assert positions.line("") == 1
