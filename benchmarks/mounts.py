"""Places that a cluster has, on one machine: a slow network disk, and a folder that other hosts may see.

Both are FUSE file systems and take root. Where one cannot be mounted, LookupError says what is missing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.tools import CHECKOUT, install_requirements

_SLOW_DISK = CHECKOUT / "tests" / "support" / "slow_disk.py"
_LONGEST_WAIT_S = 20.0


@contextmanager
def slowed(folder: Path, delay_s: float, tools: Path) -> Iterator[None]:
    """Make each operation in a folder take longer, as long as the block lasts; what is in it stays there.

    Args:
        folder: what is there keeps its path.
        delay_s: before every operation that reaches the file system.
        tools: for the environment that the file system runs in.

    Raises:
        LookupError: there is no FUSE, no root, or mfusepy cannot be installed.
    """
    _require_root()
    program = _slow_disk(tools)
    behind = folder.with_name(f"{folder.name}.behind")
    folder.rename(behind)
    folder.mkdir()
    try:
        with _served([*program, str(behind), str(folder), str(delay_s)], folder):
            yield
    finally:
        folder.rmdir()
        behind.rename(folder)


@dataclass(frozen=True, slots=True)
class SharedPlace:
    """A folder that all see through one process."""

    folder: Path
    server: int

    def read_bytes(self) -> int:
        """What was read from it so far, by everybody together."""
        lines = Path(f"/proc/{self.server}/io").read_text(encoding="ascii").splitlines()
        return int(dict(line.split(": ") for line in lines)["rchar"])


@contextmanager
def shared(real: Path, place: Path, delay_s: float, tools: Path) -> Iterator[SharedPlace]:
    """Show a folder as a network disk is shown to a node.

    Args:
        real: what is there.
        place: where it is seen.
        delay_s: before every operation that reaches the file system; with none, bindfs serves it.
        tools: for the environment that the file system runs in.

    Raises:
        LookupError: there is no FUSE, no root, no bindfs, or mfusepy cannot be installed.
    """
    _require_root()
    for folder in (real, place):
        folder.mkdir(parents=True, exist_ok=True)
    # Directly: nodes of a cluster do not share this kernel's memory of what was read.
    program, how = (_slow_disk(tools), [str(delay_s), "direct_io"]) if delay_s else (_bindfs(), [])
    with _served([*program, str(real), str(place), *how], place) as server:
        yield SharedPlace(place, server)


def _slow_disk(tools: Path) -> list[str]:
    environment = tools / "mfusepy"
    if not (environment / "bin" / "python").exists():
        install_requirements(["mfusepy"], environment)
    return [str(environment / "bin" / "python"), str(_SLOW_DISK)]


def _bindfs() -> list[str]:
    if not shutil.which("bindfs"):
        raise LookupError("bindfs is not on this machine")
    # bindfs built with libfuse 3 has an option of its own for it
    shown = subprocess.run(["bindfs", "--help"], capture_output=True, text=True, check=False).stdout
    directly = ["--direct-io"] if "--direct-io" in shown else ["-o", "direct_io"]
    return ["bindfs", "-f", *directly]


@contextmanager
def _served(command: list[str], place: Path) -> Iterator[int]:
    """Run a file system until the block ends; gives its process."""
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        end_s = time.monotonic() + _LONGEST_WAIT_S
        while not place.is_mount() and process.poll() is None and time.monotonic() < end_s:
            time.sleep(0.02)
        try:
            if not place.is_mount():
                process.kill()
                raise LookupError(f"no FUSE here: {process.communicate()[1].strip()}")
            yield process.pid
        finally:
            _unmount(place)
            process.communicate(timeout=_LONGEST_WAIT_S)


def _require_root() -> None:
    if os.name == "nt" or os.geteuid() != 0:
        raise LookupError("only root may mount")


def _unmount(place: Path) -> None:
    end_s = time.monotonic() + _LONGEST_WAIT_S
    while place.is_mount():
        lazily = ["-l"] if time.monotonic() > end_s else []
        subprocess.run(["umount", *lazily, str(place)], capture_output=True, check=False)
        time.sleep(0.1)
