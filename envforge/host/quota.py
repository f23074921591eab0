"""What a user may still use of a file system: quotas, as far as they can be had cheaply.

Local file systems are asked with ``quotactl(2)``; Lustre, GPFS, BeeGFS and NFS with the command that
their administrators install (``lfs``, ``mmlsquota``, ``beegfs-ctl``, ``quota``), if it is there and answers
at once. Parsing is pure. Only the quota of the user is asked for: those of groups, projects and filesets
depend on where a file is made. A quota that cannot be had is None, never an error.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from envforge.model.storage import Quota, StoragePlace

TIMEOUT_S = 0.8
_KIB = 1024
_OUTPUT_LIMIT_BYTES = 64 * 1024
_LOCAL = ("ext2", "ext3", "ext4", "xfs", "jfs", "reiserfs", "f2fs")
_NFS = ("nfs", "nfs4")
_Q_GETQUOTA = 0x800007
_USER = 0
_PLACES = "/usr/bin:/usr/sbin:/sbin:/opt/beegfs/sbin:/usr/lpp/mmfs/bin"
"""Where the commands are when they are not on PATH; administrators' folders often are not."""


def find_quota(place: StoragePlace, environ: Mapping[str, str]) -> Quota | None:
    """The user's quota on a place's file system, None where there is none or it is not known.

    Args:
        place: where.
        environ: for ``PATH``.
    """
    if place.file_system in _LOCAL:
        return _ask_kernel(place.source)
    question = _question(place, os.geteuid() if sys.platform != "win32" else 0)
    if question is None:
        return None
    words, parse = question
    program = _find_program(words[0], environ)
    output = _output_of([program, *words[1:]], environ) if program else ""
    return parse(output)


def parse_lfs_quota(text: str) -> Quota | None:
    """Read ``lfs quota -u USER PATH``: kilobytes and files; a long path has a line of its own.

    A number that is over its soft limit ends in ``*``, one that a server did not confirm is in brackets.
    """
    rows = [line.split() for line in text.splitlines() if line.strip()]
    for row, following in zip(rows, [*rows, []][1:], strict=True):
        if not row[0].startswith(("/", ".")):
            continue
        numbers = row[1:] if len(row) > 1 else following
        quota = _of_columns(numbers, files_at=4)
        if quota is not None:
            return quota
    return None


def parse_quota(text: str, source: str, point: str) -> Quota | None:
    """Read ``quota -w -p``, of Linux's quota tools: the row of one file system.

    Args:
        text: its output; ``-p`` gives the grace columns a number each, so that none is empty.
        source: what is mounted, ``server:/export``.
        point: where; some versions print that.
    """
    for line in text.splitlines():
        row = line.split()
        if row and row[0] in (source, point):
            return _of_columns(row[1:], files_at=4)
    return None


def parse_mmlsquota(text: str, file_system: str) -> Quota | None:
    """Read ``mmlsquota -Y``: fields by the names in the header, in KiB; the row of one file system.

    Args:
        text: its output.
        file_system: ``/dev/gpfs0`` or ``gpfs0``.
    """
    header: list[str] = []
    for line in text.splitlines():
        fields = line.strip().split(":")
        if len(fields) > 2 and fields[2] == "HEADER":
            header = fields
            continue
        row = dict(zip(header, fields, strict=False))
        if row.get("quotaType") != "USR" or row.get("filesystemName") != file_system.rpartition("/")[2]:
            continue
        with suppress(KeyError, ValueError):
            return _quota(
                used_bytes=int(row["blockUsage"]) * _KIB,
                soft_bytes=int(row["blockQuota"]) * _KIB,
                hard_bytes=int(row["blockLimit"]) * _KIB,
                used_inodes=int(row["filesUsage"]),
                soft_inodes=int(row["filesQuota"]),
                hard_inodes=int(row["filesLimit"]),
            )
    return None


def parse_beegfs_quota(text: str) -> Quota | None:
    """Read ``beegfs-ctl --getquota --uid N --csv``: bytes; a limit is a number, 0 or ``unlimited``."""
    lines = [line.strip().split(",") for line in text.splitlines()]
    header = ["name", "id", "size", "hard", "files", "hard"]
    if header not in lines:
        return None
    with suppress(ValueError, IndexError):
        _, _, size, limit, files, file_limit = lines[lines.index(header) + 1]
        return _quota(
            used_bytes=int(size),
            hard_bytes=0 if limit == "unlimited" else int(limit),
            used_inodes=int(files),
            hard_inodes=0 if file_limit == "unlimited" else int(file_limit),
        )
    return None


