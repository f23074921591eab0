"""What activating a conda prefix means: folders of the PATH, variables, scripts of its packages.

Source: conda's activators (``etc/conda/activate.d``, ``deactivate.d``, ``env_vars.d``); the variables are
those that pixi sets. Shells have their own scripts by suffix: ``.sh``, ``.fish``, ``.csh``, ``.ps1``,
``.bat``. Nothing is run here: :mod:`envforge.environment.activation_run` does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from envforge.struct import Struct

LEVEL = "CONDA_SHLVL"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WINDOWS_FOLDERS = ("", "Library/mingw-w64/bin", "Library/usr/bin", "Library/bin", "Scripts", "bin")


class CondaActivation(Struct, frozen=True, kw_only=True):
    """What a shell has to do to be in a prefix.

    Args:
        prefix: absolute.
        folders: absolute, for the PATH, behind the generation's own.
        variables: what to set, in order: conda's own, then what packages ask for.
        activate: absolute paths of all shells' scripts, in the order to run.
        deactivate: likewise, for leaving.
        faults: what could not be read, as sentences.
    """

    prefix: str
    folders: tuple[str, ...]
    variables: Mapping[str, str]
    activate: tuple[str, ...] = ()
    deactivate: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()

    def scripts_for(self, suffix: str) -> tuple[str, ...]:
        """What to run on activation in a shell whose scripts end with ``suffix``."""
        return tuple(script for script in self.activate if script.endswith(suffix))

    def leaving_scripts_for(self, suffix: str) -> tuple[str, ...]:
        """What to run on deactivation in a shell whose scripts end with ``suffix``."""
        return tuple(script for script in self.deactivate if script.endswith(suffix))


def read_activation(prefix: str, name: str, *, windows: bool) -> CondaActivation:
    """Look into a prefix for what its packages want to be done.

    Args:
        prefix: absolute.
        name: what tools are told that the environment is called.
        windows: the layout.
    """
    faults: list[str] = []
    asked = dict(_package_variables(f"{prefix}/etc/conda/env_vars.d", faults))
    return CondaActivation(
        prefix=prefix,
        folders=prefix_folders(prefix, windows=windows),
        variables={"CONDA_PREFIX": prefix, "CONDA_DEFAULT_ENV": name, LEVEL: "1", **asked},
        activate=tuple(_files(f"{prefix}/etc/conda/activate.d")),
        deactivate=tuple(reversed(_files(f"{prefix}/etc/conda/deactivate.d"))),
        faults=tuple(faults),
    )


def prefix_folders(prefix: str, *, windows: bool) -> tuple[str, ...]:
    """The folders of a prefix that hold programs, as conda orders them."""
    if not windows:
        return (f"{prefix}/bin",)
    inside = (folder.replace("/", "\\") for folder in _WINDOWS_FOLDERS)
    return tuple(f"{prefix}\\{folder}" if folder else prefix for folder in inside)


def _files(folder: str) -> list[str]:
    """The files of a folder in order of name, none if it is not there."""
    try:
        entries = sorted(Path(folder).iterdir())
    except OSError:
        return []
    return [f"{folder}/{entry.name}" for entry in entries if entry.is_file()]


def _package_variables(folder: str, faults: list[str]) -> Iterator[tuple[str, str]]:
    """Variables that packages ask for: a JSON object in a file for each package."""
    for path in _files(folder):
        if not path.endswith(".json"):
            continue
        try:
            asked = json.loads(Path(path).read_bytes())
        except (OSError, ValueError) as error:
            faults.append(f"{path} cannot be read: {error}")
            continue
        if not isinstance(asked, dict):
            faults.append(f"{path} is no JSON object")
            continue
        for name, value in asked.items():
            if _NAME.fullmatch(name) and isinstance(value, str) and not {"\0", "\n"} & set(value):
                yield name, value
            else:
                faults.append(f"{path}: {name!r} cannot be an environment variable")
