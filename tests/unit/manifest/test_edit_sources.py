import tomllib

import pytest

from envforge.manifest.edit_sources import put_source, without_unused_source

PROJECT = '[project]\nname = "x"\ndependencies = ["lib", "torch"]\n'
LAYOUTS = {
    "none": "",
    "settings": "\n[tool.envforge]\npython = '3.12'  # why\n\n[tool.other]\nx = 1\n",
    "table": "\n[tool.envforge.sources]\ntorch = { index = 'pypi' }\n\n[tool.other]\nx = 1\n",
    "inline": "\n[tool.envforge]\nsources = { torch = { index = 'pypi' } }  # why\n",
    "own table": "\n[tool.envforge.sources.torch]\nindex = 'pypi'\n",
    "dotted": "\n[tool.envforge]\nsources.torch.index = 'pypi'\n",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_source_is_put_in_and_taken_out_and_nothing_else_changes(layout):
    text = PROJECT + LAYOUTS[layout]
    added = put_source(text, "lib", {"path": "../lib", "editable": True})
    expected = tomllib.loads(text)
    expected.setdefault("tool", {}).setdefault("envforge", {}).setdefault("sources", {})
    expected["tool"]["envforge"]["sources"]["lib"] = {"path": "../lib", "editable": True}
    assert tomllib.loads(added) == expected
    assert added.count("# why") == text.count("# why")
    changed = put_source(added, "lib", {"path": "./lib.whl"})
    assert tomllib.loads(changed)["tool"]["envforge"]["sources"]["lib"] == {"path": "./lib.whl"}
    assert without_unused_source(changed, "lib") == changed, "it is required"
    freed = changed.replace('"lib", ', "")
    assert "lib" not in tomllib.loads(without_unused_source(freed, "lib")).get("tool", {}).get(
        "envforge", {}
    ).get("sources", {})


def test_an_index_stays():
    text = PROJECT.replace('"torch"', "") + LAYOUTS["table"]
    assert without_unused_source(text, "torch") == text
