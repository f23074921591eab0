"""Nodes of a cluster on one machine: mount namespaces with a ``/tmp`` of their own, and a shared folder.

The shared folder is a FUSE file system (bindfs), which other hosts may see as far as anybody can tell. It
takes root, ``unshare``, ``nsenter`` and bindfs; where one is missing, the tests are skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.environments import base_interpreter
from support.projects import CHECKOUT

_MAKE = """
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=1777 none /mnt
for place in "$@"; do mkdir -p "/mnt${place#/tmp}"; mount --rbind "$place" "/mnt${place#/tmp}"; done
mount --move /mnt /tmp
echo ready
exec sleep 1000
"""


def require_nodes() -> None:
    """Skip the test where there is no making of nodes."""
    missing = [name for name in ("unshare", "nsenter", "bindfs", "fusermount") if not shutil.which(name)]
    if sys.platform != "linux" or os.geteuid() != 0 or missing or not os.path.exists("/dev/fuse"):
        pytest.skip(f"nodes need root, FUSE, and {' '.join(missing) or 'mounts'}")


@contextmanager
def shared_folder(real: Path, place: Path) -> Iterator[Path]:
    """Show a folder through FUSE, as a network file system would be."""
    for folder in (real, place):
        folder.mkdir(parents=True, exist_ok=True)
    made = subprocess.run(["bindfs", real, place], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no FUSE file system may be mounted here: {made.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["fusermount", "-u", "-z", place], check=True)


class Node:
    """A mount namespace with a ``/tmp`` that is empty but for what the tests need.

    Args:
        folder: of the test, visible in the node.
    """

    def __init__(self, folder: Path) -> None:
        needed = {str(folder), str(CHECKOUT), sys.prefix, base_interpreter().base_prefix}
        below = sorted(place for place in needed if place.startswith("/tmp/"))
        kept = [place for place in below if not any(place.startswith(f"{other}/") for other in below)]
        self._process = subprocess.Popen(
            ["unshare", "-m", "sh", "-c", _MAKE, "sh", *kept],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            _, said = self._process.communicate()
            pytest.skip(f"no mount namespaces here: {said.strip()}")

    def enter(self, folder: Path = Path("/")) -> tuple[str, ...]:
        """What to put before a command to run it in the node, in a folder."""
        return ("nsenter", "-t", str(self._process.pid), "-m", f"--wd={folder}", "--")

    def run(self, *command: str) -> str:
        """What a command prints in the node; it has to succeed."""
        done = subprocess.run([*self.enter(), *command], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


@contextmanager
def nodes(folder: Path, count: int) -> Iterator[list[Node]]:
    """Several nodes, gone at the end."""
    made: list[Node] = []
    try:
        while len(made) < count:
            made.append(Node(folder))
        yield made
    finally:
        for node in made:
            node.end()


def wait_for(place: Path, timeout_s: float = 20) -> None:
    """Wait until a file is there."""
    end = time.monotonic() + timeout_s
    while not place.exists():
        assert time.monotonic() < end, f"{place} did not come"
        time.sleep(0.02)
