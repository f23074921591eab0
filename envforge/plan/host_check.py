"""Whether a host has what conda records need of it, told before anything is downloaded.

A need is a match spec on a virtual package (CEP 30) among a record's ``depends``; among its ``constrains`` it
counts where the host has the package at all, as for conda: a CUDA library on a host without a driver is of no
use, but it is not refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from envforge.errors import HostError
from envforge.model.conda import CondaRecord, VirtualPackage
from envforge.struct import Struct

if TYPE_CHECKING:
    from rattler import MatchSpec

_WHAT = {
    "__cuda": "an NVIDIA driver for CUDA",
    "__glibc": "the C library of Linux",
    "__linux": "Linux",
    "__osx": "macOS",
    "__win": "Windows",
    "__unix": "Linux or macOS",
    "__archspec": "a processor",
}
_MOST_RECORDS = 3
_NAME_END = re.compile(r"[\s<>=!~\[]")


class HostNeed(Struct, frozen=True, order=True):
    """What records need of a host.

    Args:
        name: of the virtual package, ``__cuda``.
        spec: match spec on it, ``__cuda >=12``; spaces made one.
        is_constraint: whether it is met, too, by a host without the package.
        records: who needs it, ``name version``, sorted.
    """

    name: str
    spec: str
    is_constraint: bool
    records: tuple[str, ...]


class UnmetNeed(Struct, frozen=True, kw_only=True):
    """One fact that records need and the host does not have.

    Args:
        name: of the virtual package, ``__cuda``.
        specs: what records ask of it that is not met, sorted.
        records: who asks, ``name version``, sorted.
        host: what the host has of it, ``2.17``, of a processor its name; "" where it has none.
    """

    name: str
    specs: tuple[str, ...]
    records: tuple[str, ...]
    host: str


def needs_of(records: Iterable[CondaRecord]) -> list[HostNeed]:
    """What records need of a host, sorted."""
    asking: dict[tuple[str, str, bool], set[str]] = {}
    for record in records:
        for specs, is_constraint in ((record.depends, False), (record.constrains, True)):
            for spec in specs:
                if spec.startswith("__"):
                    name = _NAME_END.split(spec, maxsplit=1)[0]
                    key = (name, " ".join(spec.split()), is_constraint)
                    asking.setdefault(key, set()).add(f"{record.name} {record.version}")
    return sorted(HostNeed(*key, tuple(sorted(names))) for key, names in asking.items())


def unmet_by_host(records: Iterable[CondaRecord], host: Sequence[VirtualPackage]) -> list[UnmetNeed]:
    """What records need and a host has not, one for each virtual package, sorted by name.

    Args:
        records: of one platform.
        host: what it has; of several with one name any may meet a need, and the first is what is told.
    """
    here: dict[str, list[VirtualPackage]] = {}
    for package in host:
        here.setdefault(package.name, []).append(package)
    unmet: dict[str, list[HostNeed]] = {}
    for need in needs_of(records):
        if not _is_met(need, here):
            unmet.setdefault(need.name, []).append(need)
    return [
        UnmetNeed(
            name=name,
            specs=tuple(sorted({need.spec for need in needs})),
            records=tuple(sorted({record for need in needs for record in need.records})),
            host=_described(here.get(name, ())),
        )
        for name, needs in unmet.items()
    ]


def _is_met(need: HostNeed, here: Mapping[str, Sequence[VirtualPackage]]) -> bool:
    from rattler import BuildString, PackageRecord

    packages = here.get(need.name, ())
    if not packages:
        return need.is_constraint
    return any(
        _match_spec(need.spec).matches(
            PackageRecord(
                package.name, package.version, BuildString.new_unchecked(package.build), 0, "noarch"
            )
        )
        for package in packages
    )


@cache
def _match_spec(text: str) -> MatchSpec:
    from rattler import MatchSpec

    return MatchSpec(text)


def _described(packages: Sequence[VirtualPackage]) -> str:
    """The first one: of processors the host's own."""
    if not packages:
        return ""
    return packages[0].build if packages[0].name == "__archspec" else packages[0].version


def host_error(unmet: Sequence[UnmetNeed]) -> HostError:
    """The error to raise, with all that is missing."""
    hints = [
        "sync on a machine that has it; the lock stays as it is",
        "or go on at your own risk: --ignore-host",
    ]
    if any(need.name == "__cuda" for need in unmet):
        hints.insert(1, "or, where the driver comes later (an image): CONDA_OVERRIDE_CUDA=12.8")
    return HostError(
        "this host lacks what the locked conda packages need",
        context=[_sentence(need) for need in unmet],
        hints=hints,
    )


def _sentence(need: UnmetNeed) -> str:
    """``__cuda >=12 (an NVIDIA driver for CUDA) is needed by pytorch 2.5; this host has none``."""
    shown = ", ".join(need.records[:_MOST_RECORDS])
    more = f" and {len(need.records) - _MOST_RECORDS} more" if len(need.records) > _MOST_RECORDS else ""
    what = f" ({_WHAT[need.name]})" if need.name in _WHAT else ""
    has = f"has {need.host}" if need.host else "has none"
    return f"{' and '.join(need.specs)}{what} is needed by {shown}{more}; this host {has}"
