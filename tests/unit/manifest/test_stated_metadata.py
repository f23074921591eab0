"""``[project]`` of an sdist: read where it says all, and left to a build where it does not."""

from __future__ import annotations

import pytest

from envforge.manifest.folders import stated_metadata

WHOLE = b"""
[project]
name = "Some.Thing"
version = "1.0"
requires-python = ">=3.9"
dependencies = ["numpy>=1.20", "tomli; python_version < '3.11'"]
dynamic = ["readme"]
[project.optional-dependencies]
All_Plots = ["matplotlib", "pywin32; sys_platform == 'win32' or os_name == 'nt'"]
"""


def test_all_of_it() -> None:
    found = stated_metadata(WHOLE)
    assert found is not None
    assert (found.name, found.version, found.requires_python) == ("some-thing", "1.0", ">=3.9")
    assert [(item.name, item.specifier) for item in found.requires[:2]] == [
        ("numpy", ">=1.20"),
        ("tomli", ""),
    ]
    assert found.provides_extra == {"all-plots"}
    plots, windows = found.requires[2:]
    assert plots.marker.replace('"', "'") == "extra == 'all-plots'"
    assert "or" in windows.marker and windows.marker.endswith("extra == 'all-plots'".replace("'", '"'))


def test_no_dependencies_are_none() -> None:
    found = stated_metadata(b'[project]\nname = "a"\nversion = "1"\n')
    assert found is not None and found.requires == () and found.requires_python == ""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no toml",
        "project = 1",
        "[tool.poetry]\nname = 'a'",
        "[project]\nname = 'a'",
        "[project]\nname = 'a'\ndynamic = ['version']",
        "[project]\nversion = '1'",
        *(
            f"[project]\nname = 'a'\nversion = '1'\ndynamic = ['{field}']"
            for field in ("dependencies", "optional-dependencies", "requires-python")
        ),
        "[project]\nname = 'a'\nversion = '1'\ndependencies = 'numpy'",
        "[project]\nname = 'a'\nversion = '1'\ndependencies = ['numpy >> 1']",
        "[project]\nname = 'a'\nversion = '1'\ndependencies = [1]",
        "[project]\nname = 'a'\nversion = '1'\nrequires-python = 'new'",
        "[project]\nname = 'a'\nversion = '1'\noptional-dependencies = ['x']",
        "[project]\nname = 'a'\nversion = '1'\noptional-dependencies = { x = 'numpy' }",
    ],
)
def test_what_only_a_build_can_tell(text: str) -> None:
    assert stated_metadata(text.encode()) is None
