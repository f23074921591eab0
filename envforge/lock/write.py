"""Value to text: the same lock gives the same bytes."""

from __future__ import annotations

from typing import Any

from msgspec.json import encode as encoded
from msgspec.json import format as formatted

from envforge.lock.conda_records import record_table
from envforge.lock.schema import DIRECT_VERSION, VARIANT_VERSION, VERSION
from envforge.model.lock import Lock, LockedFile, LockedPackage, LockedTarget
from envforge.model.sources import FolderOrigin, GitOrigin, Origin
from envforge.model.target import SystemAssumptions


def format_lock(lock: Lock) -> str:
    """The text of ``envforge.lock``."""
    document: dict[str, Any] = {
        "version": _version(lock),
        "inputs": lock.inputs,
        "indexes": [{"name": index.name, "url": index.url} for index in lock.indexes],
        "targets": [_target(target) for target in lock.targets],
        "packages": {package.id: _package(package) for package in lock.packages.values()},
    }
    if lock.channels:
        document["channels"] = list(lock.channels)
    if lock.conda_packages:
        document["conda"] = {
            record_id: record_table(record) for record_id, record in lock.conda_packages.items()
        }
    if lock.exclude_newer:
        document["exclude-newer"] = lock.exclude_newer
    return formatted(encoded(document, order="sorted"), indent=1).decode() + "\n"


def _version(lock: Lock) -> int:
    if any(package.origin is not None for package in lock.packages.values()):
        return DIRECT_VERSION
    return VARIANT_VERSION if any(target.target.variant for target in lock.targets) else VERSION


def _target(target: LockedTarget) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "platform": target.target.platform,
        "python": target.target.python,
        "system": _system(target.target.system),
        "groups": {group: list(ids) for group, ids in target.groups.items()},
    }
    if target.target.variant:
        fields["variant"] = target.target.variant
    if target.conda:
        fields["conda"] = list(target.conda)
    return fields


def _system(system: SystemAssumptions) -> dict[str, str]:
    fields = {"glibc": "{}.{}".format(*system.glibc), "macos": "{}.{}".format(*system.macos)}
    if system.linux != SystemAssumptions().linux:
        fields["linux"] = "{}.{}".format(*system.linux)
    if system.cuda is not None:
        fields["cuda"] = "{}.{}".format(*system.cuda)
    if system.archspec:
        fields["archspec"] = system.archspec
    return fields


def _package(package: LockedPackage) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "name": package.name,
        "version": package.version,
        "index": package.index,
        "source": _source(package.origin) if package.origin is not None else {},
        "requires": list(package.requires),
        "requires-python": package.requires_python,
        "files": [_file(file) for file in package.files],
    }
    return {key: value for key, value in fields.items() if value}


def _source(origin: Origin) -> dict[str, Any]:
    if isinstance(origin, FolderOrigin):
        return {origin.mode.value: origin.path}
    if isinstance(origin, GitOrigin):
        return _git_source(origin)
    fields = {"url" if origin.is_url else "path": origin.place, "subdirectory": origin.subdirectory}
    return {key: value for key, value in fields.items() if value}


def _git_source(origin: GitOrigin) -> dict[str, Any]:
    fields = {
        "git": origin.url,
        "commit": origin.commit,
        origin.reference.kind or "": origin.reference.name,
        "subdirectory": origin.subdirectory,
        "lfs": origin.lfs,
        "submodules": None if origin.submodules else False,
    }
    return {str(key): value for key, value in fields.items() if value not in (None, "")}


def _file(file: LockedFile) -> dict[str, Any]:
    fields = {"url": file.url, "sha256": file.sha256, "size": file.size_bytes, "targets": list(file.targets)}
    return {key: value for key, value in fields.items() if value is not None}
