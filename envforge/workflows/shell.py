"""``envforge shell``: the user's shell, in the environment."""

from __future__ import annotations

import os
from shutil import which
from typing import NoReturn

from envforge.errors import UsageError
from envforge.workflows.run import activated, become, ready_generation
from envforge.workflows.session import Session
from envforge.workflows.sync_options import SyncOptions


def shell(session: Session, options: SyncOptions = SyncOptions(), *, no_sync: bool = False) -> NoReturn:
    """Start the user's shell with the environment active; leaving it leaves the environment."""
    generation = ready_generation(session, options, no_sync=no_sync)
    environ = activated(generation, session)
    program = user_shell(environ)
    if which(program, path=environ.get("PATH")) is None:
        raise UsageError(f"your shell {program} cannot be run", hints=["set SHELL to one that is there"])
    become([program], environ, session, generation)


def user_shell(environ: dict[str, str]) -> str:
    """What the user calls a shell: ``SHELL``, on Windows ``COMSPEC``."""
    if os.name == "nt":
        return environ.get("COMSPEC", "cmd.exe")
    return environ.get("SHELL") or "/bin/sh"
