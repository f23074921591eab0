"""Whether an sdist requires something else on other platforms, as far as it tells."""

from __future__ import annotations

from pathlib import Path

import pytest

from envforge.build.platforms import platform_difference
from envforge.model.release import CoreMetadata
from envforge.model.requirement import parse_requirement

LOOKS = "import sys\nneeds = ['numpy']\nif sys.platform == 'win32':\n    needs.append('pywin32')\n"


def difference(tmp_path: Path, setup: str, recorded: str | None, *here: str) -> str:
    (tmp_path / "setup.py").write_text(setup)
    if recorded is not None:
        (tmp_path / "a.egg-info").mkdir()
        (tmp_path / "a.egg-info" / "requires.txt").write_text(recorded)
    requires = tuple(map(parse_requirement, here))
    return platform_difference(tmp_path, CoreMetadata(name="a", version="1", requires=requires))


def test_another_answer_where_it_was_packed(tmp_path: Path) -> None:
    found = difference(tmp_path, LOOKS, "numpy>=1\npywin32\n", "numpy>=1")
    assert found == "here it requires numpy, where it was packed numpy, pywin32"


@pytest.mark.parametrize(
    ("setup", "recorded", "here"),
    [
        (LOOKS, "numpy>=1\n\n[plots]\nmatplotlib\n", ["numpy", "matplotlib; extra == 'plots'"]),
        (LOOKS, None, ["numpy"]),
        ("needs = open('requirements.txt')", "numpy\npywin32\n", ["numpy"]),
        (LOOKS + "if sys.version_info < (3,): needs.append('futures')", "futures\nnumpy\n", ["numpy"]),
    ],
    ids=["the same", "nothing recorded", "does not look", "may be the Python"],
)
def test_nothing_tells(tmp_path: Path, setup: str, recorded: str | None, here: list[str]) -> None:
    assert difference(tmp_path, setup, recorded, *here) == ""
