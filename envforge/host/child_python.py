"""Processes of our own: the interpreter that runs us, with the code that runs here and no other."""

from __future__ import annotations

import sys
from pathlib import Path


def child_command(module: str, *, with_site: bool) -> list[str]:
    """The command for a process that calls ``main()`` of one of our modules.

    It imports from where this process does, whatever the current folder and the environment hold (``-I``).

    Args:
        module: ``"envforge.fetch.worker"``.
        with_site: whether it reads ``.pth`` files, as this process has. Some make Python's TLS trust what
            the system trusts; who does not need that starts sooner.
    """
    import envforge

    home = str(Path(envforge.__file__).parents[1])
    path = [entry for entry in sys.path if entry]
    if home not in path:  # an editable install may be found by other means
        path.append(home)
    options = ["-I", "-X", f"utf8={sys.flags.utf8_mode}"]
    options += [] if with_site else ["-S"]
    options += ["-B"] if sys.dont_write_bytecode else []
    options += ["-X", f"pycache_prefix={sys.pycache_prefix}"] if sys.pycache_prefix else []
    program = f"import sys; sys.path[:] = sys.argv[1:]; from {module} import main; main()"
    return [sys.executable or "", *options, "-c", program, *path]
