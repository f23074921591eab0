"""Which variants a project needs so that each kind of host gets its build of torch. Pure.

``auto``: for each generation of drivers the newest build of CUDA that there is for it, ROCm, macOS, and the
processor for all others. They are tried in this order. GPUs that the newest build of a CUDA leaves out have
one of their own. What is not known of a host (the architecture of its GPUs, where a variable stands for the
driver) leads to the build that runs on most.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from envforge.errors import RequirementError, UsageError
from envforge.model.accelerators import Version
from envforge.model.requirement import specifier_admits
from envforge.plan.accelerator_table import AcceleratorIndex, AcceleratorTable, CompiledFor
from envforge.struct import Struct

AUTO = "auto"
_RELEASES_BEHIND = 2
"""An older generation is served as long as its newest torch is no more than this many releases behind."""
_PATCHES = 10
_NEWER, _OLDER = "-newer-gpus", "-older-gpus"


class TorchVariant(Struct, frozen=True, kw_only=True):
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


def _newest_of(
    index: AcceleratorIndex, specifier: str, torch: Version, behind: int = _RELEASES_BEHIND
) -> Version | None:
    """The newest release that an index has and a specifier admits, None for none that is new enough."""
    for minor in range(min(index.last[1], torch[1]), torch[1] - behind - 1, -1):
        release = (torch[0], minor)
        if index.has(release) and _admits(specifier, release):
            return release
    return None


def _cuda_variants(
    specifier: str, torch: Version, platforms: Sequence[str], table: AcceleratorTable
) -> Iterator[TorchVariant]:
    """For each CUDA, newest first: newer GPUs that its newest torch leaves out, all, then older GPUs.

    The drivers of a CUDA run all builds of its major version, so that only GPUs tell these apart.
    """
    found = [
        _Build(index=index, release=release, compiled=_compiled(index, release, platforms, table))
        for index in table.indexes
        if index.cuda is not None
        and index.is_usual
        and (release := _newest_of(index, specifier, torch)) is not None
        and _served(index, release, platforms)
    ]
    bests = {build.major: max(_same(found, build.major), key=_Build.rank) for build in found}
    possible = [platform for platform in platforms if _may_have_cuda(platform)]
    for major, best in sorted(bests.items(), reverse=True):
        newer = _for_newer_gpus(best, specifier, torch, platforms, table)
        if newer is not None:
            yield _cuda_variant(newer, _NEWER, best.first_missing(newer), possible, table)
        others = [build.lowest for build in found if build.lowest is not None and build.major <= major]
        has_older = best.lowest is not None and min(others) < best.lowest
        yield _cuda_variant(best, "", best.lowest if has_older else None, possible, table)
        older = _for_older_gpus(best, _same(found, major))
        if older is not None:
            yield _cuda_variant(older, _OLDER, None, possible, table)


def _cuda_variant(
    build: _Build, suffix: str, lowest: Version | None, possible: Sequence[str], table: AcceleratorTable
) -> TorchVariant:
    """A variant for a build, from the oldest GPUs on that it is for."""
    assert build.index.cuda is not None
    served = _served(build.index, build.release, possible)
    # GPUs that are newer than a CUDA have drivers that are, too
    cuda = build.index.cuda if suffix == _NEWER else (build.major, 0)
    return TorchVariant(
        name=f"cuda{build.major}{suffix}",
        index=build.index,
        packages=(*table.packages, *build.index.packages),
        cuda=f">={cuda[0]}.{cuda[1]}",
        cuda_arch=f">={lowest[0]}.{lowest[1]}" if lowest is not None else "",
        platforms=() if served == possible else tuple(served),
    )


class _Build(Struct, frozen=True, kw_only=True):
    """A release of torch on an index for CUDA, and what is known of the GPUs that it runs on."""

    index: AcceleratorIndex
    release: Version
    compiled: CompiledFor | None

    @property
    def major(self) -> int:
        assert self.index.cuda is not None
        return self.index.cuda[0]

    @property
    def lowest(self) -> Version | None:
        """The oldest GPUs that it runs on."""
        return self.compiled.compiled[0] if self.compiled is not None else None

    def rank(self) -> tuple[Version, Version]:
        """The newest torch first, then the newest CUDA."""
        assert self.index.cuda is not None
        return self.release, self.index.cuda

    def first_missing(self, other: _Build) -> Version | None:
        """The oldest of the newer GPUs that another build runs on and this one does not."""
        if self.compiled is None or other.compiled is None:
            return None
        newest = self.compiled.compiled[-1]
        missing = (each for each in other.compiled.compiled if not self.compiled.runs_on(each))
        return min((each for each in missing if each > newest), default=None)


def _same(builds: Sequence[_Build], major: int) -> list[_Build]:
    return [build for build in builds if build.major == major]


def _for_older_gpus(best: _Build, same: Sequence[_Build]) -> _Build | None:
    """The best build of a CUDA for GPUs that its newest torch has left behind."""
    if best.lowest is None:
        return None
    older = [build for build in same if build.lowest is not None and build.lowest < best.lowest]
    return max(older, key=_Build.rank, default=None)


def _for_newer_gpus(
    best: _Build, specifier: str, torch: Version, platforms: Sequence[str], table: AcceleratorTable
) -> _Build | None:
    """The newest build of a CUDA for GPUs that its newest torch is not compiled for.

    CUDA 12.8 brought Blackwell, and torch went on with 12.6 for old GPUs only: a host whose driver is not for
    CUDA 13 has an older torch that works, or a newer one that does not.
    """
    found = []
    for index in table.indexes:
        if index.cuda is None or index.cuda[0] != best.major or not index.is_usual:
            continue
        release = _newest_of(index, specifier, torch, behind=torch[1])
        if release is None or not _served(index, release, platforms):
            continue
        build = _Build(index=index, release=release, compiled=_compiled(index, release, platforms, table))
        if best.first_missing(build) is not None:
            found.append(build)
    return max(found, key=_Build.rank, default=None)


def _compiled(
    index: AcceleratorIndex, release: Version, platforms: Sequence[str], table: AcceleratorTable
) -> CompiledFor | None:
    """The GPUs of a build, on the platform with the oldest; if not known, those of the release before."""
    known = [
        entry
        for entry in table.compiled
        if entry.index == index.name and entry.first <= release and set(entry.platforms) & set(platforms)
    ]
    newest = max((entry.last for entry in known), default=None)
    return min(
        (entry for entry in known if entry.last == newest), key=lambda entry: entry.compiled, default=None
    )


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
        from difflib import get_close_matches

        names = [index.name for index in table.indexes]
        close = get_close_matches(choice.lower(), [AUTO, *names], 1)
        raise UsageError(
            f"there is no index of torch named {choice!r}",
            context=[f"known on {table.date}: {', '.join(names)}"],
            hints=[
                *(f"did you mean {name}?" for name in close),
                "auto chooses by the host",
                "for another one: an index and a source, see docs/gpu.md",
            ],
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
