"""A Python of our own imports what we import, and is as we are where that changes what it does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import envforge
from envforge.host.child_python import child_command

PROBE = """
import json, sys
def main():
    import dataclasses
    print(json.dumps([sys.path, dataclasses.__file__, sys.flags.utf8_mode, sys.dont_write_bytecode,
                      sys.pycache_prefix, sys.flags.no_site]))
"""


@pytest.fixture
def probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What a child says of itself; it runs in a folder with traps."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "probe_module.py").write_text(PROBE)
    here = tmp_path / "here"
    here.mkdir()
    for trap in (here, folder):
        (trap / "dataclasses.py").write_text("raise SystemExit('trapped')")
    monkeypatch.setattr(sys, "path", [*sys.path, "", str(folder)])

    def run(*, with_site: bool = False) -> list:
        command = child_command("probe_module", with_site=with_site)
        found = subprocess.run(command, cwd=here, capture_output=True, text=True, check=True)
        return json.loads(found.stdout)

    return run


def test_it_imports_what_we_import(probe) -> None:
    path, dataclasses, *_ = probe()
    assert path == [entry for entry in sys.path if entry]
    assert dataclasses == sys.modules["dataclasses"].__file__


def test_we_are_found_wherever_we_are(probe, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing beside us comes before the standard library."""
    home = str(Path(envforge.__file__).parents[1])
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != home])
    assert probe()[0] == [*(entry for entry in sys.path if entry), home]


def test_it_is_as_we_are(probe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "cache"))
    assert probe()[2:] == [sys.flags.utf8_mode, True, str(tmp_path / "cache"), 1]
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    assert probe(with_site=True)[2:] == [sys.flags.utf8_mode, False, None, 0]
