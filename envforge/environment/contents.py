"""What a generation holds beside its distributions: the interpreter's names and the files of PEP 405.

Values only; :mod:`envforge.environment.generation` writes them.
"""

from __future__ import annotations

from ntpath import dirname as windows_folder
from posixpath import dirname as posix_folder
from typing import TYPE_CHECKING

from envforge import __version__
from envforge.environment.activate_scripts import activation_files
from envforge.environment.spec import GenerationSpec
from envforge.errors import GenerationError
from envforge.model.host import Interpreter
from envforge.model.layout import EnvironmentLayout
from envforge.struct import Struct

if TYPE_CHECKING:
    from envforge.environment.conda_activation import CondaActivation


class PythonName(Struct, frozen=True):
    """A name for the interpreter.

    Args:
        path: relative to the environment.
        source: absolute, or relative to the folder of ``path``.
        copied: a copy instead of a symlink.
    """

    path: str
    source: str
    copied: bool = False


def plan_python(interpreter: Interpreter, layout: EnvironmentLayout) -> tuple[PythonName, ...]:
    """The interpreter's names. Windows gets the launchers that ``python -m venv`` copies, too."""
    if layout.windows:
        folder = f"{interpreter.base_prefix}\\Lib\\venv\\scripts\\nt"
        # renamed in 3.13: https://github.com/python/cpython/pull/103591
        prefix = "venv" if interpreter.minor not in ("3.11", "3.12") else ""
        programs = ("venvlauncher", "venvwlauncher") if prefix else ("python", "pythonw")
        return tuple(
            PythonName(f"Scripts/{name}.exe", f"{folder}\\{program}.exe", copied=True)
            for name, program in zip(("python", "pythonw"), programs, strict=True)
        )
    names = [
        PythonName("bin/python", interpreter.executable),
        PythonName("bin/python3", "python"),
        PythonName(f"bin/python{interpreter.minor}", "python"),
    ]
    if interpreter.platform.startswith("linux"):
        names.append(PythonName("lib64", "lib"))
    return tuple(names)


def planned_files(
    spec: GenerationSpec, *, powershell: bytes | None, conda: CondaActivation | None = None
) -> dict[str, bytes]:
    """Path relative to the environment → content.

    Args:
        spec: of the generation.
        powershell: the interpreter's ``Activate.ps1``; None where it has none.
        conda: what activating its prefix means, None for a generation without one.

    Raises:
        GenerationError: ``.venv`` stands where no PATH can name it.
    """
    layout = spec.layout
    separator = ";" if layout.windows else ":"
    if separator in spec.venv or "\n" in spec.venv:
        raise GenerationError(
            f"the environment {spec.venv!r} cannot be on a PATH, for the {separator!r} or line break in it",
            hints=["rename the project's folder"],
        )
    scripts = activation_files(spec.venv, spec.prompt, layout, conda)
    if powershell is not None:
        scripts["Activate.ps1"] = powershell
        if conda:
            from envforge.environment.activate_conda import powershell_with_conda

            scripts["Activate.ps1"] = powershell_with_conda(powershell, conda, windows=layout.windows)
    own_site = {} if spec.prefix is None else {f"{layout.site_packages}/{NO_USER_SITE}": _NO_USER_SITE_LINE}
    return {
        **own_site,
        "pyvenv.cfg": _pyvenv_cfg(spec).encode("utf-8", "surrogateescape"),
        ".gitignore": b"*\n",
        **{f"{layout.scripts}/{name}": content for name, content in scripts.items()},
    }


def powershell_source(interpreter: Interpreter, layout: EnvironmentLayout) -> str:
    """Where an interpreter keeps its ``Activate.ps1``, which finds its environment by itself."""
    library = "Lib" if layout.windows else f"lib/python{interpreter.minor}"
    return f"{interpreter.base_prefix}/{library}/venv/scripts/common/Activate.ps1"


NO_USER_SITE = "_envforge.pth"
_NO_USER_SITE_LINE = b"import site; site.ENABLE_USER_SITE = False\n"
"""Who sees the base's packages also sees the user's (``~/.local``), and before them: not in the lock.

Python reads the environment's own .pth files before it looks for the user's folder.
"""


def _pyvenv_cfg(spec: GenerationSpec) -> str:
    python = spec.interpreter
    folder = windows_folder if spec.layout.windows else posix_folder
    prompt = " ".join(spec.prompt.split())
    return (
        f"home = {folder(python.executable)}\n"
        f"include-system-site-packages = {'true' if spec.prefix is not None else 'false'}\n"
        f"version = {python.version}\n"
        f"executable = {python.executable}\n"
        f"prompt = {prompt}\n"
        f"envforge = {__version__}\n"
    )
