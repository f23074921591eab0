"""Whether a host has what conda records need of it, told before anything is downloaded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from envforge.errors import HostError
from envforge.model.conda import CondaRecord, VirtualPackage

_WHAT = {
    "__cuda": "an NVIDIA driver for CUDA",
    "__glibc": "glibc",
    "__linux": "Linux",
    "__osx": "macOS",
    "__win": "Windows",
    "__unix": "a Unix",
    "__archspec": "a processor",
}
_MOST_RECORDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class UnmetNeed:
    """One fact that records need and the host does not have.

    Args:
        name: of the virtual package, ``__cuda``.
        specs: what records ask of it, sorted.
        records: who asks, ``name version``, sorted.
        host: the host's version, "" where it has none.
    """

    name: str
    specs: tuple[str, ...]
    records: tuple[str, ...]
    host: str


def unmet_by_host(records: Iterable[CondaRecord], host: Sequence[VirtualPackage]) -> list[UnmetNeed]:
    """What records need and a host has not, one for each virtual package, sorted by name.

    A constraint on a virtual package that the host does not have at all is met, as for conda.
    """
    here = {package.name: package for package in host}
    specs: dict[str, set[str]] = {}
    asking: dict[str, set[str]] = {}
    for record in records:
        wanted = [spec for spec in record.depends if spec.startswith("__")]
        wanted += [
            spec for spec in record.constrains if spec.startswith("__") and spec.split(" ", 1)[0] in here
        ]
        for spec in wanted:
            name = spec.split(" ", 1)[0]
            if not _is_met(spec, here.get(name)):
                specs.setdefault(name, set()).add(spec)
                asking.setdefault(name, set()).add(f"{record.name} {record.version}")
    return [
        UnmetNeed(
            name=name,
            specs=tuple(sorted(found)),
            records=tuple(sorted(asking[name])),
            host=here[name].version if name in here else "",
        )
        for name, found in sorted(specs.items())
    ]


def _is_met(spec: str, package: VirtualPackage | None) -> bool:
    if package is None:
        return False
    from rattler import BuildString, MatchSpec, PackageRecord

    record = PackageRecord(package.name, package.version, BuildString(package.build), 0, "noarch")
    return MatchSpec(spec).matches(record)


def host_error(unmet: Sequence[UnmetNeed]) -> HostError:
    """The error to raise, with all that is missing."""
    return HostError(
        "this host lacks what the locked conda packages need",
        context=[_sentence(need) for need in unmet],
        hints=[
            "sync on a machine that has it; the lock stays as it is",
            "or go on at your own risk: --ignore-host",
        ],
    )


def _sentence(need: UnmetNeed) -> str:
    """``__cuda >=12 (an NVIDIA driver for CUDA) is needed by pytorch 2.5; this host has none``."""
    shown = ", ".join(need.records[:_MOST_RECORDS])
    more = f" and {len(need.records) - _MOST_RECORDS} more" if len(need.records) > _MOST_RECORDS else ""
    what = f" ({_WHAT[need.name]})" if need.name in _WHAT else ""
    has = f"has {need.host}" if need.host else "has none"
    return f"{' and '.join(need.specs)}{what} is needed by {shown}{more}; this host {has}"
