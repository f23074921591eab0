"""How much memory may be used: trees like those in /proc and /sys."""

from __future__ import annotations

from pathlib import Path

import pytest

from envforge.host.batch import find_job, is_login_node
from envforge.host.memory_room import find_memory_room

GB = 1024**3


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """64 GB available, no limit."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text(
        f"MemTotal: {128 * 1024 * 1024} kB\nMemFree: 1 kB\nMemAvailable: {64 * 1024 * 1024} kB\n"
    )
    return tmp_path


def group(root: Path, path: str, **files: object) -> None:
    folder = root / "sys/fs/cgroup" / path
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in files.items():
        (folder / name.replace("__", ".")).write_text(f"{value}\n")


def test_what_is_free(root: Path) -> None:
    assert find_memory_room({}, root) == 64 * GB


def test_a_job_on_version_2_is_limited_by_the_group_around_it(root: Path) -> None:
    (root / "proc/self/cgroup").write_text("0::/system.slice/slurmstepd.scope/job_4711/step_0\n")
    job = "system.slice/slurmstepd.scope/job_4711"
    group(root, job, memory__max=16 * GB, memory__current=5 * GB)
    group(root, f"{job}/step_0", memory__max="max", memory__current=4 * GB)
    (root / "sys/fs/cgroup" / job / "memory.stat").write_text(f"anon 1\ninactive_file {2 * GB}\n")
    assert find_memory_room({}, root) == 13 * GB


def test_version_1(root: Path) -> None:
    (root / "proc/self/cgroup").write_text(
        "3:cpu,cpuacct:/x\n9:memory:/slurm/uid_1/job_4711\n1:name=systemd:/\n"
    )
    group(root, "memory", memory__limit_in_bytes=9223372036854771712, memory__usage_in_bytes=70 * GB)
    group(
        root,
        "memory/slurm/uid_1/job_4711",
        memory__limit_in_bytes=8 * GB,
        memory__usage_in_bytes=9 * GB,
    )
    assert find_memory_room({}, root) == 0


def test_what_slurm_gave(root: Path) -> None:
    assert find_memory_room({"SLURM_MEM_PER_NODE": "4096"}, root) == 4 * GB
    assert find_memory_room({"SLURM_MEM_PER_CPU": "2048", "SLURM_CPUS_ON_NODE": "4"}, root) == 8 * GB
    assert find_memory_room({"SLURM_MEM_PER_NODE": "0"}, root) == 64 * GB
    assert find_memory_room({"SLURM_MEM_PER_NODE": "much"}, root) == 64 * GB


def test_nothing_is_known(tmp_path: Path) -> None:
    assert find_memory_room({}, tmp_path) is None


def test_broken_files_say_nothing(root: Path) -> None:
    (root / "proc/meminfo").write_text("MemAvailable: lots\n")
    (root / "proc/self/cgroup").write_text("nonsense\n0::/a\n")
    assert find_memory_room({}, root) is None


def test_jobs_and_login_nodes(tmp_path: Path) -> None:
    assert find_job({}) == ""
    assert find_job({"SLURM_JOB_ID": "4711"}) == "SLURM job 4711"
    assert find_job({"PBS_JOBID": "12.server"}) == "PBS job 12.server"
    environ = {"PATH": f"relative:{tmp_path}"}
    assert not is_login_node(environ)
    (tmp_path / "sbatch").write_text("")
    assert not is_login_node(environ)
    (tmp_path / "sbatch").chmod(0o755)
    assert is_login_node(environ)
    assert not is_login_node({**environ, "SLURM_JOB_ID": "4711"})
