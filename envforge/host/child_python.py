"""Processes of our own: the interpreter that runs us, with the code that runs here and no other."""

from __future__ import annotations

import sys
from pathlib import Path


def child_command(module: str) -> list[str]:
    """The command for a process that calls ``main()`` of one of our modules.

    It imports from where this process does, whatever the current folder and the environment hold, and does
    not read ``.pth`` files again (``-I -S``).

    Args:
        module: ``"envforge.fetch.worker"``.
    """
    import envforge

    home = str(Path(envforge.__file__).parents[1])  # an editable install may be found by other means
    program = f"import sys; sys.path[:] = sys.argv[1:]; from {module} import main; main()"
    return [sys.executable, "-I", "-S", "-c", program, home, *filter(None, sys.path)]