def _question(place: StoragePlace, user: int) -> tuple[list[str], Callable[[str], Quota | None]] | None:
    """The command for a file system, and how its answer is read."""
    if place.file_system == "lustre":
        return ["lfs", "quota", "-u", str(user), place.base], parse_lfs_quota
    if place.file_system == "gpfs":
        name = place.source.rpartition("/")[2]
        return ["mmlsquota", "-u", str(user), "-Y", name], lambda text: parse_mmlsquota(text, name)
    if place.file_system == "beegfs":
        words = ["beegfs-ctl", "--getquota", "--uid", str(user), "--csv", f"--mount={place.mount_point}"]
        return words, parse_beegfs_quota
    if place.file_system in _NFS:
        return ["quota", "-w", "-p"], lambda text: parse_quota(text, place.source, place.mount_point)
    return None


def _of_columns(columns: Sequence[str], *, files_at: int) -> Quota | None:
    """``used quota limit grace files quota limit``: kilobytes, 0 for no limit."""
    try:
        used, soft, hard = (_number(columns[index]) for index in range(3))
        files, soft_files, hard_files = (_number(columns[files_at + index]) for index in range(3))
    except (ValueError, IndexError):
        return None
    return _quota(
        used_bytes=used * _KIB,
        soft_bytes=soft * _KIB,
        hard_bytes=hard * _KIB,
        used_inodes=files,
        soft_inodes=soft_files,
        hard_inodes=hard_files,
    )


def _number(text: str) -> int:
    return int(text.strip("[]*"))


def _quota(
    *,
    used_bytes: int,
    hard_bytes: int,
    used_inodes: int,
    hard_inodes: int,
    soft_bytes: int = 0,
    soft_inodes: int = 0,
) -> Quota | None:
    """A quota; the soft limit counts, as what is over it must go after some days. 0 is no limit."""
    limit_bytes = min((limit for limit in (soft_bytes, hard_bytes) if limit > 0), default=None)
    limit_inodes = min((limit for limit in (soft_inodes, hard_inodes) if limit > 0), default=None)
    if limit_bytes is None and limit_inodes is None:
        return None
    return Quota(
        used_bytes=used_bytes, limit_bytes=limit_bytes, used_inodes=used_inodes, limit_inodes=limit_inodes
    )


def _ask_kernel(device: str) -> Quota | None:
    """``quotactl(Q_GETQUOTA)``, which ext4 and XFS both answer; a user may ask for himself."""
    if sys.platform != "linux" or not device.startswith("/dev/"):
        return None
    import ctypes
    import struct

    answer = ctypes.create_string_buffer(128)
    command = ctypes.c_int(_Q_GETQUOTA << 8 | _USER)
    try:
        library = ctypes.CDLL(None)
        if library.quotactl(command, os.fsencode(device), os.geteuid(), answer) != 0:
            return None
    except (OSError, AttributeError):
        return None
    # struct if_dqblk: limits of space are in KiB, its use in bytes
    hard, soft, used, hard_files, soft_files, files = struct.unpack_from("=6Q", answer.raw)
    return _quota(
        used_bytes=used,
        soft_bytes=soft * _KIB,
        hard_bytes=hard * _KIB,
        used_inodes=files,
        soft_inodes=soft_files,
        hard_inodes=hard_files,
    )


def _find_program(name: str, environ: Mapping[str, str]) -> str:
    for folder in f"{environ.get('PATH', '')}:{_PLACES}".split(":"):
        program = f"{folder}/{name}"
        if folder.startswith("/") and os.access(program, os.X_OK):
            return program
    return ""


def _output_of(words: Sequence[str], environ: Mapping[str, str]) -> str:
    """What a command prints; "" if it does not end in time. Its exit code says nothing: 1 may be "over"."""
    import signal
    import subprocess

    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**environ, "LC_ALL": "C"},
            start_new_session=True,
        )
    except OSError:
        return ""
    try:
        output, _ = process.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        # A process that waits for a dead server may not even die: then it is left.
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=0.1)
        return ""
    return output[:_OUTPUT_LIMIT_BYTES].decode("utf-8", "replace")
