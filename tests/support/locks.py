"""Small locks and resolutions, told by names and versions only."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from envforge.lock.build import build_lock
from envforge.model.conda import CondaRecord
from envforge.model.lock import PROJECT_GROUP, Lock, LockedIndex
from envforge.model.release import CoreMetadata, IndexFile
from envforge.model.requirement import parse_requirement
from envforge.model.resolution import Pin, TargetResolution
from envforge.model.target import Target

PYPI = LockedIndex(name="pypi", url="https://pypi.org/simple")
INPUTS = f"sha256:{'0' * 64}"
CONDA_FORGE = "https://conda.anaconda.org/conda-forge"


def index_file(filename: str, *, sha256: str | None = None, index: str = "pypi") -> IndexFile:
    """A file whose digest and address follow from its name."""
    digest = hashlib.sha256(filename.encode()).hexdigest()
    return IndexFile(
        filename=filename,
        url=f"https://files.pythonhosted.org/packages/{digest[:8]}/{filename}",
        index=index,
        sha256=digest if sha256 is None else sha256,
        size_bytes=len(filename) * 1000,
    )


def pin(
    name: str,
    version: str,
    requires: Iterable[str] = (),
    *,
    extras: Iterable[str] = (),
    file: IndexFile | None = None,
    requires_python: str = "",
) -> Pin:
    """A release; without a file, one wheel for everything."""
    metadata = CoreMetadata(
        name=name,
        version=version,
        requires_python=requires_python,
        requires=tuple(parse_requirement(text) for text in requires),
    )
    wheel = file or index_file(f"{name.replace('-', '_')}-{version}-py3-none-any.whl")
    return Pin(name=name, version=version, extras=frozenset(extras), file=wheel, metadata=metadata)


def conda_record(
    name: str,
    version: str,
    depends: Iterable[str] = (),
    *,
    build: str = "h0_0",
    subdir: str = "linux-64",
    channel: str = CONDA_FORGE,
    pypi: str = "",
    **fields: Any,
) -> CondaRecord:
    """A record whose digest and address follow from its name; ``pypi`` is the project that it is."""
    filename = f"{name}-{version}-{build}.conda"
    return CondaRecord(
        name=name,
        version=version,
        build=build,
        build_number=fields.pop("build_number", 0),
        subdir=subdir,
        url=f"{channel}/{subdir}/{filename}",
        channel=channel,
        sha256=hashlib.sha256(filename.encode()).hexdigest(),
        size_bytes=len(filename) * 1000,
        depends=tuple(depends),
        pypi_names=(pypi,) if pypi else (),
        **fields,
    )


def conda_python(version: str = "3.12.8", depends: Iterable[str] = (), **fields: Any) -> CondaRecord:
    """The Python that a target with conda packages has to have."""
    return conda_record("python", version, depends, build="h0_0_cpython", **fields)


def resolution(
    platform: str,
    pins: Iterable[Pin],
    *,
    python: str = "3.12",
    groups: Mapping[str, Iterable[str]] | None = None,
    conda: Iterable[CondaRecord] = (),
) -> TargetResolution:
    """One target's answer; without groups, the project's group reaches everything.

    Conda's Python, where there is one, is the target's.
    """
    by_name = {item.name: item for item in pins}
    records = tuple(sorted(conda, key=lambda record: record.name))
    python = next((record.version for record in records if record.name == "python"), python)
    reached = {PROJECT_GROUP: by_name.keys()} if groups is None else groups
    return TargetResolution(
        target=Target(platform=platform, python=python),
        pins=by_name,
        groups={group: frozenset(names) for group, names in reached.items()},
        conda=records,
    )


def lock_of(*resolutions: TargetResolution, inputs: str = INPUTS, channels: Sequence[str] = ()) -> Lock:
    """A lock; its channels are those of its records unless they are named."""
    used = dict.fromkeys(record.channel for each in resolutions for record in each.conda)
    return build_lock(
        inputs=inputs,
        exclude_newer="",
        indexes=[PYPI],
        resolutions=resolutions,
        channels=channels or tuple(used),
    )


def simple_lock(
    versions: Mapping[str, str],
    platforms: Sequence[str] = ("linux-64", "osx-arm64"),
    *,
    inputs: str = INPUTS,
    python: str = "3.12",
) -> Lock:
    """The same packages for every platform."""
    pins = [pin(name, version) for name, version in versions.items()]
    return lock_of(*(resolution(platform, pins, python=python) for platform in platforms), inputs=inputs)
