"""The end of a process in words: of real ones."""

from __future__ import annotations

import subprocess
import sys

import pytest

from envforge.host.exit_status import describe_end


@pytest.mark.parametrize(
    "program, told",
    [
        ("raise SystemExit(3)", "ended with status 3"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "ended with signal 9"),
    ],
)
def test_how_a_process_ended(program: str, told: str) -> None:
    assert describe_end(subprocess.run([sys.executable, "-c", program]).returncode) == told
