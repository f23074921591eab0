"""What is in the channel, in which versions, and what depends on what."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from .host_python import HostPython, python_abi_package, python_package
from .native import greet, libgreet, short_placeholder
from .package import File, Package
from .python_packages import python_packages
from .special_packages import special_packages


def host_subdir() -> str:
    """The subdir whose packages run here."""
    machine = platform.machine().lower()
    if sys.platform == "darwin":
        return "osx-arm64" if machine == "arm64" else "osx-64"
    return "linux-aarch64" if machine == "aarch64" else "linux-64"


def packages(pythons: Sequence[HostPython], subdirs: Iterable[str]) -> Iterator[Package]:
    """Every package, for some platforms and for noarch. Those for other platforms than this are hollow."""
    host = host_subdir()
    made = list(_host_packages(pythons, host))
    yield from (package for package in made if package.subdir == "noarch")
    for subdir in subdirs:
        for package in made:
            if package.subdir == host:
                yield package if subdir == host else _hollow(package, subdir)


def _host_packages(pythons: Sequence[HostPython], subdir: str) -> Iterator[Package]:
    for python in pythons:
        yield python_package(python, subdir)
        yield python_abi_package(python)
    yield libgreet("1.0", subdir, age_days=30, extension=".tar.bz2")
    yield libgreet("1.2", subdir, age_days=20)
    yield libgreet("2.0", subdir, age_days=10)
    yield greet("1.0", "1.2", ">=1.2,<2", subdir)
    yield greet("2.0", "2.0", ">=2,<3", subdir)
    yield short_placeholder(subdir)
    yield from python_packages(pythons, subdir)
    yield from special_packages(subdir)


def _hollow(package: Package, subdir: str) -> Package:
    """The same for a platform that nothing can be compiled for here: right metadata, a note for content."""
    floors = {"linux": ("__glibc >=2.17,<3.0.a0",), "osx": ("__osx >=11.0",), "win": ()}
    depends = [depend for depend in package.depends if not depend.startswith("__glibc")]
    if len(depends) < len(package.depends):
        depends += floors[subdir.partition("-")[0]]
    site_packages = package.python_site_packages_path
    if site_packages and subdir.startswith("win"):
        site_packages = "Lib/site-packages"
    note = f"{package.name} was made on another platform and has no content\n"
    return replace(
        package,
        subdir=subdir,
        depends=tuple(depends),
        python_site_packages_path=site_packages,
        files={f"share/doc/{package.name}/hollow.txt": File(note.encode())},
        entry_points=(),
    )
