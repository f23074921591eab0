"""``envforge tiers``: the table, the document, and whose word counts."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from envforge.cli import main
from envforge.cli.formats import format_latency, format_rate

from support.file_systems import mounted, remount

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX places")


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache folder that is named, so that nothing is made in the places of the tests' host."""
    monkeypatch.setenv("ENVFORGE_CACHE_DIR", str(tmp_path / "cache"))
    for name in ("ENVFORGE_TIER", "SCRATCH", "WORK", "SLURM_TMPDIR", "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def document(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert main(["tiers", "--json", *words]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_table(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["tiers", "-v"]) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[0].split()[:2] == ["PLACE", "FILE"]
    assert lines[1].startswith(str(tmp_path / "cache"))
    assert "\x1b" not in shown.out
    assert f"{tmp_path}/cache [store and environments]: ENVFORGE_CACHE_DIR says so" in lines
    assert "Measured" in shown.err
    widths = {line.index("REACH") for line in lines[:1]}
    [column] = widths
    assert lines[1][column:].split()[0] in ("local", "shared", "memory")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("columns", [70, 80, 100, 120])
def test_the_table_fits_the_terminal(
    monkeypatch: pytest.MonkeyPatch, columns: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The columns that are measured stand below the others; a sentence goes on in a line that is indented."""
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stdout", terminal := Terminal())
    monkeypatch.setenv("ENVFORGE_CACHE_DIR", str(tmp_path_factory.mktemp("t")))
    assert main(["tiers", "--no-color"]) == 0
    blocks = terminal.getvalue().split("\n\n")
    lines = terminal.getvalue().splitlines()
    assert [block.split()[0] for block in blocks[:2]] == ["PLACE", "PLACE"]
    assert blocks[1].split()[1] in ("CREATE", "FREE", "INODES", "LIFE", "REACH")
    longest_path = max(len(word) for line in lines for word in line.split())
    assert max(map(len, lines)) <= max(columns, longest_path + 20)
    assert any(line.startswith("Archives are not kept") for line in lines)


def test_the_document(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    first = document(capsys)
    assert first["tier"] == str(tmp_path / "cache/tier")
    assert first["archives"] == str(tmp_path / "cache/archives")
    assert first["steered_by"] == "ENVFORGE_CACHE_DIR"
    place = first["places"][0]
    assert place["uses"] == ["environments"]
    assert place["total_bytes"] > 0
    assert place["measured_now"] is True
    assert place["rates"]["create_s"] > 0
    assert first["duration_s"] < 30
    again = document(capsys)
    assert not any(place["measured_now"] for place in again["places"])
    assert again["places"][0]["rates"] == place["rates"]
    assert document(capsys, "--refresh")["places"][0]["measured_now"] is True


def test_a_named_tier(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = document(capsys, "--tier", str(tmp_path / "named"))
    assert shown["steered_by"] == "--tier"
    assert shown["tier"] == str(tmp_path / "named")
    used = {place["folder"]: (place["uses"], place["reason"]) for place in shown["places"] if place["uses"]}
    assert used[str(tmp_path / "named")] == (["environments"], "--tier says so")
    monkeypatch.setenv("ENVFORGE_TIER", str(tmp_path / "cache/elsewhere"))
    shown = document(capsys)
    assert shown["steered_by"] == "ENVFORGE_TIER"
    assert not (tmp_path / "named").exists()


def test_a_named_tier_is_measured(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """On a file system of its own, which is no candidate, and before it is made."""
    with mounted("ext4", tmp_path / "disk", size_mb=1600) as disk:
        named = str(disk / "named")
        first = document(capsys, "--tier", named)["places"][0]
        assert (first["folder"], first["measured_now"]) == (named, True)
        assert first["rates"]["create_s"] > 0
        assert document(capsys, "--tier", named)["places"][0]["measured_now"] is False
        assert not list(disk.glob("named"))
        remount(disk, "ro")
        last = document(capsys, "--tier", named)["places"][0]
        assert last["fault"] == "it is mounted read-only"
        assert last["reason"] == "--tier says so, but it is mounted read-only"


def test_every_place_has_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert all(place["reason"] for place in document(capsys)["places"])


def test_it_needs_no_project_and_takes_one(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("not even toml")
    assert document(capsys)["places"]


@pytest.mark.parametrize(
    "latency_s, text",
    [
        (2.04e-6, "2.0 µs"),
        (9.96e-6, "10 µs"),
        (61.4e-6, "61 µs"),
        (99.7e-6, "0.10 ms"),
        (0.000481, "0.48 ms"),
        (0.00213, "2.1 ms"),
        (0.0204, "20 ms"),
        (0.25, "0.25 s"),
    ],
)
def test_latencies(latency_s: float, text: str) -> None:
    assert format_latency(latency_s) == text


def test_rates() -> None:
    assert format_rate(1.34e9) == "1.3 GB/s"
