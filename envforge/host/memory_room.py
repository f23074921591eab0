"""How much memory this process may still use: of the machine, of its control group, of its batch job.

What lies in a tmpfs is memory, and is counted to the job that wrote it: a job that fills ``/dev/shm`` is
killed. Nothing here decides whether to use it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

_MIB = 1024 * 1024
_UNLIMITED = 1 << 60
"""Version 1 writes "no limit" as the largest number of pages that there is."""


def find_memory_room(environ: Mapping[str, str], root: Path = Path("/")) -> int | None:
    """Bytes that this process may still use, None where nothing is known.

    Args:
        environ: for what a job was given (``SLURM_MEM_PER_NODE``, ``SLURM_MEM_PER_CPU``).
        root: where ``proc`` and ``sys`` are.
    """
    rooms = [_available(root), _of_group(root), _of_job(environ)]
    return min((room for room in rooms if room is not None), default=None)


def _available(root: Path) -> int | None:
    """``MemAvailable`` of /proc/meminfo."""
    with suppress(OSError, ValueError, IndexError):
        for line in (root / "proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def _of_group(root: Path) -> int | None:
    """The least room in the control group of this process and in those around it (versions 1 and 2)."""
    rooms = []
    with suppress(OSError, ValueError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:
                top, names = root / "sys/fs/cgroup", ("memory.max", "memory.current", "inactive_file")
            elif "memory" in controllers.split(","):
                top = root / "sys/fs/cgroup/memory"
                names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            else:
                continue
            group = top / path.lstrip("/")
            while group.is_relative_to(top):
                rooms.append(_room(group, *names))
                group = group.parent
    return min((room for room in rooms if room is not None), default=None)


def _room(group: Path, limit_name: str, used_name: str, cache_name: str) -> int | None:
    """Limit less use; what the page cache holds can be given back."""
    with suppress(OSError, ValueError):
        limit = int((group / limit_name).read_text())
        used = int((group / used_name).read_text())
        if limit < _UNLIMITED:
            return max(limit - used + _cached(group, cache_name), 0)
    return None


def _cached(group: Path, name: str) -> int:
    with suppress(OSError, ValueError):
        for line in (group / "memory.stat").read_text().splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return int(value)
    return 0


def _of_job(environ: Mapping[str, str]) -> int | None:
    """What SLURM gave the job on this node; 0 is all of it."""
    with suppress(ValueError):
        if of_node := int(environ.get("SLURM_MEM_PER_NODE", "0")):
            return of_node * _MIB
        if of_processor := int(environ.get("SLURM_MEM_PER_CPU", "0")):
            return of_processor * int(environ.get("SLURM_CPUS_ON_NODE", "1")) * _MIB
    return None
