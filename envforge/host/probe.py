"""Asks one Python what it is, in a process of its own that cannot hang, flood or outlive us.

Nothing is remembered here (:mod:`envforge.host.query` does) and nothing decides whether it fits.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envforge.host.facts import parse_glibc_version, platform_subdir
from envforge.struct import Struct

if TYPE_CHECKING:
    import subprocess

_OUTPUT_LIMIT_BYTES = 64 * 1024
_MARK = "envforge-python:"
# Old Pythons are asked too, so that an error can say what they are: no f-strings, no annotations.
_QUESTION = f"""
import json, os, sys, sysconfig
try:
    libc = os.confstr("CS_GNU_LIBC_VERSION")
except Exception:
    libc = None
print("\\n{_MARK}" + json.dumps({{
    "executable": getattr(sys, "_base_executable", None) or sys.executable,
    "version_info": list(sys.version_info),
    "implementation": sys.implementation.name,
    "base_prefix": sys.base_prefix,
    "sys_platform": sys.platform,
    "machine": os.uname()[4] if hasattr(os, "uname") else sysconfig.get_platform()[4:],
    "pointer_bits": 64 if sys.maxsize > 2 ** 32 else 32,
    "libc": libc,
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    "debug": hasattr(sys, "gettotalrefcount"),
}}))
"""
_LEVELS = {"alpha": "a", "beta": "b", "candidate": "rc", "final": ""}


class Report(Struct, frozen=True, kw_only=True):
    """What an interpreter said about itself, or why it said nothing.

    Args:
        executable: absolute real path; of the base where a venv was asked.
        fault: why it cannot be run, ``""`` if it can. All that follows is empty otherwise.
        version: ``3.12.4``, ``3.15.0rc1``.
        release: its numbers.
        final: no pre-release.
        platform: conda subdir, ``""`` where envforge knows none.
        built_for: its own words for that, for people.
        implementation: ``cpython``, ``pypy`` …
        base_prefix: its installation root.
        glibc: (major, minor) of the C library under it, None for another one.
        free_threaded: a build without the global interpreter lock, which needs wheels of its own.
        debug: a debug build, likewise.
    """

    executable: str
    fault: str = ""
    version: str = ""
    release: tuple[int, int, int] = (0, 0, 0)
    final: bool = True
    platform: str = ""
    built_for: str = ""
    implementation: str = ""
    base_prefix: str = ""
    glibc: tuple[int, int] | None = None
    free_threaded: bool = False
    debug: bool = False


class Probe:
    """A question under way: start several, then collect their answers.

    Args:
        real: real path of the executable.
        environ: environment of the process, from which ``PYTHON*`` variables are removed.
        timeout_s: after which the process and its children are killed.
    """

    def __init__(self, real: str, environ: Mapping[str, str], timeout_s: float) -> None:
        import subprocess
        import threading

        self.real = real
        self._timeout_s = timeout_s
        self._deadline = time.monotonic() + timeout_s
        self._output = b""
        self._fault = ""
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._process = subprocess.Popen(
                [real, "-I", "-S", "-c", _QUESTION],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=_clean(environ),
                start_new_session=True,
            )
        except OSError as error:
            self._fault = f"it cannot be started: {error.strerror or error}"
            return
        self._reader = threading.Thread(target=self._read, args=[self._process], daemon=True)
        self._reader.start()

    def answer(self) -> Report:
        """Wait for the answer; a fault is an answer too."""
        if self._process is None:
            return Report(executable=self.real, fault=self._fault)
        try:
            self._reader.join(max(0.0, self._deadline - time.monotonic()))
            if self._reader.is_alive():
                return Report(executable=self.real, fault=f"it gave no answer in {self._timeout_s:g} s")
            status = self._wait(self._process)
        finally:
            self._end(self._process)
        return self._parse(status)

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        # One bounded read: it ends with the process, or when there is more than any answer has.
        self._output = process.stdout.read(_OUTPUT_LIMIT_BYTES)

    def _wait(self, process: subprocess.Popen[bytes]) -> int | None:
        import subprocess

        try:
            return process.wait(max(0.1, self._deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return None

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        if process.poll() is None or self._reader.is_alive():
            _kill_group(process)
        process.wait()
        self._reader.join()
        if process.stdout is not None:
            process.stdout.close()

    def _parse(self, status: int | None) -> Report:
        before, found, text = self._output.decode("utf-8", "replace").rpartition(_MARK)
        if status or not found:
            from envforge.host.exit_status import describe_end

            said = " ".join((before or text).split())[-200:]
            how = f"it {describe_end(status)}" if status else "it did not answer as a Python does"
            return Report(executable=self.real, fault=f"{how}: {said}" if said else how)
        try:
            return _report(self.real, json.loads(text))
        except (ValueError, KeyError, TypeError):
            return Report(executable=self.real, fault="its answer is garbled")


def _report(real: str, said: Mapping[str, Any]) -> Report:
    major, minor, micro, level, serial = said["version_info"]
    base_prefix = str(said["base_prefix"])
    return Report(
        executable=_base_executable(real, str(said["executable"]), base_prefix, f"{major}.{minor}"),
        version=f"{major}.{minor}.{micro}" + (f"{_LEVELS[level]}{serial}" if level != "final" else ""),
        release=(int(major), int(minor), int(micro)),
        final=level == "final",
        platform=platform_subdir(said["sys_platform"], said["machine"], said["pointer_bits"]) or "",
        built_for=f"{said['sys_platform']} {said['machine']} {said['pointer_bits']} bit",
        implementation=str(said["implementation"]),
        base_prefix=base_prefix,
        glibc=parse_glibc_version(said["libc"]),
        free_threaded=bool(said["free_threaded"]),
        debug=bool(said["debug"]),
    )


def _base_executable(real: str, reported: str, base_prefix: str, minor: str) -> str:
    """The real interpreter behind the one that was asked (a venv's copy, a shim)."""
    found = Path(reported if Path(reported).is_file() else real).resolve()
    if not (found.parent.parent / "pyvenv.cfg").is_file():
        return str(found)
    # Before 3.11 a venv's own copy of the interpreter does not know whose copy it is.
    names = ["python.exe"] if sys.platform == "win32" else [f"bin/python{minor}", "bin/python3"]
    bases = [Path(base_prefix, name) for name in names]
    return str(next((base.resolve() for base in bases if base.is_file()), found))


def _clean(environ: Mapping[str, str]) -> dict[str, str]:
    # -I ignores PYTHON* itself; a shim in between is a program too and would not.
    return {
        name: value
        for name, value in environ.items()
        if not name.startswith("PYTHON") and name != "__PYVENV_LAUNCHER__"
    }


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    import signal

    try:
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
