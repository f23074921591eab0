"""A process environment in which a generation is active, for ``envforge run`` and ``envforge shell``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from envforge.environment.generation import Generation, read_recorded_generation

if TYPE_CHECKING:
    from envforge.environment.conda_activation import CondaActivation


def activated_environment(
    generation: Generation, venv: Path, base: Mapping[str, str], conda: CondaActivation | None = None
) -> dict[str, str]:
    """The variables of a process that runs in a generation; scripts of conda packages are not run here.

    The generation's own path is used, not ``.venv``: a job that is running when ``.venv`` is switched
    keeps the modules it started with.

    Args:
        generation: to activate.
        venv: the project's ``.venv``, whose scripts leave the PATH.
        base: the environment to start from; not changed.
        conda: what activating the generation's prefix means, None where it has none.
    """
    windows = generation.spec.layout.windows
    separator = ";" if windows else ":"
    left_out = {_plain(folder) for folder in _folders_to_leave(generation, venv, base)}
    # without a PATH, programs are looked for in the system's default one, and so they are afterwards
    path = base.get("PATH", os.defpath)
    kept = [folder for folder in path.split(separator) if folder and _plain(folder) not in left_out]
    environment = {name: value for name, value in base.items() if name != "PYTHONHOME"}
    environment["PATH"] = separator.join(
        [str(generation.scripts), *(conda.folders if conda is not None else ()), *kept]
    )
    environment["VIRTUAL_ENV"] = str(generation.path)
    environment["VIRTUAL_ENV_PROMPT"] = generation.spec.prompt
    return environment | (dict(conda.variables) if conda is not None else {})


def _folders_to_leave(generation: Generation, venv: Path, base: Mapping[str, str]) -> Iterator[str]:
    """Folders of the PATH that belong to this environment, or to the one that is active now."""
    scripts = generation.spec.layout.scripts
    yield str(venv / scripts)
    yield str(generation.scripts)
    yield from _prefix_folders(generation)
    if base.get("VIRTUAL_ENV"):
        yield str(Path(base["VIRTUAL_ENV"]) / scripts)
    outer = active_generation(base)
    if outer is not None:
        yield str(outer.scripts)
        yield from _prefix_folders(outer)


def active_generation(base: Mapping[str, str]) -> Generation | None:
    """The generation that is active in a process environment, None if none of envforge's is."""
    active = base.get("VIRTUAL_ENV")
    return read_recorded_generation(Path(active).resolve()) if active else None


def _prefix_folders(generation: Generation) -> tuple[str, ...]:
    if generation.spec.prefix is None:
        return ()
    from envforge.environment.conda_activation import prefix_folders

    return prefix_folders(generation.spec.prefix.path, windows=generation.spec.layout.windows)


def _plain(folder: str) -> str:
    return os.path.normcase(os.path.normpath(folder))
