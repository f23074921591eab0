"""Which file systems are mounted where: ``/proc/self/mountinfo`` (proc(5)), and ``mount`` on macOS.

Parsing is pure; :func:`read_mounts` and :func:`mount_id` ask the system. What a path lies on is told by
the kernel where it can (``mnt_id`` of an open file), because a mount can hide others; else the longest
mount point wins, and of several on one point the last.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress

from envforge.struct import Struct

_BSD_LINE = r"^(?P<source>.*?) on (?P<point>/.*) \((?P<options>[^()]*)\)$"
_COMMAND_TIMEOUT_S = 1.0


class Mount(Struct, frozen=True):
    """One mount.

    Args:
        id: of the mount, not of the file system; 0 where the system numbers none.
        device: ``major:minor``; "" where it is not told.
        root: which folder of the file system is mounted; not ``/`` for a bind mount or a subvolume.
        point: where.
        file_system: ``ext4``, ``nfs4``, ``fuse.sshfs``.
        source: device, ``server:/export``, or any word.
        read_only: of this mount, or of the file system.
        options: all of both, in order.
    """

    id: int
    device: str
    root: str
    point: str
    file_system: str
    source: str
    read_only: bool = False
    options: tuple[str, ...] = ()


def parse_mountinfo(text: str) -> tuple[Mount, ...]:
    """Read ``/proc/self/mountinfo``; lines that are none are passed over."""
    return tuple(mount for line in text.splitlines() if (mount := _parse_line(line)) is not None)


def _parse_line(line: str) -> Mount | None:
    """``36 35 98:0 /root /point rw,noatime shared:1 - ext3 /dev/sda1 rw,errors=continue``."""
    fields = line.split(" ")
    try:
        separator = fields.index("-", 6)
        number, _, device, root, point, options = fields[:6]
        file_system, source = fields[separator + 1], fields[separator + 2]
        own = options.split(",")
        common = fields[separator + 3].split(",") if len(fields) > separator + 3 else []
        return Mount(
            id=int(number),
            device=device,
            root=_unescaped(root),
            point=_unescaped(point),
            file_system=_unescaped(file_system),
            source=_unescaped(source),
            read_only="ro" in own or "ro" in common,
            options=(*own, *common),
        )
    except (ValueError, IndexError):
        return None


def parse_mount_output(text: str) -> tuple[Mount, ...]:
    """Read what ``mount`` prints on macOS: ``/dev/disk3s5 on /Volumes/Data (apfs, local, journaled)``."""
    mounts = []
    for line in text.splitlines():
        match = re.match(_BSD_LINE, line.strip())
        if match is None:
            continue
        file_system, *options = [word.strip() for word in match["options"].split(",")]
        mounts.append(
            Mount(
                id=0,
                device="",
                root="/",
                point=match["point"],
                file_system=file_system,
                source=match["source"],
                read_only="read-only" in options,
                options=tuple(options),
            )
        )
    return tuple(mounts)


def read_mounts() -> tuple[Mount, ...]:
    """The mounts that this process sees; none where the system does not tell."""
    if sys.platform == "darwin":
        import subprocess

        with suppress(OSError, subprocess.SubprocessError):
            output = subprocess.run(
                ["/sbin/mount"], capture_output=True, text=True, timeout=_COMMAND_TIMEOUT_S, check=True
            )
            return parse_mount_output(output.stdout)
        return ()
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            return parse_mountinfo(file.read())
    except OSError:
        return ()


def find_mount(path: str, mounts: Sequence[Mount], number: int = 0) -> Mount | None:
    """What a path lies on.

    Args:
        path: absolute, real (without symlinks).
        mounts: in the system's order.
        number: of the mount, where the kernel has told it (:func:`mount_id`).
    """
    if number:
        for mount in mounts:
            if mount.id == number:
                return mount
    found = None
    for mount in mounts:
        if _holds(mount.point, path) and (found is None or len(mount.point) >= len(found.point)):
            found = mount
    return found


def mount_id(path: str) -> int:
    """The number of the mount that a path lies on; 0 where the kernel does not tell."""
    if sys.platform != "linux":
        return 0
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        with open(f"/proc/self/fdinfo/{descriptor}", "rb") as file:
            lines: Iterable[bytes] = file.read().splitlines()
        return next((int(line[7:]) for line in lines if line.startswith(b"mnt_id:")), 0)
    except (OSError, ValueError):
        return 0
    finally:
        os.close(descriptor)


def _holds(point: str, path: str) -> bool:
    return path == point or path.startswith(point if point.endswith("/") else f"{point}/")


def _unescaped(text: str) -> str:
    """Blank, tab, newline and backslash are written as three octal digits; other bytes as they are."""
    if "\\" not in text:
        return text
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
