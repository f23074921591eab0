"""What rows of repodata tell of themselves, as far as solving does not find it out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from envforge.index.conda_gateway import NOARCH

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


def can_be_asked(record: CondaRecord) -> bool:
    """Whether name and version of a record, which may be of a lock edited by hand, make a match spec."""
    from rattler import MatchSpec
    from rattler.exceptions import InvalidMatchSpecError

    try:
        MatchSpec(f"{record.name} =={record.version}", strict=True)
    except InvalidMatchSpecError:
        return False
    return True
