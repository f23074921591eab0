"""``envforge run``: bring the environment up to date, activate it, become the command."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from envforge.environment.activation import activated_environment
from envforge.environment.generation import Generation
from envforge.environment.switch import current_generation
from envforge.errors import GenerationError, UsageError
from envforge.events import HandingOver
from envforge.workflows.project import VENV_NAME
from envforge.workflows.session import Session
from envforge.workflows.stamp import is_up_to_date
from envforge.workflows.sync import SyncOptions, sync


def run(
    session: Session, command: Sequence[str], options: SyncOptions = SyncOptions(), *, no_sync: bool = False
) -> NoReturn:
    """Run a command in the project's environment; does not return.

    The command gets the generation's own path, not ``.venv``, so that a later sync does not change
    the files under a job that is running.

    Args:
        session: the surroundings.
        command: program and arguments; the program is looked for in the environment first.
        options: how to sync beforehand.
        no_sync: use the environment as it is.

    Raises:
        GenerationError: there is no environment and ``no_sync`` forbids to make it.
        UsageError: no such program.
    """
    generation = ready_generation(session, options, no_sync=no_sync)
    environ = activated_environment(generation, session.root / VENV_NAME, session.environ)
    become(command, environ, session)


def ready_generation(session: Session, options: SyncOptions, *, no_sync: bool) -> Generation:
    """The environment to run in, synced unless that is not wanted or a stamp says that it is."""
    is_plain = options == SyncOptions()
    if not no_sync and not (is_plain and is_up_to_date(str(session.root), session.environ)):
        sync(session, options)
    generation = current_generation(session.root / VENV_NAME)
    if generation is None:
        raise GenerationError("the project has no environment yet", hints=["run: envforge sync"])
    return generation


def become(command: Sequence[str], environ: dict[str, str], session: Session) -> NoReturn:
    """Replace this process by a command (on Windows: run it and exit with its code)."""
    from shutil import which

    program = which(command[0], path=environ.get("PATH"))
    if program is None:
        raise UsageError(
            f"no program named {command[0]!r} in the environment or on PATH",
            hints=["envforge tree shows what is installed; envforge add NAME installs more"],
        )
    session.reporter.report(HandingOver())
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name == "nt":
        import subprocess

        raise SystemExit(subprocess.run([program, *command[1:]], env=environ, check=False).returncode)
    try:
        os.execve(program, [command[0], *command[1:]], environ)
    except OSError as error:
        raise UsageError(f"cannot run {program}", context=[error.strerror or str(error)]) from None
