"""Ends a process together with all that it has started; for one that leads a session of its own."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

_GRACE_S = 2.0


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started: politely, then not."""
    import subprocess

    if sys.platform == "win32":
        process.kill()
        process.wait()
        return
    _signal_group(process, signal.SIGTERM)
    try:
        process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        pass
    finally:
        _signal_group(process, signal.SIGKILL)
        process.wait()


if sys.platform != "win32":

    def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
        # macOS refuses permission for a group of zombies.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
