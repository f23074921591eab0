"""Where Pythons may stand on a host, and which files there could be one. No process is started here.

Sources: PATH, PEP 514 (Windows registry), the folders of pyenv, asdf, mise, conda, mamba, uv, Homebrew,
python.org's macOS framework and envforge itself. Shims of version managers are passed over: asking one
costs 0.14 s, and what they stand for is found in the manager's own folder.
"""

# Paths of other systems are text here, and a warm sync looks at a hundred of them:
# ruff: noqa: PTH100, PTH111, PTH113, PTH118, PTH119, PTH120, PTH208

from __future__ import annotations

import ntpath
import os
import posixpath
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from functools import cache

from envforge.struct import Struct

EXPLICIT = "ENVFORGE_PYTHON"
"""The variable that names an interpreter, and the source of the candidate that it names."""


class Layout(StrEnum):
    """What a folder holds: programs; one installation; or one folder per installation."""

    PROGRAMS = "programs"
    INSTALLATION = "installation"
    INSTALLATIONS = "installations"


class SearchPlace(Struct, frozen=True):
    """A folder to look into.

    Args:
        source: who put Pythons there, for people.
        folder: absolute.
        layout: what it holds.
    """

    source: str
    folder: str
    layout: Layout


class Candidate(Struct, frozen=True):
    """A file that could be a Python.

    Args:
        path: as found.
        real: with all symlinks resolved.
        source: who put it there, for people.
        minor: ``3.12`` where the file's own name says it, else ``""``.
    """

    path: str
    real: str
    source: str
    minor: str


def find_interpreters(environ: Mapping[str, str], *, pythons: str = "") -> Iterator[str]:
    """Paths of everything on this host that could be a Python, each real file once, most explicit first.

    Args:
        environ: the process environment.
        pythons: folder of the standalone builds that envforge installed, ``""`` for none.
    """
    return (candidate.path for candidate in find_candidates(environ, pythons=pythons))


def find_candidates(environ: Mapping[str, str], *, minor: str = "", pythons: str = "") -> Iterator[Candidate]:
    """Everything that could be a Python, each real file once.

    Args:
        environ: the process environment.
        minor: ``3.12`` looks only for names that such a Python may have, which is faster; ``""`` for all.
        pythons: folder of the standalone builds that envforge installed, ``""`` for none.
    """
    seen: set[str] = set()
    for path, source in _paths(environ, minor, pythons):
        if not (os.path.isfile(path) and os.access(path, os.X_OK)):
            continue
        real = os.path.realpath(path)
        key = os.path.normcase(real)
        if key not in seen:
            seen.add(key)
            yield Candidate(path, real, source, _minor_in_name(os.path.basename(real)))


def explicit_interpreter(environ: Mapping[str, str]) -> str:
    """The absolute path that ENVFORGE_PYTHON names (a bare name is sought on PATH), ``""`` if not set."""
    named = environ.get(EXPLICIT, "")
    if not named:
        return ""
    if os.path.dirname(named) or named.startswith("~"):
        return os.path.abspath(os.path.expanduser(named))
    import shutil

    return shutil.which(named, path=environ.get("PATH", "")) or os.path.abspath(named)


def search_places(
    environ: Mapping[str, str], *, sys_platform: str, home: str, pythons: str = ""
) -> list[SearchPlace]:
    """All folders where Pythons may stand, in order of preference; nothing is read, most will not exist.

    Args:
        environ: the process environment.
        sys_platform: ``linux``, ``darwin`` or ``win32``; decides how paths are written.
        home: the user's home folder.
        pythons: folder of the standalone builds that envforge installed, ``""`` for none.
    """
    windows = sys_platform == "win32"
    path = ntpath if windows else posixpath
    on_path = [folder for folder in environ.get("PATH", "").split(path.pathsep) if path.isabs(folder)]
    shims = [folder for folder in on_path if path.basename(folder.rstrip("/\\")).lower() == "shims"]
    places = [
        SearchPlace("PATH", folder, Layout.PROGRAMS)
        for folder in on_path
        # Entries of WindowsApps without a Python behind them open the Microsoft Store.
        if folder not in shims and "windowsapps" not in folder.lower()
    ]
    roots = [path.dirname(folder.rstrip("/\\")) for folder in shims]
    places += _version_managers(environ, home, roots, windows)
    places += _conda_roots(environ, home, windows)
    places += _system_places(sys_platform)
    if pythons:
        places.append(SearchPlace("envforge", pythons, Layout.INSTALLATIONS))
    return list(dict.fromkeys(places))


def registry_interpreters(registry: Mapping[str, Mapping[str, Mapping[str, str]]]) -> Iterator[str]:
    """Executables that a Windows registry names (PEP 514).

    Args:
        registry: company → tag → value name → value, as :func:`read_registry` gives it. The install
            folder is the value ``InstallPath``, the program ``ExecutablePath``.
    """
    for company, tags in registry.items():
        if company == "PyLauncher":  # the launcher's own settings, PEP 514 reserves the name
            continue
        for values in tags.values():
            if executable := values.get("ExecutablePath"):
                yield executable
            elif folder := values.get("InstallPath"):
                yield ntpath.join(folder, "python.exe")


