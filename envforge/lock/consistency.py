"""What has to be true of a lock beyond its shape: ids lead somewhere, nothing is there twice.

A lock is written by a program, but merges and hands put pieces together that never were one. Nothing
here asks whether the versions meet the requirements: that is the resolver's word.

Standards: PEP 440 (canonical versions), PEP 503 (normalized names).
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from typing import TYPE_CHECKING

from envforge.errors import RequirementError
from envforge.model.lock import Lock, LockedFile, LockedPackage, LockedTarget

if TYPE_CHECKING:
    from envforge.model.sources import GitOrigin

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_VERSION = re.compile(
    r"([1-9]\d*!)?(0|[1-9]\d*)(\.(0|[1-9]\d*))*((a|b|rc)(0|[1-9]\d*))?(\.post(0|[1-9]\d*))?"
    r"(\.dev(0|[1-9]\d*))?(\+[a-z0-9]+(\.[a-z0-9]+)*)?",
    re.ASCII,
)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_URL = re.compile(r"[a-z][a-z0-9+.-]*://|(?:\.{0,2}|~)/")
"""Also a path, from the project's folder: ``./wheels/x-1.0-py3-none-any.whl``."""
_PLACE = re.compile(r"https?://|(?:\.{0,2}|~)/|\.{1,2}$|[A-Za-z]:/")


def find_faults(lock: Lock, *, whole: bool = True) -> list[str]:
    """Every contradiction in a lock, as ``dotted.path: what is wrong``; empty for none.

    Args:
        lock: of the right shape.
        whole: not only a side of a conflict, which may lack the Python of its conda packages.
    """
    target_ids = _repeated(target.id for target in lock.targets)
    index_names = _repeated(index.name for index in lock.indexes)
    faults = [f"targets: {target_id} is there twice" for target_id in target_ids]
    faults += [
        f"targets.{target.id}.variant: {target.target.variant!r} is no normalized name"
        for target in lock.targets
        if target.target.variant and not _NAME.fullmatch(target.target.variant)
    ]
    faults += [f"indexes: {name} is there twice" for name in index_names]
    for found in find_package_faults(lock).values():
        faults += found
    for target in lock.targets:
        faults += _target_faults(target, lock)
    if not (lock.channels or lock.conda_packages or any(target.conda for target in lock.targets)):
        return faults
    from envforge.lock.conda_consistency import find_conda_faults, find_python_faults

    faults += find_conda_faults(lock)
    return faults or (list(find_python_faults(lock)) if whole else [])


def find_package_faults(lock: Lock) -> dict[str, list[str]]:
    """Id → what is wrong in the package's own entry; only of those where something is."""
    index_names = {index.name for index in lock.indexes}
    target_ids = {target.id for target in lock.targets}
    faults = {
        package_id: list(_package_faults(package_id, package, index_names, target_ids))
        for package_id, package in lock.packages.items()
    }
    return {package_id: found for package_id, found in faults.items() if found}


def has_file_for(package: LockedPackage, target_id: str) -> bool:
    """Whether a target installs a file of the package; a folder is for whoever names it."""
    return not package.has_files or any(target_id in file.targets for file in package.files)


def _package_faults(
    package_id: str, package: LockedPackage, index_names: Container[str], target_ids: Container[str]
) -> Iterator[str]:
    where = f"packages.{package_id}"
    if not _NAME.fullmatch(package.name):
        yield f"{where}.name: {package.name!r} is no normalized name"
    elif package_id not in _possible_ids(package):
        yield f"{where}: its id has to be {package.name} or {package.name}@{package.version}"
    if not _VERSION.fullmatch(package.version):
        yield f"{where}.version: {package.version!r} is no canonical version"
    if package.index and package.index not in index_names:
        yield f"{where}.index: no index is named {package.index}"
    if package.origin is not None:
        yield from _origin_faults(f"{where}.source", package)
    for number, file in enumerate(package.files):
        yield from _file_faults(f"{where}.files[{number}]", file, target_ids)
    if len(package.files) > 1:
        for target_id in _repeated(target for file in package.files for target in set(file.targets)):
            yield f"{where}.files: more than one is for {target_id}"


