"""Who holds a guard or a staging folder: a process that others, also on other hosts, can recognise.

A process is named by its host, its id and its start time, because ids are used again. The host is
the node's name together with its boot and its pid namespace: two containers with the same node name
that share a store must not judge each other's process ids.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple


class Owner(NamedTuple):
    """A process. A tuple: a dataclass would take half a millisecond of every ``envforge run``.

    Args:
        host: name of the node, boot and pid namespace, without ``.``-separated domain.
        pid: process id on that host.
        start: start time in the kernel's own ticks, ``""`` where it cannot be had.
    """

    host: str
    pid: int
    start: str

    def __str__(self) -> str:
        return f"{self.host}.{self.pid}.{self.start}"

    @property
    def label(self) -> str:
        """For people: ``process 4711 on node17``."""
        return f"process {self.pid} on {self.host.rsplit('-', 1)[0]}"


def parse_owner(text: str) -> Owner | None:
    """Read ``str(owner)``; None if it is none."""
    parts = text.split(".")
    if len(parts) != 3 or not parts[1].isdecimal():
        return None
    return Owner(parts[0], int(parts[1]), parts[2])


def this_process() -> Owner:
    """The process that asks (not cached by id: a fork is another process)."""
    return _this_process(os.getpid())


@cache
def _this_process(pid: int) -> Owner:
    return Owner(_host(), pid, _start_time(pid) or "")


def is_dead(owner: Owner) -> bool | None:
    """Whether the process is gone: None where only its heartbeat can tell (other hosts, no ``/proc``)."""
    if owner.host != _host() or sys.platform == "win32":
        return None
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    start = _start_time(owner.pid)
    if not start or not owner.start:
        return None
    return start != owner.start


@cache
def _host() -> str:
    from envforge.hashing import sha256

    if sys.platform == "win32":
        node = os.environ.get("COMPUTERNAME", "")
    else:
        node = os.uname().nodename  # a lookup of the host's name goes to the network on some systems
    unique = ""
    with suppress(OSError):
        unique = Path("/proc/sys/kernel/random/boot_id").read_text() + os.readlink("/proc/self/ns/pid")
    name = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in node.split(".")[0])
    return f"{name or 'host'}-{sha256(f'{node}{unique}'.encode()).hexdigest()[:8]}"


def _start_time(pid: int) -> str | None:
    """Field 22 of ``/proc/PID/stat``: clock ticks since boot. A zombie counts as gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            # the command in parentheses may itself hold spaces and parentheses
            fields = stat.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return "zombie" if fields[0] in b"ZX" else fields[19].decode()
