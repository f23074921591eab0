"""Worker processes for archives that are much too small to be worth one."""

from __future__ import annotations

import pytest

from envforge.fetch import crew as crew_module


def use_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every archive counts as large, and as enough for worker processes."""
    monkeypatch.setattr(crew_module, "SMALL_BYTES", -1)
    monkeypatch.setattr(crew_module, "_WORTH_WORKERS_BYTES", 0)
