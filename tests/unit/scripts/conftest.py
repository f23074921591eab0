"""The modules behind scripts/build_channel.py, importable as they are from the script."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).parents[3] / "scripts"


@pytest.fixture
def channel_module(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """``channel_module("archive")``."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return lambda name: importlib.import_module(f"channel.{name}")
