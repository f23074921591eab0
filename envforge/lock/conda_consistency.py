"""What has to be true of the conda part of a lock beyond its shape."""

from __future__ import annotations

import re
from collections.abc import Iterator

from envforge.model.conda import CondaRecord
from envforge.model.lock import Lock, LockedTarget

_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MD5 = re.compile(r"[0-9a-f]{32}")
_ARCHIVES = (".conda", ".tar.bz2")


def find_conda_faults(lock: Lock) -> Iterator[str]:
    """Every contradiction, as ``dotted.path: what is wrong``."""
    for record_id, record in lock.conda_packages.items():
        yield from _record_faults(record_id, record, lock)
    for target in lock.targets:
        yield from _target_faults(target, lock)


def _record_faults(record_id: str, record: CondaRecord, lock: Lock) -> Iterator[str]:
    where = f"conda.{record_id}"
    if record_id not in (record.id, record.url):
        yield f"{where}: its id has to be {record.id} or its URL"
    if not _NAME.fullmatch(record.name):
        yield f"{where}.name: {record.name!r} is no name of a conda package"
    if record.filename not in {f"{record.name}-{record.version}-{record.build}{end}" for end in _ARCHIVES}:
        yield f"{where}.url: {record.filename!r} is not the archive of {record}"
    if not record.url.startswith(f"{record.channel}/{record.subdir}/"):
        yield f"{where}.url: is not in {record.channel}/{record.subdir}"
    if record.channel not in lock.channels:
        yield f"{where}.channel: {record.channel} is no channel of this lock"
    if record.sha256 and not _SHA256.fullmatch(record.sha256):
        yield f"{where}.sha256: has to be 64 lower-case hexadecimal digits"
    if record.md5 and not _MD5.fullmatch(record.md5):
        yield f"{where}.md5: has to be 32 lower-case hexadecimal digits"
    if not (record.sha256 or record.md5):
        yield f"{where}: has neither sha256 nor md5"
    if record.noarch not in ("", "python", "generic"):
        yield f"{where}.noarch: has to be python or generic"


def _target_faults(target: LockedTarget, lock: Lock) -> Iterator[str]:
    where = f"targets.{target.id}.conda"
    names: dict[str, str] = {}
    for record_id in target.conda:
        record = lock.conda_packages.get(record_id)
        if record is None:
            yield f"{where}: no conda package has the id {record_id}"
        elif record.subdir not in (target.id, "noarch"):
            yield f"{where}: {record_id} is for another platform"
        elif record.name in names:
            yield f"{where}: {record.name} is there twice, as {names[record.name]} and {record_id}"
        else:
            names[record.name] = record_id
    python = next((lock.conda_packages[names[name]].version for name in names if name == "python"), "")
    if target.conda and python != target.target.python:
        yield f"targets.{target.id}.python: is {target.target.python}, but conda brings {python or 'none'}"
