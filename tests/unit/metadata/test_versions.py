"""Versions of file names and of what is inside."""

from __future__ import annotations

import pytest

from envforge.metadata.versions import is_release


@pytest.mark.parametrize(
    ("found", "expected", "same"),
    [
        ("1.0", "1.0", True),
        ("1.0.0", "1.0", True),
        ("2.8.3", "2.8.3+cu12torch2.8cxx11abitrue", True),
        ("2.8.3+CU12torch2.8cxx11abiTRUE", "2.8.3", True),
        ("2.8.0+cu128", "2.8.0+cu126", False),
        ("2.8.3.post1", "2.8.3", False),
        ("1.1", "1.0+cpu", False),
        ("unknown", "1.0", False),
    ],
)
def test_a_label_may_be_missing_but_not_be_another(found: str, expected: str, same: bool) -> None:
    assert is_release(found, expected) is same
