"""How many compilers a build may run at once: as many as there are processors, and memory for.

A compiler of C++ with PyTorch's headers takes 2 to 3 GiB; a build that starts one for each of 64 processors
is killed for its memory, on a login node together with whoever else is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from envforge.host.memory_room import find_memory_room
from envforge.host.processors import count_processors

JOB_VARIABLES = ("MAX_JOBS", "CMAKE_BUILD_PARALLEL_LEVEL")
"""Read by PyTorch's extension builder and by CMake. They say how fast, not what is built."""
_BYTES_PER_JOB = 3 << 30


def with_jobs(environ: Mapping[str, str], root: Path = Path("/")) -> dict[str, str]:
    """An environment that says how many jobs to run, unless it does so already.

    Args:
        environ: of the build, with what the user says.
        root: where ``proc`` and ``sys`` are.
    """
    told = {name: environ[name] for name in JOB_VARIABLES if environ.get(name)}
    if len(told) == len(JOB_VARIABLES):
        return dict(environ)
    count = next(iter(told.values()), "") or str(count_jobs(environ, root))
    return {**dict.fromkeys(JOB_VARIABLES, count), **environ, **told}


def count_jobs(environ: Mapping[str, str], root: Path = Path("/")) -> int:
    """Jobs that this process should run at once, at least one.

    Args:
        environ: for what a batch job was given.
        root: where ``proc`` and ``sys`` are.
    """
    processors = count_processors(root)
    room = find_memory_room(environ, root)
    return processors if room is None else max(1, min(processors, room // _BYTES_PER_JOB))
