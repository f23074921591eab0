"""Make a channel of real conda packages for tests: ``python scripts/build_channel.py DEST``.

They are made out of what this machine has: its Pythons, and a C library and a program that gcc compiles.
Those for the machine's own platform run. The repodata in its three forms is written by rattler.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from channel.archive import write_archive
from channel.catalogue import host_subdir, packages
from channel.host_python import find_pythons
from channel.repodata import index_channel

SUBDIRS = ("linux-64", "linux-aarch64", "osx-64", "osx-arm64", "win-64")
CANNOT = 3  # exit status: this machine lacks something


def main() -> int:
    """Build the channel."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dest", type=Path, help="folder of the channel; must not exist or be empty")
    parser.add_argument(
        "--platform", action="append", default=[], choices=SUBDIRS, metavar="SUBDIR",
        help="repeatable (default: this machine's); packages for others are hollow: metadata alone",
    )  # fmt: skip
    parser.add_argument("--python", action="append", default=[], help="interpreter to package; repeatable")
    arguments = parser.parse_args()
    if arguments.dest.exists() and any(arguments.dest.iterdir()):
        parser.error(f"{arguments.dest} is not empty")
    if sys.platform != "linux":
        return _cannot("only Linux is supported: run paths of its ELF files are rewritten")
    missing = [program for program in ("gcc", "strip") if not shutil.which(program)]
    if missing:
        return _cannot(f"needed and not found: {', '.join(missing)}")
    pythons = find_pythons(executables=arguments.python)
    if not pythons:
        return _cannot("no Python of the usual layout found; name one with --python")
    for package in packages(pythons, arguments.platform or [host_subdir()]):
        write_archive(package, arguments.dest)
    index_channel(arguments.dest)
    print(*(python.version for python in pythons))
    return 0


def _cannot(reason: str) -> int:
    print(f"error: {reason}", file=sys.stderr)
    return CANNOT


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    # Not sys.exit: rattler's threads may still let go of Python objects while the interpreter is torn down,
    # which crashed 1 process in 15 (py-rattler 0.28; PyO3/pyo3-async-runtimes#40, open).
    os._exit(status)
