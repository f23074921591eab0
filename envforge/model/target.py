"""Targets: what is resolved for, as against the host that does the resolving.

A target is a platform (a conda subdir such as ``linux-64``), a Python and what the system may be
assumed to have. Markers (:mod:`.markers`) and wheel tags (:mod:`.tags`) are evaluated for it, never for the
machine that locks.
"""

from __future__ import annotations

from envforge.errors import ManifestError
from envforge.struct import Struct


class Platform(Struct, frozen=True):
    """One conda subdir in PyPI's words."""

    subdir: str
    sys_platform: str
    platform_machine: str
    wheel_arch: str

    @property
    def os_name(self) -> str:
        return "nt" if self.sys_platform == "win32" else "posix"

    @property
    def platform_system(self) -> str:
        return {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}[self.sys_platform]


PLATFORMS = {
    platform.subdir: platform
    for platform in (
        Platform("linux-64", "linux", "x86_64", "x86_64"),
        Platform("linux-aarch64", "linux", "aarch64", "aarch64"),
        Platform("linux-ppc64le", "linux", "ppc64le", "ppc64le"),
        Platform("osx-64", "darwin", "x86_64", "x86_64"),
        Platform("osx-arm64", "darwin", "arm64", "arm64"),
        Platform("win-64", "win32", "AMD64", "win_amd64"),
        Platform("win-arm64", "win32", "ARM64", "win_arm64"),
    )
}
DEFAULT_PLATFORMS = ("linux-64", "linux-aarch64", "osx-arm64", "win-64")


class SystemAssumptions(Struct, frozen=True):
    """The oldest system that a target's environment must run on: (major, minor) versions.

    macOS 14 because torch has wheels for nothing older since 2.12: with 13 a lock would hold torch 2.11
    for the Mac beside 2.15 for everybody else.

    Args:
        glibc: of Linux.
        macos: of macOS.
        linux: the kernel's; 4.18 came with glibc 2.28 in the oldest enterprise Linux that is kept up.
        cuda: the newest CUDA that the driver runs, None for no NVIDIA driver.
        archspec: micro-architecture as archspec names it, ``""`` for the platform's plainest.
    """

    glibc: tuple[int, int] = (2, 28)
    macos: tuple[int, int] = (14, 0)
    linux: tuple[int, int] = (4, 18)
    cuda: tuple[int, int] | None = None
    archspec: str = ""


class Target(Struct, frozen=True, kw_only=True, cache_hash=True):
    """What one resolution is for.

    Args:
        platform: conda subdir, a key of :data:`PLATFORMS`.
        python: ``3.12`` (any patch) or ``3.12.4``.
        system: what the platform may be assumed to have.
        variant: name of the manifest's variant, ``""`` for a project without variants.
    """

    platform: str
    python: str
    system: SystemAssumptions = SystemAssumptions()
    variant: str = ""

    def __post_init__(self) -> None:
        if self.platform not in PLATFORMS:
            raise ManifestError(
                f"unknown platform {self.platform!r}", hints=[f"known platforms: {', '.join(PLATFORMS)}"]
            )

    @property
    def id(self) -> str:
        """``linux-64``, with a variant ``linux-64:cuda``."""
        return f"{self.platform}:{self.variant}" if self.variant else self.platform

    @property
    def label(self) -> str:
        """``linux-64 · Python 3.12``, ``linux-64:cuda · Python 3.12``, for people."""
        return f"{self.id} · Python {self.python}"

    @property
    def python_minor(self) -> str:
        """``3.12``, also for a target that names a patch."""
        return ".".join(self.python.split(".")[:2])

    @property
    def python_full(self) -> str:
        """The patch version that markers see.

        A target that names a minor only is evaluated at its first patch: conditions such as
        ``python_full_version < "3.11.3"`` then hold, so that a backport is locked that some hosts
        do not need, rather than missed on hosts that do.
        """
        return self.python if self.python.count(".") == 2 else f"{self.python}.0"
