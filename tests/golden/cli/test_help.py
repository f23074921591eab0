"""The help of every command, as a person sees it on 100 columns.

After a wanted change: ``ENVFORGE_UPDATE_GOLDEN=1 scripts/test.sh tests/golden/cli``, then read the diff.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from envforge.cli import main
from envforge.cli.commands import COMMANDS

FOLDER = Path(__file__).parent


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help(capsys, monkeypatch, name):
    monkeypatch.setenv("COLUMNS", "100")
    assert main([name, "--help"] if name else ["--help"]) == 0
    shown = capsys.readouterr().out
    golden = FOLDER / f"help_{name or 'envforge'}.txt"
    if os.environ.get("ENVFORGE_UPDATE_GOLDEN"):
        golden.write_text(shown, encoding="utf-8")
    assert shown == golden.read_text(encoding="utf-8")


def test_no_golden_file_is_left_over():
    expected = {f"help_{name}.txt" for name in ["envforge", *COMMANDS]}
    assert {path.name for path in FOLDER.glob("help_*.txt")} == expected
