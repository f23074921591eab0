"""Which records are of no use to a Python or a platform, seen by the records alone."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from envforge.index.conda_rows import is_for_another_python, runs_on


@pytest.mark.parametrize(
    ("depend", "is_other"),
    [
        ("python_abi 3.12.* *_cp312", True),
        ("python_abi 3.1.* *_cp31", True),
        ("python_abi 3.130", True),
        ("python_abi 3 *_cp27mu", False),
        ("python_abi 3.* *_cp312", False),
        ("python_abi 3.1* *_cp312", False),
        ("python_abi 3.12.*|3.13.* *_cp313", False),
        ("python_abi 3.12", True),
        ("python_abi 3.13.* *_cp313", False),
        ("python_abi 3.13.* *_cp313t", False),
        ("python_abi 3.13", False),
        ("python_abi * *_cp312", False),
        ("python_abi >=3.12,<3.13.0a0", False),
        ("python_abi ", False),
        ("python_abi", False),
        ("python 3.12.*", False),
        ("python_abi_other 3.12.*", False),
    ],
)
def test_the_abi_of_another_python(depend: str, is_other: bool) -> None:
    """What is not plainly another one is left to the solver."""
    row = SimpleNamespace(depends=["numpy", depend])
    assert is_for_another_python(row, "3.13") is is_other


@pytest.mark.parametrize(
    ("subdir", "depend", "platform", "runs"),
    [
        ("noarch", "__linux", "linux-64", True),
        ("noarch", "__linux", "osx-arm64", False),
        ("noarch", "__unix", "osx-arm64", True),
        ("noarch", "__win", "linux-64", False),
        ("noarch", "__win >=10", "win-64", True),
        ("linux-64", "__win", "linux-64", True),
    ],
)
def test_the_system(subdir: str, depend: str, platform: str, runs: bool) -> None:
    assert runs_on(SimpleNamespace(subdir=subdir, depends=["x", depend]), platform) is runs
