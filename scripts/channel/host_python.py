"""CPython as a conda package: an installation of this host, trimmed, with its paths made relocatable.

What is left out: the tests, idle, tk, headers, ensurepip, everything that was installed into it. The
extension modules need the system libraries that they were linked to, so it runs on the machine that made it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from envforge.store.elf import read_run_paths

from .package import PLACEHOLDER, File, Package

_LEFT_OUT = frozenset(
    {"__pycache__", "test", "tests", "idlelib", "idle_test", "ensurepip", "lib2to3", "tkinter", "turtledemo"}
    | {"pydoc_data", "site-packages", "_tkinter", "xxlimited", "xxlimited_35", "xxsubtype"}
)
_QUERY = """
import json, sys, sysconfig
get, bases = sysconfig.get_config_var, {"base": sys.base_prefix, "platbase": sys.base_prefix}
print(json.dumps({
    "version": "%d.%d.%d" % sys.version_info[:3],
    "final": sys.version_info[3] == "final",
    "free_threaded": bool(get("Py_GIL_DISABLED")),
    "prefix": sys.base_prefix,
    "purelib": sysconfig.get_path("purelib", vars=bases),
    "library": get("LIBDIR") + "/" + get("INSTSONAME") if get("Py_ENABLE_SHARED") else "",
}))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPython:
    """A CPython that this host has.

    Args:
        prefix: of the installation, never of a venv.
        library: the shared libpython that it needs, None for none.
    """

    version: str
    prefix: Path
    library: Path | None

    @property
    def minor(self) -> str:
        return self.version.rpartition(".")[0]

    @property
    def abi(self) -> str:
        """``cp311``."""
        return "cp" + self.minor.replace(".", "")

    @property
    def label(self) -> str:
        """``py311``, as build strings have it."""
        return "py" + self.minor.replace(".", "")

    @property
    def site_packages(self) -> str:
        return f"lib/python{self.minor}/site-packages"


def find_pythons(wanted: int = 2, executables: Iterable[str] = ()) -> list[HostPython]:
    """Pythons of different minors, oldest first: the running one's minor, then newer ones, then older ones.

    Args:
        executables: take these instead of looking for some.
    """
    if executables:
        return sorted(map(_query_named, executables), key=_rank)
    by_minor: dict[str, HostPython] = {}
    running_base = getattr(sys, "_base_executable", sys.executable)  # a venv would hide Debian's layout
    for executable in (running_base, *_installed()):
        python = _query(executable)
        if python is not None:
            by_minor.setdefault(python.minor, python)
    running = sys.version_info[:2]
    found = sorted(by_minor.values(), key=_rank)
    newer = [python for python in found if _rank(python)[:2] >= running]
    older = [python for python in reversed(found) if _rank(python)[:2] < running]
    return sorted([*newer, *older][:wanted], key=_rank)


def _rank(python: HostPython) -> tuple[int, ...]:
    return tuple(map(int, python.version.split(".")))


def _installed() -> Iterator[str]:
    from envforge.host.interpreters import list_interpreters

    with tempfile.TemporaryDirectory() as folder:
        for interpreter in list_interpreters(Path(folder, "interpreters.json")):
            if tuple(map(int, interpreter.version.split(".")[:2])) >= (3, 11):
                yield interpreter.executable


def _query_named(executable: str) -> HostPython:
    python = _query(executable)
    if python is None:
        raise SystemExit(f"error: {executable} is no CPython of the usual layout that could be packaged")
    return python


