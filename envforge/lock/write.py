"""Value to text: the same lock gives the same bytes."""

from __future__ import annotations

import json
from typing import Any

from envforge.lock.schema import VERSION
from envforge.model.lock import Lock, LockedFile, LockedPackage, LockedTarget


def format_lock(lock: Lock) -> str:
    """The text of ``envforge.lock``."""
    document: dict[str, Any] = {
        "version": VERSION,
        "inputs": lock.inputs,
        "indexes": [{"name": index.name, "url": index.url} for index in lock.indexes],
        "targets": [_target(target) for target in lock.targets],
        "packages": {package.id: _package(package) for package in lock.packages.values()},
    }
    if lock.exclude_newer:
        document["exclude-newer"] = lock.exclude_newer
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _target(target: LockedTarget) -> dict[str, Any]:
    system = target.target.system
    return {
        "platform": target.target.platform,
        "python": target.target.python,
        "system": {"glibc": "{}.{}".format(*system.glibc), "macos": "{}.{}".format(*system.macos)},
        "groups": {group: list(ids) for group, ids in target.groups.items()},
    }


def _package(package: LockedPackage) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "name": package.name,
        "version": package.version,
        "index": package.index,
        "requires": list(package.requires),
        "requires-python": package.requires_python,
        "files": [_file(file) for file in package.files],
    }
    return {key: value for key, value in fields.items() if value}


def _file(file: LockedFile) -> dict[str, Any]:
    fields = {"url": file.url, "sha256": file.sha256, "size": file.size_bytes, "targets": list(file.targets)}
    return {key: value for key, value in fields.items() if value is not None}
