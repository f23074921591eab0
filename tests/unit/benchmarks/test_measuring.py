"""Timing real commands, and what is put away before them."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.disk import free_bytes
from benchmarks.measuring import CommandFailedError, Ground, ToolProject
from benchmarks.stacks import Stack
from benchmarks.tools import InstalledTool, Tool

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the benchmarks need a POSIX system")

STACK = Stack(
    name="tiny", title="Tiny", requirements=("a", "b"), extra="c", dropped="b", older="a<1", module="json"
)
# "Locks" by copying the manifest, and says how often it was asked to.
LOCK = "sh -c 'cat wanted > locked; echo x >> count'"


def project_of(folder, *, room_bytes=0, **commands):
    tool = Tool(
        name="copier",
        requirements=(),
        commands={"lock": LOCK, **commands},
        lock_file="locked",
        manifest_file="wanted",
        write_manifest=lambda facts: " ".join(facts.requirements),
        variables={"COPIER_CACHE": "{cache}"},
    )
    ground = Ground(
        folder=folder, interpreter=Path(sys.executable), python="3.12", index_url="http://x", timeout_s=5,
        room_bytes=room_bytes,
    )  # fmt: skip
    return ToolProject(InstalledTool(tool, Path("/bin"), "1"), STACK, ground)


def texts(project):
    return [(project.project / name).read_text() for name in ("wanted", "locked")]


def test_states_are_locked_once_and_put_back(tmp_path):
    project = project_of(tmp_path)
    project.put("older")
    assert texts(project) == ["a b a<1"] * 2
    project.put("base")
    assert texts(project) == ["a b"] * 2
    project.ask("base", locked="older")
    assert texts(project) == ["a b", "a b a<1"]
    project.ask("added")
    assert texts(project) == ["a b c", "a b"]
    project.put("removed")
    assert texts(project) == ["a"] * 2
    assert (project.project / "count").read_text() == "x\n" * 3  # base, older, removed
    project.forget_lock()
    assert not project.lock_file.exists()


def test_a_cold_run_has_a_cache_that_was_never_used(tmp_path):
    project = project_of(tmp_path)
    used = set()
    for _ in range(3):
        project.start_cold()
        assert list(project.cache.iterdir()) == []
        (project.cache / "page").touch()
        used.add(project.cache)
    assert len(used) == 3
    again = project_of(tmp_path)
    again.start_cold()
    assert again.cache not in used


def test_environments_are_moved_aside_and_removed_for_want_of_room(tmp_path):
    project = project_of(tmp_path)
    project.start_cold()
    (project.cache / "tier" / "envs" / "one").mkdir(parents=True)
    (project.project).mkdir()
    (project.project / ".venv").symlink_to(project.cache / "tier" / "envs" / "one")
    project.forget_environment()
    assert not (project.project / ".venv").is_symlink()
    assert list((project.cache / "tier" / "envs").iterdir()) == []
    assert len(list((project.root / "aside").iterdir())) == 2
    scarce = project_of(tmp_path, room_bytes=free_bytes(tmp_path) * 8)
    scarce.start_cold()
    assert not (scarce.root / "aside").exists()
    assert scarce.notes


def test_time_and_memory_are_those_of_the_command(tmp_path):
    hungry = f"{sys.executable} -S -c 'import time; kept = b\"x\" * 80_000_000; time.sleep(0.3)'"
    project = project_of(tmp_path, hungry=hungry, idle="sleep 0.01")
    watched = project.run("hungry", watched=True)
    assert 0.3 < watched.wall_s < 4
    assert 80e6 < watched.peak_bytes < 160e6
    if sys.platform == "linux":
        assert 80e6 < watched.total_bytes < 160e6
    # Not more than before: what this process has is not counted.
    assert project.run("idle").peak_bytes < 30e6


def test_settings_of_whoever_measures_do_not_reach_a_tool(tmp_path, monkeypatch):
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    environ = project_of(tmp_path).environ()
    assert "UV_OFFLINE" not in environ
    assert "PYTHONDONTWRITEBYTECODE" not in environ
    assert environ["HTTPS_PROXY"] == "http://proxy"
    assert environ["COPIER_CACHE"].startswith(str(tmp_path))


def test_a_command_that_fails_or_hangs_is_told(tmp_path):
    project = project_of(tmp_path, bad="sh -c 'echo no such index >&2; exit 3'")
    with pytest.raises(CommandFailedError, match="no such index"):
        project.run("bad")
    hasty = project_of(tmp_path, slow="sleep 30")
    hasty.ground = replace(hasty.ground, timeout_s=0.2)
    with pytest.raises(CommandFailedError, match="did not end"):
        hasty.run("slow")