def _query(executable: str) -> HostPython | None:
    """None for a Python whose layout is not that of a plain installation (Debian's, a free-threaded one)."""
    try:
        asked = subprocess.run([executable, "-I", "-c", _QUERY], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    told = json.loads(asked.stdout)
    prefix, minor = Path(told["prefix"]), told["version"].rpartition(".")[0]
    plain = told["final"] and not told["free_threaded"] and (prefix / "bin" / f"python{minor}").is_file()
    if not plain or Path(told["purelib"]) != prefix / "lib" / f"python{minor}" / "site-packages":
        return None
    library = Path(told["library"]) if told["library"] else None
    if library is not None and not library.is_file():
        return None
    return HostPython(version=told["version"], prefix=prefix, library=library)


def python_package(python: HostPython, subdir: str) -> Package:
    """The package ``python``."""
    executable = f"python{python.minor}"
    files = {
        f"bin/{executable}": File((python.prefix / "bin" / executable).read_bytes(), executable=True),
        "bin/python3": File(target=executable),
        "bin/python": File(target=executable),
        f"{python.site_packages}/README.txt": File(b"Packages that are installed come here.\n"),
    }
    if python.library:
        files[f"lib/{python.library.name}"] = File(python.library.read_bytes(), executable=True)
    pydoc = python.prefix / "bin" / f"pydoc{python.minor}"
    if pydoc.is_file():
        files[f"bin/{pydoc.name}"] = File(pydoc.read_bytes(), executable=True)
    files |= dict(_standard_library(python))
    return Package(
        name="python",
        version=python.version,
        build="h0000000_0_cpython",
        subdir=subdir,
        depends=("__glibc >=2.17,<3.0.a0", f"python_abi {python.minor}.* *_{python.abi}"),
        python_site_packages_path=python.site_packages,
        files=_relocatable(files, python),
    )


def python_abi_package(python: HostPython) -> Package:
    """The package ``python_abi``, which keeps builds for different Pythons apart."""
    return Package(
        name="python_abi",
        version=python.minor,
        build=f"8_{python.abi}",
        build_number=8,
        noarch="generic",
        constrains=(f"python {python.minor}.* *_cpython",),
    )


def _standard_library(python: HostPython) -> Iterator[tuple[str, File]]:
    top = python.prefix / "lib" / f"python{python.minor}"
    for folder, names, filenames in os.walk(top):
        names[:] = sorted(name for name in names if name not in _LEFT_OUT and not name.startswith("config-"))
        for filename in sorted(filenames):
            module = filename.split(".")[0]
            if filename.endswith(("~", ".pyc", ".a")) or module in _LEFT_OUT or _is_test_module(filename):
                continue
            path = Path(folder, filename)
            yield path.relative_to(python.prefix).as_posix(), File(path.read_bytes())


def _is_test_module(filename: str) -> bool:
    return filename.endswith(".so") and filename.startswith(("_test", "_ctypes_test", "_xxtest"))


def _relocatable(files: dict[str, File], python: HostPython) -> dict[str, File]:
    """The same files for any prefix: run paths relative, and the placeholder in texts."""
    here = str(python.prefix).encode()
    binaries = {path: file for path, file in files.items() if file.content.startswith(b"\x7fELF")}
    texts = {
        path: File(file.content.replace(here, PLACEHOLDER.encode()), file.executable)
        for path, file in files.items()
        if path not in binaries and here in file.content and b"\0" not in file.content
    }
    relative = {
        path: File(_with_relative_run_path(path, file.content), executable=True)
        for path, file in binaries.items()
    }
    return {**files, **texts, **_stripped(relative)}


def _with_relative_run_path(path: str, content: bytes) -> bytes:
    """The same ELF file, looking for libraries in its own prefix. The new path takes the old one's place."""
    up = "/".join([".."] * path.count("/"))
    wanted = f"$ORIGIN/{up}/lib".encode()
    original = content
    for start, old in read_run_paths(lambda offset, count: original[offset : offset + count]):
        if old.startswith(b"$ORIGIN"):
            continue
        if len(wanted) > len(old):
            raise SystemExit(f"error: the run path {old.decode()} of {path} is too short to be replaced")
        content = content[:start] + wanted.ljust(len(old), b"\0") + content[start + len(old) :]
    return content


def _stripped(binaries: dict[str, File]) -> dict[str, File]:
    """Without debug information: a tenth of the size."""
    with tempfile.TemporaryDirectory() as folder:
        places = {path: Path(folder, f"{number}.so") for number, path in enumerate(binaries)}
        for path, place in places.items():
            place.write_bytes(binaries[path].content)
        subprocess.run(["strip", "--strip-unneeded", *places.values()], check=True)
        return {path: File(place.read_bytes(), executable=True) for path, place in places.items()}
