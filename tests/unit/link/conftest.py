"""A tier with a few trees in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.forest import Forest


@pytest.fixture
def forest(tmp_path: Path) -> Forest:
    return Forest(tmp_path / "tier")
