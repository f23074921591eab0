"""From the resolutions of all targets to one lock, told package by package."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from envforge.errors import LockError
from envforge.model.lock import Lock, LockedFile, LockedIndex, LockedPackage, LockedTarget
from envforge.model.markers import holding_requirements
from envforge.model.release import IndexFile
from envforge.model.resolution import Pin, TargetResolution
from envforge.model.sources import ArchiveOrigin, FolderOrigin, GitOrigin

if TYPE_CHECKING:
    from envforge.model.conda import CondaRecord

_Releases: TypeAlias = defaultdict[str, defaultdict[str, set[str]]]
"""Name → version → the places that it comes from."""


def build_lock(
    *,
    inputs: str,
    exclude_newer: str,
    indexes: Sequence[LockedIndex],
    channels: Sequence[str] = (),
    resolutions: Sequence[TargetResolution],
) -> Lock:
    """Join resolutions into a lock.

    Args:
        inputs: digest of the manifest's resolution inputs.
        exclude_newer: limit that was in force, an instant or an age, ``""`` for none.
        indexes: those that files came from.
        channels: URLs of the conda channels, first the one that wins.
        resolutions: one per target, in the manifest's order.

    Raises:
        LockError: a chosen file has no sha256.
    """
    releases: _Releases = defaultdict(lambda: defaultdict(set))
    for resolution in resolutions:
        for pin in resolution.pins.values():
            releases[pin.name][pin.version].add(pin.file.place)
    uses: dict[str, list[tuple[TargetResolution, Pin]]] = defaultdict(list)
    for resolution in resolutions:
        for pin in resolution.pins.values():
            uses[_package_id(pin, releases)].append((resolution, pin))
    record_ids = _record_ids(resolutions)
    return Lock(
        inputs=inputs,
        exclude_newer=exclude_newer,
        indexes=tuple(sorted(indexes, key=lambda index: index.name)),
        targets=tuple(_locked_target(resolution, releases, record_ids) for resolution in resolutions),
        packages={package_id: _package(package_id, uses[package_id]) for package_id in sorted(uses)},
        channels=tuple(channels),
        conda_packages=dict(
            sorted({record_ids[record]: record for each in resolutions for record in each.conda}.items())
        ),
    )


def _record_ids(resolutions: Sequence[TargetResolution]) -> dict[CondaRecord, str]:
    """The id of each record: its own, or its URL where two channels have archives of one name."""
    urls: dict[str, set[str]] = defaultdict(set)
    for resolution in resolutions:
        for record in resolution.conda:
            urls[record.id].add(record.url)
    return {
        record: record.id if len(urls[record.id]) == 1 else record.url
        for resolution in resolutions
        for record in resolution.conda
    }


def _package_id(pin: Pin, releases: _Releases) -> str:
    """The name alone where it is enough: a new version then changes one entry of the lock, not all lists.

    The same version from two places is two packages: they may be built for different hardware.
    """
    versions = releases[pin.name]
    if len(versions[pin.version]) > 1:
        return f"{pin.name}@{pin.version}@{pin.file.place}"
    return pin.name if len(versions) == 1 else f"{pin.name}@{pin.version}"


def _locked_target(
    resolution: TargetResolution,
    releases: _Releases,
    record_ids: Mapping[CondaRecord, str],
) -> LockedTarget:
    return LockedTarget(
        target=resolution.target,
        groups={
            group: tuple(sorted(_package_id(resolution.pins[name], releases) for name in names))
            for group, names in sorted(resolution.groups.items())
        },
        conda=tuple(sorted(record_ids[record] for record in resolution.conda)),
    )


def _package(package_id: str, uses: Sequence[tuple[TargetResolution, Pin]]) -> LockedPackage:
    _, first = uses[0]
    return LockedPackage(
        id=package_id,
        name=first.name,
        version=first.version,
        index=first.file.index,
        requires=tuple(sorted(set(_requires(uses)))),
        requires_python=first.metadata.requires_python or first.file.requires_python,
        files=_files(uses),
        origin=first.file.origin,
    )


def _requires(uses: Sequence[tuple[TargetResolution, Pin]]) -> Iterable[str]:
    """The requirements that hold for at least one target, with the extras that it asks for."""
    holding = {
        requirement
        for resolution, pin in uses
        for requirement in holding_requirements(pin.metadata.requires, resolution.target, pin.extras)
    }
    return map(str, holding)


def _files(uses: Sequence[tuple[TargetResolution, Pin]]) -> tuple[LockedFile, ...]:
    """The chosen files, each once. Two of one name from different places stay two."""
    chosen: dict[tuple[str, str, str], tuple[IndexFile, set[str]]] = {}
    for resolution, pin in uses:
        file = pin.file
        if isinstance(file.origin, (FolderOrigin, GitOrigin)):
            continue
        if not file.sha256:
            raise LockError(
                f"{file.filename} has no sha256, so that it cannot be locked",
                context=[f"index: {file.index}", f"url: {file.url}"],
            )
        _, targets = chosen.setdefault((file.filename, file.url, file.sha256), (file, set()))
        targets.add(resolution.target.id)
    return tuple(
        LockedFile(
            url=_locked_url(file),
            sha256=file.sha256,
            size_bytes=file.size_bytes,
            targets=tuple(sorted(targets)),
        )
        for _, (file, targets) in sorted(chosen.items())
    )


def _locked_url(file: IndexFile) -> str:
    """Where the file is, for everybody: an archive of the project's own disk by its path."""
    if not isinstance(file.origin, ArchiveOrigin) or file.origin.is_url:
        return file.url
    from urllib.parse import quote

    return quote(file.origin.place)