def _origin_faults(where: str, package: LockedPackage) -> Iterator[str]:
    from envforge.model.sources import GitOrigin

    place = str(package.origin)
    if package.index:
        yield f"{where}: {package.name} comes from index {package.index}, too"
    if isinstance(package.origin, GitOrigin):
        yield from _git_faults(where, package.origin, package)
        return
    if not _PLACE.match(place) or "\0" in place:
        yield f"{where}: {place!r} is neither an absolute URL nor a path"
    if package.files and not package.has_files:
        yield f"{where}: a folder has no files"
    elif package.has_files and len(package.files) != 1:
        yield f"{where}: an archive is one file"


def _git_faults(where: str, origin: GitOrigin, package: LockedPackage) -> Iterator[str]:
    from envforge.model.git import is_commit, parse_git_reference, parse_remote

    if package.files:
        yield f"{where}: a commit has no files"
    if not is_commit(origin.commit):
        yield f"{where}.commit: has to be 40 lower-case hexadecimal digits"
    inside = origin.subdirectory
    if inside.startswith("/") or ".." in inside.split("/") or "\\" in inside or "\0" in inside:
        yield f"{where}.subdirectory: {inside!r} is no folder inside a repository"
    try:
        if parse_remote(origin.url).url != origin.url:
            yield f"{where}.git: has credentials, which must not be in a lock"
    except RequirementError as error:
        yield f"{where}.git: {error.message}"
    try:
        parse_git_reference(origin.reference.kind, origin.reference.name)
    except RequirementError as error:
        yield f"{where}: {error.message}"


def _possible_ids(package: LockedPackage) -> tuple[str, ...]:
    name, version = package.name, package.version
    return name, f"{name}@{version}", f"{name}@{version}@{package.place}"


def _file_faults(where: str, file: LockedFile, target_ids: Container[str]) -> Iterator[str]:
    if not _SHA256.fullmatch(file.sha256):
        yield f"{where}.sha256: has to be 64 lower-case hexadecimal digits"
    if not _URL.match(file.url):
        yield f"{where}.url: {file.url!r} is neither an absolute URL nor a path"
    # The name becomes that of a file on disk, and "..%2F" in a URL would lead out of its folder.
    elif (name := file.filename) in ("", ".", "..") or "/" in name or "\\" in name or "\0" in name:
        yield f"{where}.url: {file.url!r} does not end with a file name"
    if not file.targets:
        yield f"{where}.targets: names no target"
    for target in file.targets:
        if target not in target_ids:
            yield f"{where}.targets: {target} is no target of this lock"


def _target_faults(target: LockedTarget, lock: Lock) -> Iterator[str]:
    """Groups name packages that exist and have a file for the target, one version of each."""
    versions: dict[str, dict[str, str]] = {}
    for group, ids in target.groups.items():
        where = f"targets.{target.id}.groups.{group}"
        for package_id in _repeated(ids):
            yield f"{where}: {package_id} is there twice"
        for package_id in dict.fromkeys(ids):
            package = lock.packages.get(package_id)
            if package is None:
                yield f"{where}: no package has the id {package_id}"
            elif not has_file_for(package, target.id):
                yield f"{where}: no file of {package_id} is for {target.id}"
            else:
                versions.setdefault(package.name, {})[package_id] = package.version
    for name, found in versions.items():
        if len(found) > 1:
            told = ", ".join(sorted(found.values()))
            yield f"targets.{target.id}.groups: more than one version of {name}: {told}"


def _repeated(names: Iterable[str]) -> list[str]:
    """What is there more than once, in order."""
    seen: set[str] = set()
    again: dict[str, None] = {}
    for name in names:
        if name in seen:
            again[name] = None
        seen.add(name)
    return list(again)
