"""What rows of repodata tell of themselves, as far as solving does not find it out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from envforge.index.conda_gateway import NOARCH
from envforge.model.cutoff import parse_instant

if TYPE_CHECKING:
    from rattler import RepoDataRecord

    from envforge.model.conda import CondaRecord

_SYSTEMS = {"linux": {"__linux", "__unix"}, "osx": {"__osx", "__unix"}, "win": {"__win"}}
_EVERY_SYSTEM = {"__linux", "__osx", "__unix", "__win"}
_PYTHON_ABI = re.compile(r"python_abi (\d+\.\d+)(?:\.\*)?(?: |$)", re.ASCII)


def runs_on(row: RepoDataRecord, platform: str) -> bool:
    """Whether a record can be for a platform at all: some of ``noarch`` need ``__linux`` or ``__win``."""
    if row.subdir != NOARCH:
        return True
    others = _EVERY_SYSTEM - _SYSTEMS[platform.partition("-")[0]]
    return all(depend.split(" ", 1)[0] not in others for depend in row.depends)


def is_for_another_python(row: RepoDataRecord, minor: str) -> bool:
    """Whether a record is plainly compiled for another minor Python: ``python_abi 3.12.* *_cp312``."""
    abis = [found[1] for depend in row.depends if (found := _PYTHON_ABI.match(depend))]
    return any(abi != minor for abi in abis)


def last_instant(exclude_newer: str) -> datetime | None:
    """The last instant before a limit, to rattler's millisecond, in UTC; None for no limit (``""``)."""
    if not exclude_newer:
        return None
    return parse_instant(exclude_newer).astimezone(UTC) - timedelta(milliseconds=1)


def is_old_enough(row: RepoDataRecord, last: datetime | None) -> bool:
    """Whether a record was there at an instant; one without any time was not. None is any time."""
    made = _made(row)
    return last is None or (made is not None and made <= last)


def days_past(rows: Iterable[RepoDataRecord], match_spec: str, last: datetime | None) -> Mapping[str, str]:
    """Version → day (``2026-01-31``) of its first record that meets a match spec, but came too late.

    Records without any time are not among them: no other limit would let them in.
    """
    from rattler import MatchSpec

    spec = MatchSpec(match_spec)
    days: dict[str, str] = {}
    for row in rows:
        made = _made(row)
        if made is not None and not is_old_enough(row, last) and spec.matches(row):
            day, version = made.date().isoformat(), str(row.version)
            days[version] = min(day, days.get(version, day))
    return days


def _made(row: RepoDataRecord) -> datetime | None:
    """When a record was indexed, else when it was built; None where the channel does not tell."""
    return row.indexed_timestamp or row.timestamp


def can_be_asked(record: CondaRecord) -> bool:
    """Whether name and version of a record, which may be of a lock edited by hand, make a match spec."""
    from rattler import MatchSpec
    from rattler.exceptions import InvalidMatchSpecError

    try:
        MatchSpec(f"{record.name} =={record.version}", strict=True)
    except InvalidMatchSpecError:
        return False
    return True
