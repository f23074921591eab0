"""``envforge run``: bring the environment up to date, activate it, become the command."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from envforge.environment.activation import activated_environment, active_generation
from envforge.environment.generation import Generation, note_generation, read_generation
from envforge.environment.leases import release_lease, take_lease
from envforge.environment.switch import current_generation, recorded_generation
from envforge.errors import GenerationError, UsageError
from envforge.events import EnvironmentChanged, HandingOver, Reporter, SilentReporter, Warned
from envforge.workflows.project_root import VENV_NAME
from envforge.workflows.session import Session
from envforge.workflows.stamp import find_stamped
from envforge.workflows.sync_options import SyncOptions

if TYPE_CHECKING:
    from envforge.environment.conda_activation import CondaActivation


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
    environ = activated(generation, session)
    become(command, environ, session, generation)


def ready_generation(session: Session, options: SyncOptions, *, no_sync: bool) -> Generation:
    """The environment to run in, synced unless that is not wanted or a stamp says that it is.

    What was synced is run, whatever ``.venv`` means a moment later: another job of this host may have
    switched it to an environment of its own, which goes when that job ends.
    """
    venv = session.root / VENV_NAME
    if no_sync:
        generation = current_generation(venv)
    else:
        stamped = find_stamped(str(session.root), session.environ) if options.is_plain else ""
        generation = read_generation(Path(stamped)) if stamped else None
        if generation is None or not note_generation(generation):
            from envforge.workflows.sync_again import sync_shortest  # as long to import as all else of this

            had_one = recorded_generation(venv) is not None
            report = sync_shortest(session, options)
            if had_one and report.changes:
                session.reporter.report(EnvironmentChanged(len(report.changes)))
            made = report.generation
            generation = read_generation(made) if made is not None else None
    if generation is None or not note_generation(generation):
        lost = recorded_generation(venv)
        raise GenerationError(
            "the conda part of the environment is gone" if lost else "the project has no environment yet",
            context=[f"path: {lost.spec.prefix.path}"] if lost and lost.spec.prefix else [],
            hints=["run: envforge sync"],
        )
    if no_sync and not os.access(generation.python, os.X_OK):  # the PATH would lead to another one
        raise GenerationError(
            "the Python that the environment stands on is gone",
            context=[f"path: {generation.spec.interpreter.executable}"],
            hints=["run: envforge sync"],
        )
    return generation


def activated(generation: Generation, session: Session) -> dict[str, str]:
    """The variables of a process in an environment, those that scripts of conda packages set included.

    A script that fails is told; the program is started all the same, as in a shell that was activated.
    """
    venv = session.root / VENV_NAME
    base = _without_outer_prefix(session.environ)
    conda = _conda_activation(generation)
    environ = activated_environment(generation, venv, base, conda)
    if conda is None:
        return environ
    if generation.spec.layout.windows:
        if conda.scripts_for(".bat"):
            session.reporter.report(
                Warned(
                    message="activation scripts of conda packages are not run here",
                    hint=r"on Windows they are run by .venv\Scripts\activate.bat",
                )
            )
        return environ
    return _after_scripts(conda.scripts_for(".sh"), environ, session.reporter)


def _conda_activation(generation: Generation) -> CondaActivation | None:
    if generation.spec.prefix is None:
        return None
    from envforge.environment.conda_activation import read_activation

    spec = generation.spec
    return read_activation(generation.spec.prefix.path, spec.prompt, windows=spec.layout.windows)


def _without_outer_prefix(environ: Mapping[str, str]) -> Mapping[str, str]:
    """An environment without what the conda prefix of an environment around this process has set."""
    outer = active_generation(environ)
    conda = _conda_activation(outer) if outer is not None else None
    if conda is None or environ.get("CONDA_PREFIX") != conda.prefix:
        return environ
    left = _after_scripts(conda.leaving_scripts_for(".sh"), environ, SilentReporter())
    return {name: value for name, value in left.items() if name not in conda.variables}


def _after_scripts(scripts: Sequence[str], environ: Mapping[str, str], reporter: Reporter) -> dict[str, str]:
    if not scripts:
        return dict(environ)
    from envforge.environment.activation_run import run_activation_scripts

    after, failures = run_activation_scripts(scripts, environ)
    for failure in failures:
        said = [f"{failure.script} failed (exit code {failure.status})", failure.output]
        reporter.report(
            Warned(
                message="\n".join(filter(None, said)),
                hint="it belongs to a conda package; variables that it sets may be missing",
            )
        )
    return after


def become(
    command: Sequence[str], environ: dict[str, str], session: Session, generation: Generation
) -> NoReturn:
    """Replace this process by a command (on Windows: run it and exit with its code).

    It leaves a lease: other hosts, which do not see the process, keep the generation for it.
    """
    from shutil import which

    program = which(command[0], path=environ.get("PATH"))
    if program is None:
        raise _no_program(command[0])
    if Path(program).stem.rstrip("0123456789.") == "pip" and not Path(program).is_relative_to(
        generation.path
    ):
        session.reporter.report(
            Warned(
                message=f"there is no pip in the environment: {program} works on another one",
                hint="to install packages here: envforge add NAME",
            )
        )
    lease = take_lease(generation.path, command, session.environ, session.now_s)
    session.reporter.report(HandingOver())
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name == "nt":
        import subprocess

        code = subprocess.run([program, *command[1:]], env=environ, check=False).returncode
        release_lease(lease)
        raise SystemExit(code)
    try:
        os.execve(program, [command[0], *command[1:]], environ)
    except OSError as error:
        release_lease(lease)
        raise _cannot_run(program, error) from None


def _no_program(name: str) -> UsageError:
    if not Path(name).is_file():
        return UsageError(
            f"no program named {name!r} in the environment or on PATH",
            hints=["envforge tree shows what is installed; envforge add NAME installs more"],
        )
    if name.endswith(".py"):
        return UsageError(f"{name} is no program", hints=[f"run: envforge run python {name}"])
    return UsageError(f"{name} is not executable", hints=[f"run: chmod +x {name}; and name it by its path"])


def _cannot_run(program: str, error: OSError) -> UsageError:
    """Why a file that looks like a program is none."""
    told = error.strerror or str(error)
    if error.errno == errno.ENOENT:
        told = "the interpreter that its first line names is not there"
    elif error.errno == errno.ENOEXEC:
        told = (
            "it is not for this machine, or a script whose first line does not say what runs it (#!/bin/sh)"
        )
    return UsageError(f"cannot run {program}", context=[told])
