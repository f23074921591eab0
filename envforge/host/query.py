"""What the Pythons of this host are, remembered for as long as their files stay the same.

An answer is keyed by the real file's path, mtime, size and inode and by this machine's C library, so
that a warm cache starts no process. What could not be run is remembered too, for an hour: the reason
may lie outside the file. Nothing here decides whether an interpreter fits.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from envforge.host.facts import glibc_version
from envforge.host.memory_file import write_memory
from envforge.host.probe import Probe, Report
from envforge.struct import to_builtins

TIMEOUT_S = 5.0
FAULT_LIFETIME_S = 3600.0
_AT_ONCE = 8
_FORMAT = 1


class InterpreterCache:
    """The answers in one file. Losing it, or a race for it, costs asking again and nothing else.

    Args:
        file: may be absent, damaged or unwritable. Nodes that share it would overwrite each other's
            answers for ``/usr/bin/python3``: see :func:`cache_file_for_host`.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._entries: dict[str, Any] = {}
        self._admitted: dict[str, bool] = {}
        self._changed = False
        self._read()

    def find(self, real: str) -> Report | None:
        """The remembered answer of a real file, None if there is none or the file has changed."""
        entry = self._entries.get(real)
        if entry is None or entry["stamp"] != _stamp(real):
            return None
        report = _report_from_json(entry["report"])
        if report.fault:
            return report if time.time() - entry["asked_at"] < FAULT_LIFETIME_S else None
        # A copy in a venv, or a shim, answers for another file, which may be gone since.
        if report.executable != real and entry["base_stamp"] != _stamp(report.executable):
            return None
        return report

    def remember(self, real: str, report: Report) -> None:
        self._entries[real] = {
            "stamp": _stamp(real),
            "base_stamp": _stamp(report.executable),
            "asked_at": time.time(),
            "report": to_builtins(report),
        }
        self._changed = True

    def admits(self, specifier: str, version: str) -> bool:
        """Whether a specifier admits a version, without importing ``packaging`` (70 ms) for the known ones.

        Raises:
            RequirementError: the specifier is none.
        """
        key = f"{specifier} {version}"
        if key not in self._admitted:
            from envforge.model.requirement import specifier_admits

            self._admitted[key] = specifier_admits(specifier, version)
            self._changed = True
        return self._admitted[key]

    def save(self) -> None:
        """Write what is new. Failure is silent: it is a cache."""
        content = {"format": _FORMAT, "interpreters": self._entries, "admitted": self._admitted}
        if self._changed and write_memory(self._file, content):
            self._changed = False

    def _read(self) -> None:
        try:
            content = json.loads(self._file.read_bytes())
            if content["format"] == _FORMAT:
                # A damaged entry must not surface later.
                self._entries = {real: _checked(entry) for real, entry in content["interpreters"].items()}
                self._admitted = {str(key): bool(value) for key, value in content["admitted"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
            self._entries = {}


def cache_file_for_host(cache: Path) -> Path:
    """Where a host keeps its answers below the cache root: one file each, as inodes and glibc are its own."""
    node = os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")
    return cache / "interpreters" / f"{node or 'host'}.json"


def query_reports(
    executables: Sequence[str],
    cache: InterpreterCache,
    environ: Mapping[str, str],
    *,
    timeout_s: float = TIMEOUT_S,
) -> list[Report]:
    """What each executable says about itself; asked in parallel where the cache does not know.

    Args:
        executables: paths, in any form.
        cache: is read, and written if something was asked.
        environ: environment of the processes, ``PYTHON*`` variables removed.
        timeout_s: for each process; slower ones are killed and reported as a fault.
    """
    reals = [os.path.realpath(executable) for executable in executables]
    reports = {real: cache.find(real) for real in reals}
    unknown = [real for real, report in reports.items() if report is None]
    for first in range(0, len(unknown), _AT_ONCE):
        probes = [Probe(real, environ, timeout_s) for real in unknown[first : first + _AT_ONCE]]
        for probe in probes:
            answer = reports[probe.real] = probe.answer()
            cache.remember(probe.real, answer)
    cache.save()
    return [report for real in reals if (report := reports[real]) is not None]


def _stamp(path: str) -> list[int] | None:
    """What changes when a file does, or when the machine under it does; None if it is gone."""
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return [status.st_mtime_ns, status.st_size, status.st_ino, *(glibc_version() or (0, 0))]


def _checked(entry: dict[str, Any]) -> dict[str, Any]:
    _report_from_json(entry["report"])
    return {
        "stamp": entry["stamp"],
        "base_stamp": entry["base_stamp"],
        "asked_at": float(entry["asked_at"]),
        "report": entry["report"],
    }


def _report_from_json(content: Mapping[str, Any]) -> Report:
    release = tuple(int(number) for number in content["release"])
    glibc = content["glibc"]
    return Report(
        **{
            **content,
            "release": (release[0], release[1], release[2]),
            "glibc": (int(glibc[0]), int(glibc[1])) if glibc else None,
        }
    )
