"""What machine this is, in the words that locks use: a conda subdir, and the C library's version.

Standards: conda subdirs, PEP 600 (glibc). It does not look for accelerators or virtual packages, and
it says nothing about what a target may assume: that is :mod:`envforge.model.target`.
"""

from __future__ import annotations

import os
import sys

from envforge.errors import HostError
from envforge.model.target import PLATFORMS

_MACHINE_SYNONYMS = {"amd64": "x86_64", "x64": "x86_64", "arm64": "aarch64"}


def platform_subdir(sys_platform: str, machine: str, pointer_bits: int = 64) -> str | None:
    """The conda subdir for a Python's own words about itself, None where envforge knows none.

    Args:
        sys_platform: ``sys.platform``: ``linux``, ``darwin``, ``win32``.
        machine: ``x86_64``, ``aarch64``, ``arm64``, ``AMD64`` …, in any case.
        pointer_bits: 32 for a 32-bit program on a 64-bit kernel, which no subdir is for.
    """
    if pointer_bits != 64:
        return None
    wanted = _canonical_machine(machine)
    for platform in PLATFORMS.values():
        if platform.sys_platform == sys_platform and _canonical_machine(platform.platform_machine) == wanted:
            return platform.subdir
    return None


def parse_glibc_version(text: str | None) -> tuple[int, int] | None:
    """(major, minor) out of what ``confstr("CS_GNU_LIBC_VERSION")`` says (``glibc 2.36``), else None."""
    name, _, version = (text or "").partition(" ")
    parts = version.split(".")
    if name != "glibc" or len(parts) < 2 or not (parts[0].isdecimal() and parts[1].isdecimal()):
        return None
    return int(parts[0]), int(parts[1])


def glibc_version() -> tuple[int, int] | None:
    """(major, minor) of the C library that this process runs on, None where it is not glibc."""
    try:
        return parse_glibc_version(os.confstr("CS_GNU_LIBC_VERSION"))
    except (AttributeError, ValueError, OSError):  # Windows; macOS and musl; a kernel that hides it
        return None


def host_platform() -> str:
    """The conda subdir of this machine, ``linux-64``.

    Raises:
        HostError: envforge knows no packages for this machine (32 bit, musl, an exotic processor).
    """
    machine = _own_machine()
    pointer_bits = 64 if sys.maxsize > 2**32 else 32
    subdir = platform_subdir(sys.platform, machine, pointer_bits)
    if subdir is None:
        raise HostError(
            "envforge knows no packages for this machine",
            context=[f"system {sys.platform}, processor {machine}, {pointer_bits} bit"],
            hints=[f"it can run on {', '.join(PLATFORMS)}"],
        )
    if sys.platform == "linux" and glibc_version() is None:
        raise HostError(
            "this machine's C library is not glibc (musl, as on Alpine Linux?)",
            context=[f"the packages of {subdir} are built for glibc and would not start here"],
            hints=["use a glibc system or container image, such as debian:stable-slim"],
        )
    return subdir


def node_name() -> str:
    """The name by which this host is known among those that share a file system; fit for a file's name."""
    name = os.environ.get("COMPUTERNAME", "") if sys.platform == "win32" else os.uname().nodename
    return "".join(char if char.isalnum() or char in "._-" else "_" for char in name) or "host"


def _canonical_machine(machine: str) -> str:
    lowered = machine.lower()
    return _MACHINE_SYNONYMS.get(lowered, lowered)


def _own_machine() -> str:
    if sys.platform != "win32":
        return os.uname().machine
    # PROCESSOR_ARCHITECTURE tells what an emulated process believes; wheels follow the interpreter.
    import sysconfig

    return sysconfig.get_platform().removeprefix("win-")
