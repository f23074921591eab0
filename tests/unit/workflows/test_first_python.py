"""Which Python a project starts with."""

from __future__ import annotations

from typing import Any, cast

import pytest

from envforge.manifest.parse import parse_manifest
from envforge.workflows import first_python
from envforge.workflows.session import Session

NO_SESSION = cast("Session", None)


@pytest.mark.parametrize(
    ("requires_python", "here", "chosen"),
    [
        (">=3", {"3.12", "3.13"}, "3.13"),
        (">=3.10,<3.13", {"3.11", "3.12", "3.13"}, "3.12"),
        (">=3.10,<3.13", {"3.9", "3.11", "3.13"}, "3.11"),
        ("~=3.10.0", {"3.10", "3.13"}, "3.10"),
        ("==3.11.*", {"3.13"}, "3.11"),
        (">=3.11.9", {"3.11"}, "3.11"),
        (">=3.15", {"3.13"}, "3.15"),
        (">=3.10,<3.13", set(), "3.12"),
        (">=3", {"3.6"}, "3.15"),
        ("<3", {"3.13"}, ""),
        ("three", {"3.13"}, ""),
    ],
)
def test_the_newest_of_this_host_that_is_admitted(
    requires_python: str, here: set[str], chosen: str, monkeypatch: Any
) -> None:
    monkeypatch.setattr(first_python, "_minors_of_host", lambda session: here)
    manifest = parse_manifest(f'[project]\nname = "x"\nrequires-python = "{requires_python}"\n')
    assert first_python.choose_first_python(manifest, NO_SESSION) == chosen
