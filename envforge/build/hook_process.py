"""Runs one build hook as a process: clean environment, output to a log, a time limit, no survivors.

What the hook is and what its answer means is :mod:`envforge.build.backend`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from envforge.host.exit_status import describe_end
from envforge.host.process_group import end_group
from envforge.store.sharing import make_folders

if TYPE_CHECKING:
    import subprocess

_TAIL_LINES = 20
_TAIL_BYTES = 32 * 1024
_LINE_LENGTH = 300
_HARMLESS = {"PYTHONDONTWRITEBYTECODE", "PYTHONHASHSEED", "PYTHONPYCACHEPREFIX", "PYTHONUNBUFFERED"}
_REMOVED = {"VIRTUAL_ENV", "CONDA_PREFIX", "__PYVENV_LAUNCHER__"}


class HookProcessError(Exception):
    """The process of a hook failed; the text says how, ``timed_out`` whether it was the time limit."""

    def __init__(self, text: str, *, timed_out: bool = False) -> None:
        super().__init__(text)
        self.timed_out = timed_out


class HookRunner:
    """A subprocess runner as pyproject-hooks wants it.

    Args:
        python: executable of the isolated environment; its folder comes first on PATH.
        environ: what the process inherits, after :func:`clean_environment`.
        log_path: output is appended to it.
        timeout_s: after which the process and its children are ended; None for no limit.
    """

    def __init__(
        self, python: str, environ: Mapping[str, str], log_path: Path, timeout_s: float | None
    ) -> None:
        self._environ = clean_environment(python, environ)
        self._log_path = log_path
        self._timeout_s = timeout_s
        self._log_start = 0

    def __call__(
        self, cmd: Sequence[str], cwd: str | None = None, extra_environ: Mapping[str, str] | None = None
    ) -> None:
        """Run a command to its end.

        Raises:
            HookProcessError: it failed, could not be started or logged, or took too long.
        """
        import subprocess

        with self._open_log() as log:
            self._log_start = log.tell()
            try:
                process = subprocess.Popen(
                    cmd,
                    cwd=cwd,
                    env={**self._environ, **(extra_environ or {})},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                raise HookProcessError(f"{cmd[0]} cannot be started: {error.strerror or error}") from None
            self._wait(process)

    def tail(self) -> list[str]:
        """The last lines that the last command wrote."""
        try:
            with self._log_path.open("rb") as log:
                end = log.seek(0, os.SEEK_END)
                log.seek(max(self._log_start, end - _TAIL_BYTES))
                text = log.read().decode("utf-8", "replace")
        except OSError:
            return []
        lines = [line.rstrip()[:_LINE_LENGTH] for line in text.splitlines() if line.strip()]
        return lines[-_TAIL_LINES:]

    def _open_log(self) -> BinaryIO:
        try:
            make_folders(self._log_path.parent)
            return self._log_path.open("ab")
        except OSError as error:
            raise HookProcessError(f"its log cannot be written: {error}") from None

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        import subprocess

        try:
            status = process.wait(self._timeout_s)
        except BaseException as error:  # Ctrl-C too: the terminal sends it to our group, not to this one
            end_group(process)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            raise HookProcessError(f"it did not end in {self._timeout_s:g} s", timed_out=True) from None
        if status:
            raise HookProcessError(f"it {describe_end(status)}")


def clean_environment(python: str, environ: Mapping[str, str]) -> dict[str, str]:
    """An environment in which nothing but the isolated environment decides what is imported.

    Args:
        python: executable of the isolated environment.
        environ: what to start from; compilers, proxies and the like are kept.
    """
    kept = {
        name: value
        for name, value in environ.items()
        if name not in _REMOVED
        and not name.startswith("PIP_")
        and (not name.startswith("PYTHON") or name in _HARMLESS)
    }
    path = [str(Path(python).parent), *(entry for entry in [environ.get("PATH", os.defpath)] if entry)]
    return {**kept, "PATH": os.pathsep.join(path)}
