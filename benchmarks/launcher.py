"""Runs one command and writes down what it took: ``python -I -S launcher.py RESULT INTERVAL_S COMMAND…``.

A process of its own because what the kernel reports as a child's largest memory includes what its parent
had when it was started. This one is as small as Python gets (9 MB), and that is the least it can report.
It imports nothing else.

RESULT gets ``wall_s cpu_s peak_bytes total_bytes status``: ``peak_bytes`` is the largest single process
among the command and its children; ``total_bytes`` the most that all of them had together (proportional:
what they share counts once), looked at every INTERVAL_S, or 0 with an interval of 0 and where there is no
``/proc``.
"""

from __future__ import annotations

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import resource


def main() -> None:
    """Run the command to its end, then write the figures and end with its status."""
    result, interval_s, *command = sys.argv[1:]
    start_s = time.perf_counter()
    process = os.posix_spawnp(command[0], command, os.environ)
    total_bytes = 0
    if float(interval_s):
        status, usage, total_bytes = _watch(process, float(interval_s))
    else:
        _, status, usage = os.wait4(process, 0)
    wall_s = time.perf_counter() - start_s
    unit = 1 if sys.platform == "darwin" else 1024
    code = os.waitstatus_to_exitcode(status)
    figures = (wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit, total_bytes, code)
    with open(result, "w", encoding="ascii") as file:
        file.write(" ".join(map(str, figures)))
    sys.exit(0 if code == 0 else 1)


def _watch(process: int, interval_s: float) -> tuple[int, resource.struct_rusage, int]:
    most = 0
    while True:
        ended, status, usage = os.wait4(process, os.WNOHANG)
        if ended:
            return status, usage, most
        most = max(most, _memory_of_session())
        time.sleep(interval_s)


def _memory_of_session() -> int:
    """Bytes of all processes of this session but this one."""
    own, session, total = os.getpid(), os.getsid(0), 0
    for name in _processes():
        if not name.isdigit() or int(name) == own:
            continue
        try:
            if os.getsid(int(name)) != session:
                continue
            with open(f"/proc/{name}/smaps_rollup", encoding="ascii") as file:
                total += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
        except (OSError, ValueError):  # it has ended meanwhile
            continue
    return total * 1024


def _processes() -> list[str]:
    try:
        return os.listdir("/proc")
    except OSError:  # another system than Linux
        return []


if __name__ == "__main__":
    main()
