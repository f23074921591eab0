"""What has to be true of the conda part of a lock beyond its shape.

Whatever passes here can be turned into py-rattler's records, and its file names are safe on a disk.
Whether the records go together is asked in :mod:`envforge.lock.conda_check`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from envforge.model.lock import Lock, LockedTarget

if TYPE_CHECKING:
    from envforge.model.conda import CondaRecord

_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]*")
_PLAIN_VERSION = re.compile(r"(?:[0-9]{1,9}!)?[0-9A-Za-z]+(?:[._][0-9A-Za-z]+)*(?:\+[0-9A-Za-z]+)?")
_LONG_NUMBER = re.compile(r"[0-9]{18}")
_BUILD = re.compile(r"[0-9A-Za-z_.+]+")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MD5 = re.compile(r"[0-9a-f]{32}")
_URL = re.compile(
    r"https?://(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:/|$)|file://[A-Za-z0-9._-]*/"
)
_CREDENTIALS = re.compile(r"://[^/]*@")
_PYPI_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_ARCHIVES = (".conda", ".tar.bz2")
_YEAR_10000_MS = 253_402_300_800_000
_MOST = 2**63


def find_conda_faults(lock: Lock) -> Iterator[str]:
    """Every contradiction, as ``dotted.path: what is wrong``."""
    yield from _channel_faults(lock)
    for record_id, record in lock.conda_packages.items():
        yield from find_record_faults(record_id, record, lock)
    for target in lock.targets:
        yield from _target_faults(target, lock)


def find_python_faults(lock: Lock) -> Iterator[str]:
    """Targets with conda packages whose Python is not the one that conda brings."""
    for target in lock.targets:
        pythons = [record.version for record in lock.conda_records(target) if record.name == "python"]
        if target.conda and target.target.python not in pythons:
            brought = pythons[0] if pythons else "none"
            yield f"targets.{target.id}.python: is {target.target.python}, but conda brings {brought}"


def _channel_faults(lock: Lock) -> Iterator[str]:
    for number, channel in enumerate(lock.channels):
        if _CREDENTIALS.search(channel):
            yield f"channels[{number}]: has a user name or a password in it"
        elif "://" in channel and not _URL.match(channel):
            yield f"channels[{number}]: is neither a URL nor a folder"
        elif channel in lock.channels[:number]:
            yield f"channels: {channel} is there twice"


def find_record_faults(record_id: str, record: CondaRecord, lock: Lock) -> Iterator[str]:
    """What is wrong in a record's own entry."""
    where = f"conda.{record_id}"
    if record_id not in (record.id, record.url):
        yield f"{where}: its id has to be {record.id} or its URL"
    if record.channel not in lock.channels:
        yield f"{where}.channel: {record.channel} is no channel of this lock"
    if _CREDENTIALS.search(record.url):
        yield f"{where}.url: has a user name or a password in it"
    # A channel may keep its archives in another place (CEP 15); one in a folder has them there.
    elif not _URL.match(record.url) and not record.url.startswith(f"{record.channel}/"):
        yield f"{where}.url: {record.url!r} is no absolute URL"
    elif record.filename not in {f"{record.name}-{record.version}-{record.build}{end}" for end in _ARCHIVES}:
        yield f"{where}.url: {record.filename!r} is not the archive of {record}"
    yield from _field_faults(where, record)


def _field_faults(where: str, record: CondaRecord) -> Iterator[str]:
    if not _NAME.fullmatch(record.name):
        yield f"{where}.name: {record.name!r} is no name of a conda package"
    if not _is_version(record.version):
        yield f"{where}.version: {record.version!r} is no version"
    if not _BUILD.fullmatch(record.build):
        yield f"{where}.build: {record.build!r} is no build string"
    if record.sha256 and not _SHA256.fullmatch(record.sha256):
        yield f"{where}.sha256: has to be 64 lower-case hexadecimal digits"
    if record.md5 and not _MD5.fullmatch(record.md5):
        yield f"{where}.md5: has to be 32 lower-case hexadecimal digits"
    if not (record.sha256 or record.md5):
        yield f"{where}: has neither sha256 nor md5"
    if record.noarch not in ("", "python", "generic"):
        yield f"{where}.noarch: has to be python or generic"
    if max(record.build_number, record.size_bytes or 0) >= _MOST:
        yield f"{where}: has a build number or a size that is too large"
    if (record.timestamp_ms or 0) >= _YEAR_10000_MS:
        yield f"{where}.timestamp: is not in milliseconds since 1970"
    for name in record.pypi_names:
        if not _PYPI_NAME.fullmatch(name):
            yield f"{where}.pypi-names: {name!r} is no normalized name"


def _is_version(text: str) -> bool:
    """Whether py-rattler takes a version. It is asked only about those that are not plain: 26 ms."""
    if _PLAIN_VERSION.fullmatch(text) and not _LONG_NUMBER.search(text):
        return True
    if not text or text != text.strip() or "/" in text or "\\" in text:
        return False
    from rattler import Version
    from rattler.exceptions import InvalidVersionError

    try:
        Version(text)
    except InvalidVersionError:
        return False
    return True


def _target_faults(target: LockedTarget, lock: Lock) -> Iterator[str]:
    where = f"targets.{target.id}.conda"
    names: dict[str, str] = {}
    brought: dict[str, str] = {}
    for record_id in target.conda:
        record = lock.conda_packages.get(record_id)
        if record is None:
            yield f"{where}: no conda package has the id {record_id}"
        elif record.subdir not in (target.target.platform, "noarch"):
            yield f"{where}: {record_id} is for another platform"
        elif record.name in names:
            yield f"{where}: {record.name} is there twice, as {names[record.name]} and {record_id}"
        else:
            names[record.name] = record_id
            brought.update(dict.fromkeys(record.pypi_names, record_id))
    for package_id in target.package_ids(target.groups) if brought else ():
        package = lock.packages.get(package_id)
        if package is not None and package.name in brought:
            yield f"targets.{target.id}: {package_id} comes from PyPI and with {brought[package.name]} too"
