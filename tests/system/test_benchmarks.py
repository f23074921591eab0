"""The benchmarks run from a checkout, on a local index, without the network. No thresholds: they run."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.projects import CHECKOUT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the benchmarks need a POSIX system")


def benchmarks(*words, module="benchmarks", timeout_s=120):
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, words)],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )


def test_quick_times_every_scenario_and_writes_json_and_page(tmp_path):
    tools = ["envforge", "uv"] if shutil.which("uv") else ["envforge"]
    out, page = tmp_path / "out.json", tmp_path / "page.md"
    finished = benchmarks(
        "--quick",
        "--no-install",
        "--tools",
        *tools,
        "--workspace",
        tmp_path / "w",
        "--json",
        out,
        "--page",
        page,
    )
    assert finished.returncode == 0, finished.stderr
    document = json.loads(out.read_text())
    assert not [run for run in document["runs"] if run["failures"]], finished.stderr
    assert {run["scenario"] for run in document["runs"]} >= {
        "version", "lock cold", "lock warm", "lock unchanged", "lock, one package added",
        "lock, upgrade all", "sync cold", "sync warm, new environment",
        "sync warm, first environment of its lock", "sync unchanged",
        "sync, one package added", "sync, one package removed", "sync, one package upgraded",
        "switch back to a former lock", "first import after sync cold",
    }  # fmt: skip
    for run in document["runs"]:
        for tool in tools:
            (sample,) = run["samples"][tool]
            assert sample["wall_s"] > 0
            assert sample["peak_bytes"] > 1_000_000
    assert document["stacks"][0]["packages"] == 10
    assert "lock cold" in page.read_text()
    plots = {"quick.svg", "start.svg"}
    for curve in document["growth"]:
        (x1, _), (x2, _) = curve["points"]
        assert 0 < x1 < x2, curve
        plots.add("growth-" + re.sub(r"\W+", "-", curve["name"]) + ".svg")
    assert len(plots) == 7
    assert {file.name for file in (tmp_path / "page").iterdir()} == plots
    again = benchmarks("--from", out, "--page", tmp_path / "other.md")
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "other.md").read_text().replace("other/", "page/") == page.read_text()


def test_a_scenario_that_fails_is_shown_and_the_others_go_on(tmp_path):
    finished = benchmarks(
        "--stack", "small", "--no-install", "--tools", "envforge", "--only", "lock warm", "version",
        "--index", "http://127.0.0.1:1/simple", "--repeat", "1", "--workspace", tmp_path, "--json",
        tmp_path / "out.json",
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    runs = {run["scenario"]: run for run in json.loads((tmp_path / "out.json").read_text())["runs"]}
    assert "127.0.0.1:1" in runs["lock warm"]["failures"]["envforge"]
    assert "127.0.0.1:1" in finished.stderr
    assert runs["version"]["samples"]["envforge"]


def test_a_tool_that_is_not_there_is_left_out_and_said(tmp_path):
    finished = benchmarks(
        "--quick", "--no-install", "--tools", "pip-tools", "--workspace", tmp_path, "--only", "version"
    )
    if (Path(sys.executable).parent / "pip-compile").exists() or shutil.which("pip-compile"):
        pytest.skip("pip-tools is on this machine")
    assert finished.returncode == 1
    assert "left out: pip-tools: pip-compile is not on this machine" in finished.stderr


def test_help_names_the_options():
    shown = benchmarks("--help")
    assert shown.returncode == 0
    for option in ("--stack", "--only", "--repeat", "--tools", "--json", "--page", "--quick", "--from"):
        assert option in shown.stdout


def test_storage_counts_inodes_and_times_probes_and_nodes(tmp_path):
    out = tmp_path / "out.json"
    finished = benchmarks(
        "node", "inodes", "probe", "--quick", "--repeat", "1", "--tools", "envforge", "--workspace",
        tmp_path / "w", "--json", out, module="benchmarks.storage",
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    document = json.loads(out.read_text())
    text = "\n".join(document["figures"]["storage-quick"])
    assert "inodes that a second environment costs, envforge" in text
    assert "storage of this host remembered" in text
    assert document["runs"] or "only root may mount" in finished.stderr or "bindfs" in finished.stderr
    assert list((tmp_path / "w").iterdir()) == []  # nothing is left behind


def test_storage_knows_its_parts(tmp_path):
    finished = benchmarks("sloe", "--workspace", tmp_path, module="benchmarks.storage")
    assert finished.returncode == 2
    assert "no such part: sloe" in finished.stderr


def test_the_script_runs_from_any_folder(tmp_path):
    script = CHECKOUT / "benchmarks" / "run.py"
    shown = subprocess.run(
        [sys.executable, "-I", script, "--help"], cwd=tmp_path, capture_output=True, text=True
    )
    assert "python -m benchmarks" in shown.stdout
