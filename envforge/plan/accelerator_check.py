"""Whether a host can use the wheels that were chosen for it, told before anything is downloaded.

The CUDA that wheels bring is compared with the driver, the GPUs with what torch was compiled for, and what
wheels' tags say of the C library and of macOS with the host's. What is not known refuses nothing. A host
without a driver is no error: torch works on its processor there, as on a login node.

Sources: CUDA's minor version compatibility (a program for CUDA 12.8 runs on any driver of CUDA 12), PEP 600.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from envforge.errors import HostError
from envforge.model.accelerators import Gpu, HostFacts, NvidiaDriver, Version
from envforge.model.lock import LockedFile, LockedPackage
from envforge.model.names import normalize_name
from envforge.struct import Struct

if TYPE_CHECKING:
    from envforge.plan.accelerator_table import AcceleratorTable, CompiledFor

_RUNTIME = re.compile(r"cuda-toolkit|nvidia-cuda-runtime(?:-cu\d+)?")
_LOCAL = re.compile(r"\+cu(\d{2,3})(?:\.|$)")
_SUFFIX = re.compile(r"-(?:cu|cuda)(1\d)x?$")
_MANYLINUX = re.compile(r"manylinux_(\d+)_(\d+)_")
_LEGACY_MANYLINUX = {"manylinux1_": (2, 5), "manylinux2010_": (2, 12), "manylinux2014_": (2, 17)}
_MACOS = re.compile(r"macosx_(\d+)_(\d+)_")
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_PLUMBING = ("nvidia-", "cuda-")
_TORCH = "torch"
IGNORE_HINT = "or go on at your own risk: --ignore-host"
_SHOWN = 3


class CudaNeed(Struct, frozen=True, kw_only=True):
    """The CUDA that packages bring along.

    Args:
        cuda: the newest one of its major version; minor 0 where only the major version is known.
        packages: which, ``torch 2.14.1+cu126``, the ones that users know first.
    """

    cuda: Version
    packages: tuple[str, ...]


class WheelProblem(Struct, frozen=True, kw_only=True):
    """Something that wheels need and the host does not have, or has otherwise.

    Args:
        message: a sentence without full stop.
        hint: what to do, an imperative; "" for nothing.
        refuses: whether it is a reason not to sync; else it is only told.
    """

    message: str
    hint: str = ""
    refuses: bool = True


def cuda_needs(packages: Sequence[LockedPackage]) -> list[CudaNeed]:
    """The CUDA of each major version that packages bring, newest first."""
    found: dict[int, list[tuple[int, LockedPackage]]] = {}
    for package in packages:
        cuda = _cuda_of(package)
        if cuda is not None:
            found.setdefault(cuda[0], []).append((cuda[1], package))
    return [
        CudaNeed(
            cuda=(major, max(minor for minor, _ in entries)),
            packages=tuple(_asking([package for _, package in entries], packages)),
        )
        for major, entries in sorted(found.items(), reverse=True)
    ]


def _asking(bringing: Sequence[LockedPackage], packages: Iterable[LockedPackage]) -> list[str]:
    """Who users know: those that were built for CUDA or require its libraries; else the libraries."""
    libraries = {package.name for package in bringing if package.name.startswith(_PLUMBING)}
    asking = {package.id: package for package in bringing if package.name not in libraries}
    for package in packages:
        if not package.name.startswith(_PLUMBING) and any(
            _required_name(text) in libraries for text in package.requires
        ):
            asking[package.id] = package
    shown = asking.values() or bringing
    # torch before what is built for it
    return [
        f"{package.name} {package.version}"
        for package in sorted(shown, key=lambda package: (package.name != _TORCH, package.name))
    ]


def _required_name(requirement: str) -> str:
    found = _NAME.match(requirement)
    return normalize_name(found[0]) if found else ""


def torch_build(packages: Sequence[LockedPackage]) -> tuple[LockedPackage, str] | None:
    """The torch among packages and the index whose build it is: ``cu126``, ``cpu``; "" where it is not known.

    A wheel of PyPI has no local version: what it was built for is told by the CUDA runtime beside it.
    """
    torch = next((package for package in packages if package.name == _TORCH), None)
    if torch is None:
        return None
    local = torch.version.partition("+")[2]
    if local:
        return torch, local
    runtimes = [_cuda_of(package) for package in packages if _RUNTIME.fullmatch(package.name)]
    newest = max(filter(None, runtimes), default=None)
    return torch, f"cu{newest[0]}{newest[1]}" if newest else ""


def check_wheels(
    packages: Sequence[LockedPackage],
    files: Sequence[LockedFile],
    facts: HostFacts,
    table: AcceleratorTable | None,
) -> list[WheelProblem]:
    """What of the chosen wheels a host cannot use, the reasons to refuse first.

    Args:
        packages: that are to be installed here.
        files: the wheels of them; sdists say nothing.
        facts: of the host.
        table: of builds for accelerators; only asked where there is an NVIDIA driver.
    """
    problems = [*_system_problems(files, facts)]
    if table is not None:
        problems += _driver_problems(cuda_needs(packages), facts, table)
        problems += _architecture_problems(packages, facts, table)
    return sorted(problems, key=lambda problem: not problem.refuses)


def check_use(
    packages: Sequence[LockedPackage], files: Sequence[LockedFile], facts: HostFacts, variant: str
) -> list[WheelProblem]:
    """What works and is not what somebody may expect: gigabytes for no GPU, or a GPU that is left out.

    Args:
        packages: that are to be installed here.
        files: the wheels of them.
        facts: of the host.
        variant: that was chosen for it, "" in a project without variants.
    """
    needs = cuda_needs(packages)
    driver = facts.nvidia
    if variant and not needs and driver is not None and driver.is_broken:
        message = (
            f"the NVIDIA driver of this host cannot be used: {driver.fault}; variant {variant} is for none"
        )
        return [WheelProblem(message=message, hint=driver.remedy, refuses=False)]
    is_told = bool(variant) or "CONDA_OVERRIDE_CUDA" in facts.overridden
    libraries = [file for file in files if file.filename.startswith("nvidia_")]
    if not needs or driver is not None or is_told or not libraries:
        return []
    size_bytes = sum(file.size_bytes or 0 for file in libraries)
    size = f" ({size_bytes / 1e9:.1f} GB)" if size_bytes >= 1e8 else ""
    return [
        WheelProblem(
            message=f"{needs[0].packages[0]} brings libraries of CUDA{size}; this host has no NVIDIA driver",
            hint="to have a build for the processor on such hosts: envforge add torch --torch auto",
            refuses=False,
        )
    ]


def wheels_error(problems: Sequence[WheelProblem], fitting: Sequence[str] = ()) -> HostError:
    """The error to raise.

    Args:
        problems: of which some refuse.
        fitting: names of the variants that this host could use instead.
    """
    refusing = [problem for problem in problems if problem.refuses]
    hints = [f"use the variant that fits this host: --variant {name}" for name in fitting[:1]]
    hints += dict.fromkeys(problem.hint for problem in refusing if problem.hint)
    return HostError(
        "this host cannot use the wheels that are locked for it",
        context=[problem.message for problem in refusing],
        hints=[*hints, IGNORE_HINT],
    )


def _cuda_of(package: LockedPackage) -> Version | None:
    """The CUDA that one package brings or was built for, None for none."""
    if _RUNTIME.fullmatch(package.name):
        major, _, rest = package.version.partition(".")
        minor = rest.partition(".")[0]
        return (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else None
    found = _LOCAL.search(package.version)
    if found:
        return int(found[1][:-1]), int(found[1][-1])
    suffix = _SUFFIX.search(package.name)
    return (int(suffix[1]), 0) if suffix else None


def _driver_problems(
    needs: Sequence[CudaNeed], facts: HostFacts, table: AcceleratorTable
) -> Iterator[WheelProblem]:
    driver = facts.nvidia
    if not needs or driver is None or facts.platform.startswith("osx"):
        return
    if driver.cuda is None:
        yield WheelProblem(
            message=f"the NVIDIA driver of this host cannot be used: {driver.fault};"
            f" {needs[0].packages[0]} will find no GPU",
            hint=driver.remedy,
            refuses=False,
        )
        return
    for need in needs:
        if need.cuda[0] > driver.cuda[0]:
            yield _too_old(need, driver, facts, table)


def _too_old(need: CudaNeed, driver: NvidiaDriver, facts: HostFacts, table: AcceleratorTable) -> WheelProblem:
    assert driver.cuda is not None
    # On WSL the driver, and so its version, is that of Windows.
    major = need.cuda[0]
    oldest = table.oldest_driver(major, "win-64" if facts.is_wsl else facts.platform)
    from_on = f" ({oldest} or newer)" if oldest else ""
    here = f"the driver {driver.version} here runs" if driver.version else f"{driver.told_by} says"
    brings = f"{_some(need.packages)} {_bring(need)} CUDA {_dotted(need.cuda)}"
    return WheelProblem(
        message=f"{brings}, which needs an NVIDIA driver for CUDA {major}{from_on};"
        f" {here} CUDA {_dotted(driver.cuda)}",
        hint=f"update the driver, or use a build for CUDA {driver.cuda[0]}: envforge add torch --torch auto",
    )


def _architecture_problems(
    packages: Sequence[LockedPackage], facts: HostFacts, table: AcceleratorTable
) -> Iterator[WheelProblem]:
    """GPUs that the build of torch was not compiled for."""
    build = torch_build(packages)
    if build is None or facts.cuda is None:
        return
    torch, index = build
    compiled = _compiled_for(torch, index, facts.platform, table)
    gpus = [gpu for gpu in facts.nvidia.gpus if gpu.capability is not None] if facts.nvidia else []
    if compiled is None or not gpus:
        return
    unsupported = [gpu for gpu in gpus if gpu.capability is not None and not compiled.runs_on(gpu.capability)]
    if unsupported:
        yield WheelProblem(
            message=f"{torch.name} {torch.version} ({index}) is not compiled for"
            f" {_some([_named(gpu) for gpu in unsupported])}, but for {_range(compiled)}",
            hint=_other_build(unsupported, facts, table),
            refuses=len(unsupported) == len(gpus),
        )


def _other_build(gpus: Sequence[Gpu], facts: HostFacts, table: AcceleratorTable) -> str:
    """What to do where a build is not for these GPUs: the newest one that is, else a newer driver."""
    assert facts.cuda is not None
    builds = [
        (table.index(entry.index), entry)
        for entry in table.compiled
        if facts.platform in entry.platforms
        and all(gpu.capability is not None and entry.runs_on(gpu.capability) for gpu in gpus)
    ]
    found = [(entry.last, index.cuda, index) for index, entry in builds if index is not None and index.cuda]
    here = max(
        (each for each in found if each[1][0] <= facts.cuda[0]), default=None, key=lambda each: each[:2]
    )
    if here is not None:
        (major, minor), _, index = here
        asked = "torch" if here[0] == table.newest_torch else f"'torch<{major}.{minor + 1}'"
        return f"{index.name} has a build for it, of torch {major}.{minor}: envforge add {asked} --torch auto"
    cuda = min((version[0] for _, version, _ in found), default=None)
    if cuda is None:
        return "no build of torch is known that is compiled for it"
    oldest = table.oldest_driver(cuda, "win-64" if facts.is_wsl else facts.platform)
    return f"update the NVIDIA driver to one for CUDA {cuda}{f' ({oldest} or newer)' if oldest else ''}"


def _compiled_for(
    torch: LockedPackage, index: str, platform: str, table: AcceleratorTable
) -> CompiledFor | None:
    parts = torch.version.partition("+")[0].split(".")
    if len(parts) < 2 or not (parts[0].isdecimal() and parts[1].isdecimal()):
        return None
    return table.compiled_for(index, (int(parts[0]), int(parts[1])), platform)


def _system_problems(files: Sequence[LockedFile], facts: HostFacts) -> Iterator[WheelProblem]:
    """Wheels for a newer C library, or a newer macOS."""
    setting = "lock for it: {} under tool.envforge.system"
    for what, here, needed in (("glibc", facts.glibc, oldest_glibc), ("macOS", facts.macos, oldest_macos)):
        if here is None:
            continue
        needing = [(version, file.filename) for file in files if (version := needed(file.filename))]
        too_new = sorted((entry for entry in needing if entry[0] > here), reverse=True)
        if too_new:
            names = _some([filename.partition("-")[0] for _, filename in too_new])
            yield WheelProblem(
                message=f"{names} {'needs' if len(too_new) == 1 else 'need'} {what} {_dotted(too_new[0][0])};"
                f" this host has {_dotted(here)}",
                hint=setting.format(what.lower()),
            )


def oldest_glibc(filename: str) -> Version | None:
    """The oldest glibc that a wheel runs on by its name (PEP 600), None where it does not say."""
    tags = filename.removesuffix(".whl").rpartition("-")[2]
    found = [(int(major), int(minor)) for major, minor in _MANYLINUX.findall(tags)]
    found += [version for prefix, version in _LEGACY_MANYLINUX.items() if prefix in tags]
    return min(found, default=None)


def oldest_macos(filename: str) -> Version | None:
    """The oldest macOS that a wheel runs on by its name, None where it does not say."""
    tags = filename.removesuffix(".whl").rpartition("-")[2]
    return min(((int(major), int(minor)) for major, minor in _MACOS.findall(tags)), default=None)


def _named(gpu: Gpu) -> str:
    return f"{gpu.name} ({_dotted(gpu.capability)})" if gpu.capability else gpu.name


def _range(compiled: CompiledFor) -> str:
    return f"{_dotted(compiled.compiled[0])} to {_dotted(compiled.compiled[-1])}"


def _bring(need: CudaNeed) -> str:
    return "brings" if len(need.packages) == 1 else "bring"


def _some(names: Sequence[str]) -> str:
    names = list(dict.fromkeys(names))
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _dotted(version: Version) -> str:
    return f"{version[0]}.{version[1]}"
