"""Reads the table of builds for accelerators that comes with envforge."""

from __future__ import annotations

from functools import cache

from envforge.plan.accelerator_table import AcceleratorTable, parse_accelerator_table


@cache
def read_accelerator_table() -> AcceleratorTable:
    """The table, from ``envforge/data/accelerators.toml``."""
    from importlib.resources import files

    return parse_accelerator_table(files("envforge").joinpath("data/accelerators.toml").read_text("utf-8"))
