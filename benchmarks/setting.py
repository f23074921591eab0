"""What a session stands on: the interpreter, the tools that are installed, and facts of the machine."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.disk import free_bytes
from benchmarks.measuring import Ground
from benchmarks.results import Results
from benchmarks.tools import TOOLS, InstalledTool, install_tool


def find_ground(workspace: Path, python: str, index_url: str, timeout_s: float) -> Ground:
    """The ground in a folder that is there.

    Args:
        workspace: absolute.
        python: interpreter, as on a command line.
        index_url: of a simple index.
        timeout_s: for a command.
    """
    code = "import os, sys; print(os.path.realpath(sys.executable)); print('%d.%d' % sys.version_info[:2])"
    interpreter, minor = subprocess.check_output([python, "-I", "-c", code], text=True).splitlines()
    return Ground(
        folder=workspace,
        interpreter=Path(interpreter),
        python=minor,
        index_url=index_url,
        timeout_s=timeout_s,
        room_bytes=free_bytes(workspace),
    )


def install_tools(
    names: Sequence[str], workspace: Path, results: Results, *, download: bool
) -> list[InstalledTool]:
    """Install tools, or find them; notes in ``results`` what is there, and why others are not."""
    installed = []
    for name in names:
        tool = TOOLS[name]
        try:
            found = install_tool(tool, workspace / "tools" / name, download=download)
        except LookupError as reason:
            results.left_out[name] = str(reason)
            print(f"left out: {name}: {reason}", file=sys.stderr)
            continue
        installed.append(found)
        results.tools[name] = found.version
        results.caveats += tool.caveats
    return installed


def machine_facts(ground: Ground) -> dict[str, str]:
    """Heading → what a reader has to know of the machine."""
    facts = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        "file system": _file_system(ground.folder),
        "Python": ground.python,
        "index": "made up, on this machine" if "127.0.0.1" in ground.index_url else ground.index_url,
    }
    if sys.platform == "linux":
        pages, page_bytes = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
        facts["memory"] = f"{pages * page_bytes / 2**30:.0f} GiB"
    return facts


def _file_system(folder: Path) -> str:
    """Type of the file system that a folder lies on, by the system's own tools."""
    for command in (["findmnt", "-n", "-o", "FSTYPE", "-T"], ["stat", "-f", "-c", "%T"]):
        try:
            asked = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)
        except FileNotFoundError:
            continue
        if asked.returncode == 0:
            return asked.stdout.strip()
    return "unknown"
