"""How a process ended, in words."""

from __future__ import annotations


def describe_end(status: int) -> str:
    """``ended with status 1``, ``ended with signal 9``.

    Args:
        status: as :attr:`subprocess.Popen.returncode` has it, negative for a signal.
    """
    return f"ended with signal {-status}" if status < 0 else f"ended with status {status}"
