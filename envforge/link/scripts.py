"""Scripts of an environment: entry points, and files of ``.data/scripts`` with ``#!python`` rewritten.

Source: the entry points specification and the binary distribution format of packaging.python.org; the
Windows launchers and the form of what they run are those of :mod:`installer.scripts`.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from envforge.errors import ArchiveError, GenerationError
from envforge.hashing import sha256
from envforge.link.copying import FileCopier
from envforge.link.failures import link_failures
from envforge.model.layout import EnvironmentLayout
from envforge.model.tree import EntryPoint
from envforge.plan.link_plan import LinkMode, Script

if TYPE_CHECKING:
    from typing import Literal

LONGEST_SHEBANG = 127
"""Bytes of a first line that every kernel reads (Linux before 5.1; macOS takes 512)."""

_LAUNCHERS: dict[str, Literal["win-amd64", "win-arm64"]] = {"win-64": "win-amd64", "win-arm64": "win-arm64"}
_PYTHON_LINE = rb"#!python(w?)[^\s]*[ \t]*([^\r\n]*)\r?\n?"
_RESERVED_NAMES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}
_BODY = """\
# -*- coding: utf-8 -*-
import sys
from {module} import {first}
if __name__ == "__main__":
    sys.exit({attribute}())
"""
_LAUNCHED_BODY = """\
# -*- coding: utf-8 -*-
import sys
from {module} import {first}
if __name__ == "__main__":
    sys.argv[0] = sys.argv[0].removesuffix(".exe")
    sys.exit({attribute}())
