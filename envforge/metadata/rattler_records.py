"""Records between envforge and py-rattler.

Standard: CEP 36 (records of repodata). Which PyPI projects a record is, is decided by
:mod:`envforge.metadata.conda_names`. What only solving needs of newer repodata (``extra_depends``, ``flags``)
is not carried.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from envforge.model.conda import CondaRecord

if TYPE_CHECKING:
    from rattler import RepoDataRecord

PypiNames = Callable[[str, str, Sequence[str], Sequence[str]], Sequence[str]]
"""(name, noarch, depends, purls) → normalized PyPI names: :func:`envforge.metadata.conda_names.pypi_names_of`
with the manifest's overrides."""

_HALF_MS = 0.5


def to_rattler(record: CondaRecord) -> RepoDataRecord:
    """A record as py-rattler's solver and installer want it, from nothing but what a lock holds."""
    from datetime import UTC, datetime

    from rattler import BuildString, PackageRecord, RepoDataRecord

    row = PackageRecord(
        record.name,
        record.version,
        BuildString.new_unchecked(record.build),
        record.build_number,
        record.subdir,
        noarch=record.noarch or None,  # type: ignore[arg-type]
        depends=list(record.depends),
        constrains=list(record.constrains),
        sha256=bytes.fromhex(record.sha256) or None,
        md5=bytes.fromhex(record.md5) or None,
        size=record.size_bytes,
        license=record.license or None,
        license_family=record.license_family or None,
        python_site_packages_path=record.python_site_packages_path or None,
    )
    if record.track_features:
        row.track_features = list(record.track_features)
    if record.features:
        row.features = record.features
    if record.timestamp_ms is not None:
        # The setter cuts off what is below a millisecond, and floats are seldom exact.
        row.timestamp = datetime.fromtimestamp((record.timestamp_ms + _HALF_MS) / 1000, tz=UTC)
    return RepoDataRecord(row, record.filename, record.url, record.channel)


def from_rattler(record: RepoDataRecord, pypi_names: PypiNames) -> CondaRecord:
    """A record of a solution, whole.

    It goes by way of JSON: 8 microseconds for a record, and one property alone would lose the purls.
    """
    row: dict[str, Any] = json.loads(record.to_json())
    depends, purls = tuple(row.get("depends", ())), tuple(sorted(row.get("purls") or ()))
    noarch = row.get("noarch") or ""
    return CondaRecord(
        name=row["name"],
        version=row["version"],
        build=row["build"],
        build_number=row["build_number"],
        subdir=row["subdir"],
        url=row["url"],
        channel=(row.get("channel") or "").rstrip("/"),
        sha256=row.get("sha256") or "",
        md5=row.get("md5") or "",
        size_bytes=row.get("size"),
        depends=depends,
        constrains=tuple(row.get("constrains", ())),
        noarch=noarch,
        license=row.get("license") or "",
        license_family=row.get("license_family") or "",
        timestamp_ms=row.get("timestamp"),
        track_features=_features(row.get("track_features")),
        features=row.get("features") or "",
        python_site_packages_path=row.get("python_site_packages_path") or "",
        purls=purls,
        pypi_names=tuple(pypi_names(row["name"], noarch, depends, purls)),
    )


def _features(value: str | list[str] | None) -> tuple[str, ...]:
    """``track_features`` in any of its spellings: a list, or a text with commas or spaces."""
    texts = [value] if isinstance(value, str) else value or []
    return tuple(feature for text in texts for feature in text.replace(",", " ").split())
