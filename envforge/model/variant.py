"""When a variant is meant: a condition on the host, and what its targets may assume because of it.

A variant is a named hardware alternative in the manifest. It is locked for every platform on which its
condition can hold, and chosen on a host on which it does (:mod:`envforge.plan.variant_choice`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from envforge.model.target import PLATFORMS, SystemAssumptions
from envforge.struct import replace

Version = tuple[int, int]

AUTO = "auto"
"""What is written in place of a variant's name to have one chosen; no variant may be called so."""

_ARCHSPECS = {
    "x86_64": (
        "x86_64 x86_64_v2 x86_64_v3 x86_64_v4 nocona core2 nehalem westmere sandybridge ivybridge haswell"
        " broadwell skylake mic_knl skylake_avx512 cannonlake cascadelake icelake sapphirerapids k10"
        " bulldozer piledriver steamroller excavator zen zen2 zen3 zen4 zen5"
    ),
    "aarch64": (
        "aarch64 armv8.1a armv8.2a armv8.3a armv8.4a armv8.5a armv9.0a cortex_a72 thunderx2 a64fx"
        " neoverse_n1 neoverse_n2 neoverse_v1 neoverse_v2 m1 m2 m3 m4"
    ),
    "ppc64le": "ppc64le power8le power9le power10le",
}
_FAMILIES = {"amd64": "x86_64", "arm64": "aarch64"}


# A tuple with names: every lock imports this, and a dataclass takes seven times as long to be made.
class Condition(NamedTuple):
    """What has to be true of a host; what is ``""`` or empty asks nothing.

    Args:
        cuda: range of the newest CUDA that the driver runs.
        cuda_arch: range of compute capabilities, that of every GPU.
        rocm: range of ROCm's version.
        glibc: range of the C library's version.
        macos: range of macOS's version.
        platforms: conda subdirs, sorted; one of them.
        archspec: micro-architecture that the processor can stand for, ``x86_64_v3``.
    """

    cuda: str = ""
    cuda_arch: str = ""
    rocm: str = ""
    glibc: str = ""
    macos: str = ""
    platforms: tuple[str, ...] = ()
    archspec: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether it always holds."""
        return self == Condition()

    def can_hold_on(self, platform: str) -> bool:
        """Whether a host of a platform can meet it.

        NVIDIA has drivers for Linux and 64-bit Windows. ROCm's packages are for 64-bit Linux; where the
        platforms are named, they are believed.
        """
        system = PLATFORMS[platform].sys_platform
        return (
            (not self.platforms or platform in self.platforms)
            and (not (self.cuda or self.cuda_arch) or (system != "darwin" and platform != "win-arm64"))
            and (not self.rocm or platform == "linux-64" or (bool(self.platforms) and system != "darwin"))
            and (not self.glibc or system == "linux")
            and (not self.macos or system == "darwin")
            and (not self.archspec or archspec_family(self.archspec) == machine_family(platform))
        )

    def always_holds_on(self, platform: str) -> bool:
        """Whether every host of a platform meets it."""
        return self._replace(platforms=()).is_empty and self.can_hold_on(platform)

    def assumptions(self, base: SystemAssumptions) -> SystemAssumptions:
        """What targets may assume on hosts that meet it: no less than ``base``."""
        if self.is_empty:
            return base
        from envforge.model.version_range import lowest_of

        return replace(
            base,
            cuda=_newer(lowest_of(self.cuda), base.cuda),
            glibc=_newer(lowest_of(self.glibc), base.glibc) or base.glibc,
            macos=_newer(lowest_of(self.macos), base.macos) or base.macos,
            archspec=self.archspec or base.archspec,
        )

    def __str__(self) -> str:
        """``cuda >=12.8, platform linux-64``; ``always`` for an empty one."""
        parts = [
            f"{key} {text}"
            for key, text in (
                ("cuda", self.cuda),
                ("cuda-arch", self.cuda_arch),
                ("rocm", self.rocm),
                ("glibc", self.glibc),
                ("macos", self.macos),
                ("platform", " or ".join(self.platforms)),
                ("archspec", self.archspec),
            )
            if text
        ]
        return ", ".join(parts) or "always"


ALWAYS = Condition()
"""The condition of a variant without ``when``."""


def known_archspecs() -> Iterable[str]:
    """The names of micro-architectures that a condition may have, of all processors."""
    return " ".join(_ARCHSPECS.values()).split()


def archspec_family(archspec: str) -> str:
    """The processor family of a micro-architecture: ``x86_64`` of ``zen3``; ``""`` for an unknown one."""
    return next((family for family, names in _ARCHSPECS.items() if archspec in names.split()), "")


def machine_family(platform: str) -> str:
    """The processor family of a platform: ``x86_64`` of ``win-64``."""
    machine = PLATFORMS[platform].platform_machine.lower()
    return _FAMILIES.get(machine, machine)


def _newer(one: Version | None, other: Version | None) -> Version | None:
    return max(filter(None, (one, other)), default=None)