"""


def write_scripts(
    scripts: Sequence[Script],
    tier_root: Path,
    prefix: Path,
    layout: EnvironmentLayout,
    *,
    python: str,
    platform: str,
) -> dict[str, str]:
    """Write the scripts of a plan.

    Args:
        scripts: what to write.
        tier_root: where the sources of file scripts count from.
        prefix: the environment; its scripts folder exists.
        layout: where scripts go.
        python: absolute path of the interpreter that they run, in its final place.
        platform: conda subdir, for the launcher.

    Returns:
        Path in the environment → sha256 of each script that was written; programs that went in as they
        are in the store are not named.

    Raises:
        ArchiveError: a script's name or entry point cannot be meant.
        GenerationError: the interpreter's path cannot stand in a script.
        StoreError: no room, no right.
    """
    for script in scripts:
        check_script_name(script.name, layout.windows)
    copier = FileCopier()
    written: dict[str, str] = {}
    with link_failures(prefix, "write the scripts of the environment"):
        for script in scripts:
            path = f"{layout.scripts}/{script_file_name(script, layout)}"
            content = _script_content(script, tier_root, python, platform)
            if content is not None:
                _write_executable(f"{prefix}/{path}", content)
                written[path] = sha256(content).hexdigest()
            else:
                _bring_in(f"{tier_root}/{script.source}", f"{prefix}/{path}", script.mode, copier)
    return written


def script_file_name(script: Script, layout: EnvironmentLayout) -> str:
    """The name in the scripts folder."""
    return f"{script.name}.exe" if script.entry_point and layout.windows else script.name


def _script_content(script: Script, tier_root: Path, python: str, platform: str) -> bytes | None:
    """What a script's file holds; None for a program that goes in as it is.

    Raises:
        OSError: the source cannot be read.
    """
    if script.entry_point is not None:
        return script_text(script.entry_point, python, platform)
    with open(f"{tier_root}/{script.source}", "rb") as source:
        start = source.read(len(b"#!python"))
        if start != b"#!python":
            return None
        return rewritten_script(start + source.read(), python, platform)


def script_text(point: EntryPoint, python: str, platform: str) -> bytes:
    """The script of an entry point: text with a shebang, on Windows a launcher with a zip behind it.

    Args:
        point: what to call.
        python: absolute path of the interpreter.
        platform: conda subdir.

    Raises:
        ArchiveError: the entry point is not ``module:attribute``.
        GenerationError: the path cannot stand in a script.
    """
    names = [*point.module.split("."), *point.attribute.split(".")]
    if not all(name.isidentifier() for name in names):
        raise ArchiveError(
            f"the script {point.name} calls {point.module}:{point.attribute}, which is no Python name",
            hints=["ask the package's authors to correct its entry points"],
        )
    fields = {
        "module": point.module,
        "first": point.attribute.partition(".")[0],
        "attribute": point.attribute,
    }
    if platform in _LAUNCHERS:
        body = _LAUNCHED_BODY.format(**fields).encode()
        return _launcher(body, _windows_python(python, point.gui), platform, point.gui)
    return shebang(python) + _BODY.format(**fields).encode()


def rewritten_script(content: bytes, python: str, platform: str) -> bytes:
    """A script of ``.data/scripts`` that begins with ``#!python`` or ``#!pythonw``, for this interpreter.

    Options behind the name are kept.
    """
    line = re.match(_PYTHON_LINE, content)
    if line is None:
        return content
    windowed, options = line.groups()
    if platform in _LAUNCHERS:
        first = _quoted(_windows_python(python, bool(windowed)))
        return f"#!{first}".encode() + (b" " + options if options else b"") + b"\r\n" + content[line.end() :]
    return shebang(python, options.decode(errors="replace")) + content[line.end() :]


def shebang(python: str, options: str = "") -> bytes:
    """The first line or lines of a script; with ``/bin/sh`` in between where the kernel would cut the path.

    The two-line form is read by sh as a call of ``exec``, by Python as a string: the trick of distlib,
    https://github.com/pypa/installer/pull/4#issuecomment-623668717.

    Raises:
        GenerationError: the path holds what neither form can carry.
    """
    line = f"#!{python} {options}".rstrip() + "\n"
    plain = "\n" not in python and _is_text(line)
    if plain and len(line.encode()) <= LONGEST_SHEBANG and " " not in python and "\t" not in python:
        return line.encode()
    if not plain or "\\" in python:  # Python would read an escape in the string
        raise GenerationError(
            f"no script can start a Python at {python!r}",
            hints=["choose a place with a plainer path: --tier DIR"],
        )
    command = f"{shlex.quote(python)} {options}".rstrip()
    return f"#!/bin/sh\n'''exec' {command} \"$0\" \"$@\"\n' '''\n".encode()


def _is_text(line: str) -> bool:
    """Whether a line with a path can stand in a Python file (paths may hold bytes that are no UTF-8)."""
    try:
        line.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_script_name(name: str, windows: bool) -> None:
    """Refuse a name that would leave the scripts folder, or that the platform does not have.

    Raises:
        ArchiveError: with the reason.
    """
    reason = ""
    if name in ("", ".", "..") or "/" in name or "\0" in name or (os.sep in name):
        reason = "it is not a plain file name"
    elif windows and (name.partition(".")[0].lower() in _RESERVED_NAMES or name[-1] in ". "):
        reason = "Windows reserves it"
    elif windows and set(name) & set('<>:"\\|?*'):
        reason = "Windows does not allow it"
    if reason:
        raise ArchiveError(
            f"a distribution brings a script named {name!r}: {reason}",
            hints=["ask the package's authors to rename it, or exclude that version"],
        )


def _launcher(body: bytes, python: str, platform: str, gui: bool) -> bytes:
    """The .exe of installer, a shebang and a zip. The zip's date is fixed: same input, same bytes."""
    from io import BytesIO
    from zipfile import ZipFile, ZipInfo

    from installer.scripts import Script as LauncherScript

    stand_in = LauncherScript("x", "x", "x", "gui" if gui else "console")
    _, launcher = stand_in.generate("python.exe", _LAUNCHERS[platform])
    stream = BytesIO()
    with ZipFile(stream, "w") as archive:
        archive.writestr(ZipInfo("__main__.py", (1980, 1, 1, 0, 0, 0)), body)
    program = launcher[: launcher.rindex(b"#!python")]
    return program + f"#!{_quoted(python)}\n".encode() + stream.getvalue()


def _windows_python(python: str, gui: bool) -> str:
    """``pythonw.exe`` beside ``python.exe`` for programs without a console."""
    return f"{python.removesuffix('python.exe')}pythonw.exe" if gui else python


def _quoted(python: str) -> str:
    return f'"{python}"' if " " in python else python


def _write_executable(place: str, content: bytes) -> None:
    handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o777)
    with open(handle, "wb") as file:
        file.write(content)


def _bring_in(source: str, place: str, mode: LinkMode, copier: FileCopier) -> None:
    """A program as it is: ruff's is 30 MB, so a hard link where that can be had.

    No symlink: a program that looks for its neighbours starts from where its own file is.
    """
    if mode is not LinkMode.COPY and os.access(source, os.X_OK):
        with suppress(OSError):
            os.link(source, place)
            return
    copier.copy(source, place)
    os.chmod(place, os.stat(place).st_mode | 0o111)
