"""What is in the channel, in which versions, and what depends on what."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator, Sequence

from .host_python import HostPython, python_abi_package, python_package
from .native import greet, libgreet
from .package import Package
from .pure import activation_package, noarch_python_packages


def host_subdir() -> str:
    """The subdir whose packages run here."""
    machine = platform.machine().lower()
    if sys.platform == "darwin":
        return "osx-arm64" if machine == "arm64" else "osx-64"
    return "linux-aarch64" if machine == "aarch64" else "linux-64"


def packages(pythons: Sequence[HostPython], subdir: str) -> Iterator[Package]:
    """Every package, for one platform and for noarch."""
    for python in pythons:
        yield python_package(python, subdir)
        yield python_abi_package(python)
    yield libgreet("1.0", subdir, age_days=30, extension=".tar.bz2")
    yield libgreet("1.2", subdir, age_days=20)
    yield libgreet("2.0", subdir, age_days=10)
    yield greet("1.0", "1.2", ">=1.2,<2", subdir)
    yield greet("2.0", "2.0", ">=2,<3", subdir)
    yield from noarch_python_packages()
    yield activation_package(subdir)
