"""The table of builds for accelerators: indexes of torch, the drivers they need, what they were compiled for.

``envforge/data/accelerators.toml`` is the table, with its date and sources; it is read by
:mod:`envforge.workflows.accelerator_data`. What it does not know is None, and never a reason to refuse.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any

from envforge.model.accelerators import Version
from envforge.struct import Struct


class AcceleratorIndex(Struct, frozen=True, kw_only=True):
    """One index of builds of torch.

    Args:
        name: ``cu128``, ``rocm6.4``, ``cpu``: what its URL ends with, and torch's local version.
        cuda: that its builds bring, None for none.
        rocm: likewise.
        first, last: releases of torch that it has, (2, 7).
        platforms: conda subdirs it has wheels for.
        aarch64_since: release of torch from which on it has them for linux-aarch64.
        packages: beside torch and its kin, what has to come from it.
        is_usual: offered by ``--torch auto``.
    """

    name: str
    cuda: Version | None
    rocm: Version | None
    first: Version
    last: Version
    platforms: tuple[str, ...]
    aarch64_since: Version
    packages: tuple[str, ...] = ()
    is_usual: bool = True

    def has(self, torch: Version) -> bool:
        """Whether it has a release of torch."""
        return self.first <= torch <= self.last

    def serves(self, platform: str, torch: Version) -> bool:
        """Whether it has a release of torch for a platform."""
        if platform == "linux-aarch64" and torch < self.aarch64_since:
            return False
        return platform in self.platforms and self.has(torch)


class CompiledFor(Struct, frozen=True, kw_only=True):
    """The GPUs that builds of an index were compiled for.

    Args:
        index: its name.
        first, last: releases of torch.
        platforms: conda subdirs.
        compiled: compute capabilities, oldest first.
        ptx: capability of the code that the driver compiles for newer ones, None for none.
    """

    index: str
    first: Version
    last: Version
    platforms: tuple[str, ...]
    compiled: tuple[Version, ...]
    ptx: Version | None = None

    def runs_on(self, capability: Version) -> bool:
        """Whether a GPU runs it: the same major version and no older minor one, or by way of the driver."""
        if self.ptx is not None and capability >= self.ptx:
            return True
        major, minor = capability
        return any(major == own_major and minor >= own_minor for own_major, own_minor in self.compiled)


class OldestDriver(Struct, frozen=True, kw_only=True):
    """The oldest driver for any CUDA of a major version; "" where it is not known."""

    cuda: int
    linux: str
    windows: str


class AcceleratorTable(Struct, frozen=True, kw_only=True):
    """All of it.

    Args:
        date: on which the sources were looked at, ``2026-11-21``.
        base_url: below which the indexes are, by name.
        packages: what has to come from the index that torch comes from.
        indexes: newest CUDA first, then ROCm, then ``cpu``.
        compiled: what is known about architectures.
        drivers: newest CUDA first.
    """

    date: str
    base_url: str
    packages: tuple[str, ...]
    indexes: tuple[AcceleratorIndex, ...]
    compiled: tuple[CompiledFor, ...]
    drivers: tuple[OldestDriver, ...]

    @property
    def newest_torch(self) -> Version:
        """The newest release that some index has."""
        return max(index.last for index in self.indexes)

    def index(self, name: str) -> AcceleratorIndex | None:
        """The index of a name."""
        return next((index for index in self.indexes if index.name == name), None)

    def compiled_for(self, index: str, torch: Version, platform: str) -> CompiledFor | None:
        """What a build was compiled for, None where that is not known."""
        for entry in self.compiled:
            if entry.index == index and platform in entry.platforms and entry.first <= torch <= entry.last:
                return entry
        return None

    def oldest_driver(self, cuda_major: int, platform: str) -> str:
        """The oldest driver for a CUDA, "" where it is not known."""
        for driver in self.drivers:
            if driver.cuda == cuda_major:
                return driver.windows if platform.startswith("win") else driver.linux
        return ""


def parse_accelerator_table(text: str) -> AcceleratorTable:
    """Read the table.

    Raises:
        KeyError, ValueError: it is not as it has to be; it is part of the package, so that is a bug.
    """
    content = tomllib.loads(text)
    torch = content["torch"]
    return AcceleratorTable(
        date=str(content["date"]),
        base_url=str(torch["base-url"]),
        packages=tuple(torch["packages"]),
        indexes=tuple(_index(entry) for entry in torch["index"]),
        compiled=tuple(_compiled(entry) for entry in torch["architectures"]),
        drivers=tuple(
            OldestDriver(cuda=entry["cuda"], linux=entry.get("linux", ""), windows=entry.get("windows", ""))
            for entry in content["driver"]
        ),
    )


def _index(entry: Mapping[str, Any]) -> AcceleratorIndex:
    first, last = (_version(text) for text in entry["torch"])
    return AcceleratorIndex(
        name=entry["name"],
        cuda=_version(entry["cuda"]) if "cuda" in entry else None,
        rocm=_version(entry["rocm"]) if "rocm" in entry else None,
        first=first,
        last=last,
        platforms=tuple(entry["platforms"]),
        aarch64_since=_version(entry["aarch64-since"]) if "aarch64-since" in entry else first,
        packages=tuple(entry.get("packages", ())),
        is_usual=entry.get("usual", True),
    )


def _compiled(entry: Mapping[str, Any]) -> CompiledFor:
    first, last = (_version(text) for text in entry["torch"])
    return CompiledFor(
        index=entry["index"],
        first=first,
        last=last,
        platforms=tuple(entry["platforms"]),
        compiled=tuple(sorted(_version(text) for text in entry["compiled"])),
        ptx=_version(entry["ptx"]) if "ptx" in entry else None,
    )


def _version(text: str) -> Version:
    major, minor = text.split(".")[:2]
    return int(major), int(minor)
