"""What reaches into an environment from outside: variables of the shell, packages put in by others.

Only looked at here; what it means is said in :mod:`envforge.plan.diagnosis`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from envforge.environment.generation import Generation
from envforge.errors import RequirementError
from envforge.model.names import normalize_name
from envforge.model.requirement import parse_version
from envforge.plan.diagnosis import ShellFacts

_CUDA_LIBRARY = re.compile(
    r"lib(?:cudart|cublas|cublasLt|cudnn|nccl|cufft|cusparse|cusolver|nvrtc)\.so(?:\..*)?"
)
_MODULE_ENDS = (".py", ".so", ".pyd")


def read_shell(environ: Mapping[str, str], generation: Generation | None) -> ShellFacts:
    """What the shell sets that reaches into environments.

    Args:
        environ: the process environment.
        generation: to see what ``PYTHONPATH`` hides, None for none.
    """
    python_path = [folder for folder in environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    modules = _modules(generation.site_packages) if generation is not None else frozenset()
    hidden = {folder: tuple(sorted(_modules(Path(folder)) & modules)) for folder in python_path}
    libraries = {
        folder: tuple(sorted(_cuda_libraries(folder)))
        for folder in environ.get("LD_LIBRARY_PATH", "").split(":")
        if folder
    }
    prefix = environ.get("CONDA_PREFIX", "")
    return ShellFacts(
        cuda_libraries={folder: names for folder, names in libraries.items() if names},
        python_path=tuple(python_path),
        shadowing={folder: names for folder, names in hidden.items() if names},
        python_home=environ.get("PYTHONHOME", ""),
        conda_name=environ.get("CONDA_DEFAULT_ENV", "") or Path(prefix).name if prefix else "",
        conda_python_first=bool(prefix) and _first_python(environ).startswith(prefix.rstrip("/") + "/"),
        virtual_env=environ.get("VIRTUAL_ENV", ""),
    )


def installed_by_hand(generation: Generation) -> tuple[str, ...]:
    """``name version`` of the distributions in an environment that are not those it was made of, sorted."""
    ours = {tree.name: tree.version for tree in generation.spec.trees}
    found = set()
    for entry in _entries(generation.site_packages):
        if entry.endswith(".dist-info"):
            distribution, _, version = entry.removesuffix(".dist-info").partition("-")
            name = normalize_name(distribution)
            if version and (name not in ours or not _is_same(version, ours[name])):
                found.add(f"{name} {version}")
    return tuple(sorted(found))


def _is_same(version: str, other: str) -> bool:
    """Two spellings of a version are one."""
    try:
        return version == other or parse_version(version) == parse_version(other)
    except RequirementError:
        return False


def _modules(folder: Path) -> frozenset[str]:
    """The modules that a folder on ``sys.path`` offers."""
    names = set()
    for name in _entries(folder):
        stem = name.partition(".")[0]
        is_module = name.endswith(_MODULE_ENDS) or ("." not in name and (folder / name).is_dir())
        if is_module and stem.isidentifier() and not stem.startswith("__"):
            names.add(stem)
    return frozenset(names)


def _cuda_libraries(folder: str) -> Iterator[str]:
    for name in _entries(Path(folder)):
        if _CUDA_LIBRARY.fullmatch(name):
            yield name


def _first_python(environ: Mapping[str, str]) -> str:
    import shutil

    return shutil.which("python", path=environ.get("PATH", "")) or ""


def _entries(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - names are wanted, not paths
    except OSError:
        return []