def read_registry() -> dict[str, dict[str, dict[str, str]]]:
    """The part of the Windows registry that PEP 514 describes; empty elsewhere."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    if sys.platform == "win32":
        import winreg

        for hive in (winreg.HKEY_CURRENT_USER, winreg.HKEY_LOCAL_MACHINE):
            for company in _subkeys(hive, "Software\\Python"):
                for tag in _subkeys(hive, f"Software\\Python\\{company}"):
                    key = f"Software\\Python\\{company}\\{tag}\\InstallPath"
                    names = {"InstallPath": "", "ExecutablePath": "ExecutablePath"}
                    values = {label: _value(hive, key, name) for label, name in names.items()}
                    found.setdefault(company, {}).setdefault(tag, values)
    return found


def _paths(environ: Mapping[str, str], minor: str, pythons: str) -> Iterator[tuple[str, str]]:
    if explicit := explicit_interpreter(environ):
        yield explicit, EXPLICIT
    home = environ.get("USERPROFILE" if sys.platform == "win32" else "HOME") or os.path.expanduser("~")
    places = search_places(environ, sys_platform=sys.platform, home=home, pythons=pythons)
    for place in places:
        for path in _programs_in(place, minor):
            yield path, place.source
    for path in registry_interpreters(read_registry()):
        yield path, "registry"
    # envforge itself may have been started by a Python that stands nowhere else (pipx, zipapp).
    yield getattr(sys, "_base_executable", None) or sys.executable, "envforge's own Python"


def _programs_in(place: SearchPlace, minor: str) -> Iterable[str]:
    windows = sys.platform == "win32"
    program = "python.exe" if windows else os.path.join("bin", "python3")
    if place.layout is Layout.INSTALLATION:
        return [os.path.join(place.folder, program)]
    if place.layout is Layout.INSTALLATIONS:
        names = [name for name in _names_in(place.folder) if not name.startswith(".")]
        return [os.path.join(place.folder, name, program) for name in names]
    if minor:
        suffix = ".exe" if windows else ""
        return [os.path.join(place.folder, name + suffix) for name in (f"python{minor}", "python3", "python")]
    return [
        os.path.join(place.folder, name)
        for name in _names_in(place.folder)
        if _program_pattern().fullmatch(name)
    ]


def _names_in(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


@cache
def _program_pattern() -> re.Pattern[str]:
    return re.compile(r"python(?:3(?:\.(?P<minor>\d+)[td]*)?)?(?:\.exe)?")


def _minor_in_name(name: str) -> str:
    found = _program_pattern().fullmatch(name)
    return f"3.{found['minor']}" if found and found["minor"] else ""


def _version_managers(
    environ: Mapping[str, str], home: str, roots: Iterable[str], windows: bool
) -> Iterator[SearchPlace]:
    """pyenv, asdf, mise and uv; ``roots`` are the parents of shims that PATH names."""
    join = (ntpath if windows else posixpath).join
    data = environ.get("XDG_DATA_HOME") or join(home, ".local", "share")
    pyenv = environ.get("PYENV_ROOT") or join(home, ".pyenv", *(["pyenv-win"] if windows else []))
    for root in (pyenv, *roots):
        yield SearchPlace("pyenv", join(root, "versions"), Layout.INSTALLATIONS)
    asdf = environ.get("ASDF_DATA_DIR") or join(home, ".asdf")
    mise = environ.get("MISE_DATA_DIR") or join(data, "mise")
    for source, root in (("asdf", asdf), ("mise", mise), *(("version manager", root) for root in roots)):
        yield SearchPlace(source, join(root, "installs", "python"), Layout.INSTALLATIONS)
    if windows:
        data = environ.get("APPDATA") or join(home, "AppData", "Roaming")
    uv = environ.get("UV_PYTHON_INSTALL_DIR") or join(data, "uv", "python")
    yield SearchPlace("uv", uv, Layout.INSTALLATIONS)


def _conda_roots(environ: Mapping[str, str], home: str, windows: bool) -> Iterator[SearchPlace]:
    path = ntpath if windows else posixpath
    named = [environ.get(variable, "") for variable in ("CONDA_PREFIX", "MAMBA_ROOT_PREFIX", "CONDA_ROOT")]
    if program := environ.get("CONDA_EXE", ""):  # <root>/bin/conda, <root>\Scripts\conda.exe
        named.append(path.dirname(path.dirname(program)))
    names = ("miniforge3", "mambaforge", "miniconda3", "anaconda3", "micromamba")
    named += [path.join(home, name) for name in names]
    if not windows:
        named += [f"/opt/{name}" for name in ("conda", *names)]
    for root in named:
        if path.isabs(root):
            yield SearchPlace("conda", root, Layout.INSTALLATION)


def _system_places(sys_platform: str) -> Iterator[SearchPlace]:
    if sys_platform == "darwin":
        yield SearchPlace("Homebrew", "/opt/homebrew/bin", Layout.PROGRAMS)
        framework = "/Library/Frameworks/Python.framework/Versions"
        yield SearchPlace("python.org", framework, Layout.INSTALLATIONS)
    elif sys_platform != "win32":
        yield SearchPlace("Homebrew", "/home/linuxbrew/.linuxbrew/bin", Layout.PROGRAMS)
    if sys_platform != "win32":
        yield SearchPlace("system", "/usr/local/bin", Layout.PROGRAMS)
        yield SearchPlace("system", "/usr/bin", Layout.PROGRAMS)


if sys.platform == "win32":
    import winreg

    def _subkeys(hive: int, key: str) -> list[str]:
        try:
            with winreg.OpenKey(hive, key) as opened:
                return [winreg.EnumKey(opened, number) for number in range(winreg.QueryInfoKey(opened)[0])]
        except OSError:
            return []

    def _value(hive: int, key: str, name: str) -> str:
        try:
            with winreg.OpenKey(hive, key) as opened:
                return str(winreg.QueryValueEx(opened, name)[0])
        except OSError:
            return ""
