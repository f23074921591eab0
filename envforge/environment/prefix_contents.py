"""What of a conda prefix a generation repeats, so that the two are one environment for who looks.

A program of the prefix that is a Python script starts the prefix's Python, which does not see what PyPI
brought: the generation gets the same script for its own Python, and stands first on the PATH. Packages
look for their data below ``sys.prefix`` (JupyterLab's application, GDAL's tables), which is the
generation: it gets links to the prefix's ``share`` and ``etc``. Native programs and libraries stay where
they are. On Windows, scripts are launchers and are not repeated.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from envforge.environment.spec import GenerationSpec
from envforge.link.scripts import shebang
from envforge.model.layout import EnvironmentLayout
from envforge.plan.link_plan import Link, LinkMode, LinkPlan, reserved_paths
from envforge.struct import replace

_DATA_FOLDERS = ("share", "etc")
_OF_THE_PREFIX = {"etc/conda"}
"""What only means something in the prefix itself."""
_WRITTEN_TO = ("share/jupyter", "etc/jupyter")
"""Where programs write: folders that are real all the way down, so that the shared prefix stays as it is."""
_KERNEL = re.compile(r"share/jupyter/kernels/[^/]+/kernel\.json")
_SCRIPT_START = re.compile(
    rb"""
    \#![ \t]* (?P<python> [^\r\n]*?/python[0-9.]* | /usr/bin/env[ \t]+python[0-9.]* )
    (?P<options> [ \t][^\r\n]* )? \r?\n
    |
    # where the path is too long for the kernel, or has blanks in it
    \#!/bin/(?:ba)?sh\r?\n
    '''exec' [ ] ["']? (?P<quoted> [^\r\n]*?/python[0-9.]* ) ["']? [ \t][^\r\n]*\r?\n
    (?: '[ ]'''[^\r\n]*\r?\n )?
    """,
    re.VERBOSE,
)


def with_prefix_data(plan: LinkPlan, spec: GenerationSpec, tier_root: Path) -> LinkPlan:
    """A plan with links to the data of the prefix that the generation stands on.

    What PyPI brings keeps its path; a folder that both bring is a real one.

    Args:
        plan: of the trees.
        spec: of the generation.
        tier_root: links count from it; a prefix that is not below it brings no data.
    """
    if spec.prefix is None:
        return plan
    prefix = Path(spec.prefix.path)
    if not prefix.is_relative_to(tier_root):
        return plan
    data = _Data(prefix, prefix.relative_to(tier_root).as_posix(), plan)
    for name in _DATA_FOLDERS:
        data.add_folder(name)
    return replace(
        plan,
        folders=sorted({*plan.folders, *data.folders}),
        links=sorted([*plan.links, *data.links], key=lambda link: link.path),
    )


class _Data:
    """Walks the data folders of a prefix; collects real folders and links."""

    def __init__(self, prefix: Path, source: str, plan: LinkPlan) -> None:
        self._prefix = prefix
        self._source = source
        self._shared = set(plan.folders)
        self._taken = {link.path for link in plan.links}
        self.folders: list[str] = []
        self.links: list[Link] = []

    def add_folder(self, path: str) -> None:
        try:
            entries = sorted(os.scandir(self._prefix / path), key=lambda entry: entry.name)
        except OSError:
            return
        found = [entry for entry in entries if f"{path}/{entry.name}" not in _OF_THE_PREFIX]
        if path in self._taken or not found:
            return
        self.folders.append(path)
        for entry in found:
            self._add(f"{path}/{entry.name}", entry.is_dir())

    def _add(self, path: str, is_folder: bool) -> None:
        if path in self._taken or _KERNEL.fullmatch(path):
            return
        if is_folder and (path in self._shared or path.startswith(_WRITTEN_TO)):
            self.add_folder(path)
        elif path not in self._shared:
            self.links.append(Link(path, f"{self._source}/{path}", is_folder, LinkMode.SHARED))


def prefix_scripts(spec: GenerationSpec, plan: LinkPlan, python: str) -> dict[str, bytes]:
    """Path in the environment → content of each Python script of the prefix, for the generation's Python.

    Args:
        spec: of the generation.
        plan: what it brings stays.
        python: absolute path of the generation's, in its final place.

    Raises:
        GenerationError: the path cannot stand in a script.
    """
    if spec.prefix is None or spec.layout.windows:
        return {}
    folder = f"{spec.prefix.path}/bin"
    taken = _taken_scripts(plan, spec.layout)
    found: dict[str, bytes] = {}
    for name, content in _read_scripts(folder, taken):
        start = _SCRIPT_START.match(content)
        if start is not None and _is_of(start, folder):
            options = (start["options"] or b"").decode(errors="replace").strip()
            found[f"{spec.layout.scripts}/{name}"] = shebang(python, options) + content[start.end() :]
    return found


def prefix_kernels(spec: GenerationSpec, plan: LinkPlan, python: str) -> dict[str, bytes]:
    """Path in the environment → content of Jupyter's kernels of the prefix, for the generation's Python."""
    if spec.prefix is None:
        return {}
    prefix = Path(spec.prefix.path)
    folder = os.fsencode(prefix / spec.layout.scripts)
    pythons = re.compile(re.escape(folder) + rb"[/\\]+python[0-9.]*(?:\.exe)?(?=\")")
    taken, found = {link.path for link in plan.links}, {}
    for place in sorted(prefix.glob("share/jupyter/kernels/*/kernel.json")):
        path = place.relative_to(prefix).as_posix()
        if path not in taken:
            found[path] = pythons.sub(lambda _: os.fsencode(python), place.read_bytes())
    return found


def _taken_scripts(plan: LinkPlan, layout: EnvironmentLayout) -> set[str]:
    inside = f"{layout.scripts}/"
    paths = [*reserved_paths(layout), *(link.path for link in plan.links)]
    names = {path.removeprefix(inside) for path in paths if path.startswith(inside)}
    return names | {script.name for script in plan.scripts}


def _read_scripts(folder: str, taken: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """Name and content of the text programs of a folder; of others not more than two bytes are read."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.name in taken or not entry.is_file():
            continue
        with open(entry.path, "rb") as file:
            if file.read(2) == b"#!":
                yield entry.name, b"#!" + file.read()


def _is_of(start: re.Match[bytes], folder: str) -> bool:
    """Whether a script starts the Python of a folder, or whichever the PATH has."""
    program = start["python"] or start["quoted"]
    return program.startswith((os.fsencode(folder) + b"/", b"/usr/bin/env"))
