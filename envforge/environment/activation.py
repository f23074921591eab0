"""A process environment in which a generation is active, for ``envforge run`` and ``envforge shell``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from envforge.environment.generation import Generation


def activated_environment(generation: Generation, venv: Path, base: Mapping[str, str]) -> dict[str, str]:
    """The variables of a process that runs in a generation.

    The generation's own path is used, not ``.venv``: a job that is running when ``.venv`` is switched
    keeps the modules it started with.

    Args:
        generation: to activate.
        venv: the project's ``.venv``, whose scripts leave the PATH.
        base: the environment to start from; not changed.
    """
    scripts_name = generation.spec.layout.scripts
    separator = ";" if generation.spec.layout.windows else ":"
    left_out = {_plain(venv / scripts_name), _plain(generation.scripts)}
    if base.get("VIRTUAL_ENV"):
        left_out.add(_plain(Path(base["VIRTUAL_ENV"]) / scripts_name))
    # without a PATH, programs are looked for in the system's default one, and so they are afterwards
    path = base.get("PATH", os.defpath)
    kept = [folder for folder in path.split(separator) if folder and _plain(folder) not in left_out]
    environment = {name: value for name, value in base.items() if name != "PYTHONHOME"}
    environment["PATH"] = separator.join([str(generation.scripts), *kept])
    environment["VIRTUAL_ENV"] = str(generation.path)
    environment["VIRTUAL_ENV_PROMPT"] = generation.spec.prompt
    return environment


def _plain(folder: str | Path) -> str:
    return os.path.normcase(os.path.normpath(folder))
