"""Which variants a project needs so that each kind of host gets its build of torch. Pure.

``auto``: for each generation of drivers the newest build of CUDA that there is for it, ROCm, macOS, and the
processor for all others. They are tried in this order. What is not known of a host (the architecture of its
GPUs, where a variable stands for the driver) leads to the build that runs on most.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from envforge.errors import RequirementError, UsageError
from envforge.model.accelerators import Version
from envforge.model.requirement import specifier_admits
from envforge.plan.accelerator_table import AcceleratorIndex, AcceleratorTable

AUTO = "auto"
_RELEASES_BEHIND = 2
"""An older generation is served as long as its newest torch is no more than this many releases behind."""
_PATCHES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchVariant:
    """A variant to write.

    Args:
        name: ``cuda13``.
        index: what torch comes from, None for PyPI.
        packages: names of the projects that come from it.
        cuda, cuda_arch, rocm: ranges for ``when``, "" for none.
        platforms: for ``when``, empty for all.
    """

    name: str
    index: AcceleratorIndex | None
    packages: tuple[str, ...] = ()
    cuda: str = ""
    cuda_arch: str = ""
    rocm: str = ""
    platforms: tuple[str, ...] = ()


def plan_torch_variants(
    choice: str, specifier: str, platforms: Sequence[str], table: AcceleratorTable
) -> list[TorchVariant]:
    """The variants in the order to write them; empty where every platform has one build only.

    Args:
        choice: ``auto``, or the name of an index.
        specifier: what is asked of torch's version, "" for anything.
        platforms: that the project locks for.
        table: of builds.

    Raises:
        UsageError: no such index, or it has nothing for these platforms.
    """
    if choice != AUTO:
        return _plan_one(choice, specifier, platforms, table)
    torch = newest_admitted(specifier, table)
    if not _admits(specifier, torch):
        specifier = f"=={torch[0]}.{torch[1]}.*"  # newer than the table: as the newest release in it
    planned = [
        *_cuda_variants(specifier, torch, platforms, table),
        *_rocm_variants(specifier, torch, platforms, table),
    ]
    return [*planned, *_others(platforms, table)] if planned else []


def newest_admitted(specifier: str, table: AcceleratorTable) -> Version:
    """The newest release of torch in the table that a specifier admits; the newest of all for none.

    Whoever asks for a release that the table does not know yet gets the builds of the newest one.
    """
    known = {index.last for index in table.indexes}
    major, newest = table.newest_torch
    releases = sorted({*known, *((major, minor) for minor in range(newest + 1))}, reverse=True)
    return next((release for release in releases if _admits(specifier, release)), table.newest_torch)


def _admits(specifier: str, release: Version) -> bool:
    if not specifier:
        return True
    versions = (f"{release[0]}.{release[1]}.{patch}" for patch in range(_PATCHES))
    try:
        return any(specifier_admits(specifier, version) for version in versions)
    except RequirementError:
        return True  # said by those who read the requirement


def _newest_of(index: AcceleratorIndex, specifier: str, torch: Version) -> Version | None:
    """The newest release that an index has and a specifier admits, None for none that is new enough."""
    for minor in range(min(index.last[1], torch[1]), torch[1] - _RELEASES_BEHIND - 1, -1):
        release = (torch[0], minor)
        if index.has(release) and _admits(specifier, release):
            return release
    return None


def _cuda_variants(
    specifier: str, torch: Version, platforms: Sequence[str], table: AcceleratorTable
) -> Iterator[TorchVariant]:
    chain = _cuda_chain(specifier, torch, platforms, table)
    lowest = [_lowest_architecture(index, release, platforms, table) for index, release in chain]
    names: dict[str, int] = {}
    for number, (index, release) in enumerate(chain):
        assert index.cuda is not None
        name = f"cuda{index.cuda[0]}"
        names[name] = names.get(name, 0) + 1
        later = [capability for capability in lowest[number + 1 :] if capability is not None]
        own = lowest[number]
        has_older = own is not None and any(capability < own for capability in later)
        served = _served(index, release, platforms)
        possible = [platform for platform in platforms if _may_have_cuda(platform)]
        yield TorchVariant(
            name=name if names[name] == 1 else f"{name}-older-gpus",
            index=index,
            packages=(*table.packages, *index.packages),
            cuda=f">={index.cuda[0]}.0",
            cuda_arch=f">={own[0]}.{own[1]}" if own is not None and has_older else "",
            platforms=() if served == possible else tuple(served),
        )


def _cuda_chain(
    specifier: str, torch: Version, platforms: Sequence[str], table: AcceleratorTable
) -> list[tuple[AcceleratorIndex, Version]]:
    """The indexes to try one after the other: the best of each CUDA, then one that older GPUs need."""
    found = [
        (index, release)
        for index in table.indexes
        if index.cuda is not None
        and index.is_usual
        and (release := _newest_of(index, specifier, torch)) is not None
        and _served(index, release, platforms)
    ]
    found.sort(key=lambda entry: (_major(entry[0]), entry[1], entry[0].cuda), reverse=True)
    chain: list[tuple[AcceleratorIndex, Version]] = []
    for index, release in found:
        same = [other for other in chain if _major(other[0]) == _major(index)]
        own = _lowest_architecture(index, release, platforms, table)
        best = _lowest_architecture(*same[0], platforms, table) if same else None
        if not same or (len(same) == 1 and own is not None and best is not None and own < best):
            chain.append((index, release))
    return chain


def _major(index: AcceleratorIndex) -> int:
    return index.cuda[0] if index.cuda is not None else 0


def _lowest_architecture(
    index: AcceleratorIndex, release: Version, platforms: Sequence[str], table: AcceleratorTable
) -> Version | None:
    """The oldest GPUs that builds run on; of a release that is not known, those of the one before."""
    known = [
        entry
        for entry in table.compiled
        if entry.index == index.name and entry.first <= release and set(entry.platforms) & set(platforms)
    ]
    newest = max((entry.last for entry in known), default=None)
    return min((entry.compiled[0] for entry in known if entry.last == newest), default=None)


def _rocm_variants(
    specifier: str, torch: Version, platforms: Sequence[str], table: AcceleratorTable
) -> Iterator[TorchVariant]:
    """The newest ROCm of each major version; of the newest first."""
    seen: set[int] = set()
    for index in table.indexes:
        if index.rocm is None or not index.is_usual or index.rocm[0] in seen:
            continue
        release = _newest_of(index, specifier, torch)
        if release is None or not _served(index, release, platforms):
            continue
        seen.add(index.rocm[0])
        yield TorchVariant(
            name=f"rocm{index.rocm[0]}",
            index=index,
            packages=(*table.packages, *index.packages),
            rocm=f">={index.rocm[0]}.0",
        )


def _others(platforms: Sequence[str], table: AcceleratorTable) -> Iterator[TorchVariant]:
    """macOS, where PyPI has the one build that there is, and the processor."""
    macs = tuple(platform for platform in platforms if platform.startswith("osx"))
    rest = tuple(platform for platform in platforms if platform not in macs)
    if macs:
        yield TorchVariant(name="macos", index=None, platforms=macs)
    # without `when` it would be locked for macOS, too
    yield TorchVariant(
        name="cpu", index=table.index("cpu"), packages=table.packages, platforms=rest if macs else ()
    )


def _plan_one(
    choice: str, specifier: str, platforms: Sequence[str], table: AcceleratorTable
) -> list[TorchVariant]:
    """One index wherever it has wheels, PyPI elsewhere."""
    index = table.index(choice)
    if index is None:
        raise UsageError(
            f"there is no index of torch named {choice!r}",
            context=[f"known on {table.date}: {', '.join(index.name for index in table.indexes)}"],
            hints=["auto chooses by the host", "for another one: an index and a source, see docs/gpu.md"],
        )
    release = min(newest_admitted(specifier, table), index.last)
    served = _served(index, max(release, index.first), platforms)
    if not served:
        raise UsageError(
            f"{choice} has no torch for {', '.join(platforms)}",
            context=[f"it is for {', '.join(index.platforms)}"],
            hints=["auto chooses by the host"],
        )
    rest = tuple(platform for platform in platforms if platform not in served)
    packages = (*table.packages, *index.packages)
    variant = TorchVariant(
        name=choice.replace(".", "-"), index=index, packages=packages, platforms=tuple(served) if rest else ()
    )
    if not rest:
        return [variant]
    name = "macos" if all(platform.startswith("osx") for platform in rest) else "other"
    return [variant, TorchVariant(name=name, index=None)]


def _served(index: AcceleratorIndex, release: Version, platforms: Sequence[str]) -> list[str]:
    return [platform for platform in platforms if index.serves(platform, release)]


def _may_have_cuda(platform: str) -> bool:
    return not platform.startswith("osx") and platform != "win-arm64"
