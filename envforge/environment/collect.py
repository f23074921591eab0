"""Which generations are needed and why, and how one that is not is taken away.

A generation is needed by the project whose ``.venv`` points to it, by processes of this host, by leases of
others, and for some time by whoever looked at it last; the newest of a project stay for ``rollback``. It is
taken away as :mod:`envforge.store.uses` says, so that a sync that has just found it does not lose it.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from envforge.environment.generation import KEEP, aside_name, list_generations, sweep_unfinished
from envforge.environment.history import read_history
from envforge.environment.leases import FOLDER as LEASES
from envforge.environment.leases import Lease, read_leases, sweep_leases
from envforge.environment.tenants import ProjectState, Tenant, find_tenant, tenant_folders
from envforge.host.processes import Process, Trace, find_users, read_traces
from envforge.link.failures import link_failures
from envforge.plan.link_plan import MARKER, LinkMode
from envforge.plan.prune import DAY_S, Stay
from envforge.store.sealing import discard
from envforge.store.uses import file_system_time_s, is_fresh, withdraw
from envforge.struct import Struct

LOST_S = 14 * DAY_S
"""How long the environments of a project that is gone stay."""
BUILD_ENVIRONMENT_S = 30 * DAY_S


class Occupancy(Struct, frozen=True):
    """A generation, and who needs it.

    Args:
        path: its folder.
        tenant: the project, None for an environment of builds.
        used_s: when it was last used, as far as that leaves traces; seconds since the epoch.
        stay: why it stays, None if nothing needs it.
        processes: of this host, that run in it.
        leases: of other hosts and users.
        trees: ids of the trees that it stands on.
        copied: those of them whose files are copied.
        prefix: path of the conda prefix that it stands on, ``""`` for none.
        is_known: False where this user may not see what it stands on, or ``path`` is a whole folder of them.
    """

    path: Path
    tenant: Tenant | None
    used_s: float
    stay: Stay | None
    processes: tuple[Process, ...] = ()
    leases: tuple[Lease, ...] = ()
    trees: frozenset[str] = frozenset()
    copied: frozenset[str] = frozenset()
    prefix: str = ""
    is_known: bool = True

    @property
    def digest(self) -> str:
        return self.path.name


def collect_generations(environments_dir: Path, venv: Path, *, keep: int = KEEP) -> list[str]:
    """Remove a project's older generations.

    Args:
        environments_dir: the project's folder of generations.
        venv: its ``.venv``, whose generation always stays.
        keep: how many of the newest stay, of each kind of host.

    Returns:
        Digests of what was removed, oldest first.

    Raises:
        StoreError: a generation cannot be removed.
    """
    with link_failures(environments_dir, "remove old environments"):
        age = _ages(environments_dir)
        if len(age) <= keep:
            return []
        now_s = _clock_s(environments_dir)
        sweep_leases(environments_dir, now_s)
        tenant = Tenant(environments_dir, str(venv.parent), ProjectState.HERE)
        found = list(_occupancies(tenant, age, list(read_traces()), now_s, keep=keep))
        return [
            each.digest
            for each in reversed(found)
            if each.stay is None and _retire_own(each.path, now_s, venv)
        ]


def _retire_own(place: Path, now_s: float, venv: Path) -> bool:
    """Retire a generation; one that another user has made stays until that one syncs."""
    with suppress(PermissionError):
        return retire_generation(place, now_s, venv)
    return False


def _clock_s(environments_dir: Path) -> float:
    with suppress(OSError):
        return file_system_time_s(environments_dir / aside_name())
    return time.time()


def survey_generations(
    tier: Path, traces: Sequence[Trace], now_s: float, *, keep: int = KEEP
) -> Iterator[Occupancy]:
    """Every generation on a tier, with what it stands on and why it stays.

    Args:
        tier: root of the tier.
        traces: of this host's processes.
        now_s: by the file system's clock.
        keep: how many of the newest of each project stay.
    """
    for folder in tenant_folders(tier):
        yield from survey_project(folder, traces, now_s, keep=keep)
    yield from _build_environments(tier / "build-environments", traces, now_s)


def survey_project(
    environments_dir: Path, traces: Sequence[Trace], now_s: float, *, keep: int = KEEP
) -> Iterator[Occupancy]:
    """The generations of one project, newest first; see :func:`survey_generations`."""
    tenant = find_tenant(environments_dir, now_s)
    try:
        ages = _ages(environments_dir)
    except OSError:  # another user's
        yield Occupancy(environments_dir, tenant, 0.0, Stay.RUNNING, is_known=False)
        return
    yield from _occupancies(tenant, ages, traces, now_s, keep=keep)


def retire_generation(place: Path, now_s: float, venv: Path | None = None) -> bool:
    """Take a generation away unless somebody has come to need it since that was looked at.

    Args:
        place: its folder.
        now_s: by the file system's clock.
        venv: the project's ``.venv``, None for none.

    Returns:
        Whether it was taken away.

    Raises:
        OSError: it cannot be removed.
    """
    marker = place / MARKER
    aside = place.with_name(aside_name())
    if not withdraw(marker, aside, now_s):
        return False
    needed = venv is not None and os.path.realpath(venv) == os.path.realpath(place)
    if needed or any(lease.digest == place.name for lease in read_leases(place.parent)):
        aside.rename(marker)
        return False
    remove_generation(place)
    aside.unlink(missing_ok=True)
    return True


def remove_generation(place: Path) -> None:
    """Take a generation away at once, then its files: nobody sees half of it. No error if it is gone.

    A link that points to it dangles until a generation of the same spec is made, or ``.venv`` switched.
    """
    discard(place, place.with_name(aside_name()))
    for stamp in place.parent.glob(f"{place.name}.stamp*"):  # envforge.workflows.stamp
        with suppress(OSError):
            stamp.unlink()


def sweep_environments(environments_dir: Path, now_s: float) -> int:
    """Remove what killed processes left in a project's folder of generations; returns how much went."""
    removed = sweep_unfinished(environments_dir) + sweep_leases(environments_dir, now_s)
    for place in list(environments_dir.iterdir()):
        # complete ones come by rename: without a marker it was damaged, or half removed
        with suppress(FileNotFoundError):
            mine = place.name != LEASES and place.is_dir() and not place.is_symlink()
            if mine and not (place / MARKER).exists() and not is_fresh(place.stat().st_mtime, now_s):
                remove_generation(place)
                removed += 1
    with suppress(OSError):
        (environments_dir / LEASES).rmdir()
    return removed


def _ages(environments_dir: Path) -> dict[str, float]:
    """Digest → when ``.venv`` last pointed to it; by its own time if no history knows it."""
    ages = {past.digest: past.time_s for past in read_history(environments_dir)}
    with suppress(FileNotFoundError):
        present = list_generations(environments_dir)
        return {place.name: ages.get(place.name, place.stat().st_mtime) for place in present}
    return {}


def _occupancies(
    tenant: Tenant, ages: Mapping[str, float], traces: Sequence[Trace], now_s: float, *, keep: int
) -> Iterator[Occupancy]:
    """The generations of one project, newest first."""
    order = sorted(ages, key=ages.__getitem__, reverse=True)
    current = _current(tenant, order)
    used_s = {name: max(ages[name], _marker_s(tenant.environments / name)) for name in order}
    users = find_users(order, traces)
    if current:
        users.setdefault(current, []).extend(_users_of_venv(tenant, traces))
    leases = read_leases(tenant.environments, now_s)
    kinds: Counter[str] = Counter()
    for name in order:
        standing = _stands_on(tenant.environments / name)
        kinds[standing.target] += 1
        held = tuple(lease for lease in leases if lease.digest == name)
        stay = None
        if name == current:
            stay = Stay.CURRENT
        elif users.get(name) or held:
            stay = Stay.RUNNING
        elif is_fresh(_marker_s(tenant.environments / name), now_s):
            stay = Stay.FRESH
        elif kinds[standing.target] <= keep and not _is_lost(tenant, now_s):
            stay = Stay.OTHERS if tenant.is_for_others else Stay.RECENT
        yield Occupancy(
            path=tenant.environments / name,
            tenant=tenant,
            used_s=used_s[name],
            stay=stay,
            processes=tuple(dict.fromkeys(users.get(name, ()))),
            leases=held,
            trees=frozenset(standing.modes),
            copied=standing.copied,
            prefix=standing.prefix,
            is_known=standing.is_known,
        )


def _current(tenant: Tenant, order: Sequence[str]) -> str:
    """The generation that a project uses; the last one that it used where that cannot be looked at."""
    if tenant.state is ProjectState.UNREACHABLE:
        return order[0] if order else ""
    if tenant.venv is None or tenant.state is not ProjectState.HERE:
        return ""
    folder, name = os.path.split(os.path.realpath(tenant.venv))
    return name if folder == os.path.realpath(tenant.environments) else ""


def _is_lost(tenant: Tenant, now_s: float) -> bool:
    return tenant.lost_s is not None and now_s - tenant.lost_s > LOST_S


def _users_of_venv(tenant: Tenant, traces: Collection[Trace]) -> list[Process]:
    """Processes that were started through ``.venv``: their Python looks there, wherever that leads by now.

    What they have mapped of an earlier environment names its trees.
    """
    if tenant.venv is None:
        return []
    venv, root = os.fsencode(tenant.venv), os.fsencode(tenant.root)
    return [
        trace.process
        for trace in traces
        if venv + b"/" in trace.text or (b".venv/" in trace.text and root in trace.text)
    ]


def _build_environments(folder: Path, traces: Sequence[Trace], now_s: float) -> Iterator[Occupancy]:
    """Environments in which wheels are built: made again when they are needed, and kept for a while."""
    try:
        names = list(_ages(folder))
    except OSError:
        yield Occupancy(folder, None, 0.0, Stay.RUNNING, is_known=False)
        return
    users = find_users(names, traces)
    for name in names:
        used_s = _marker_s(folder / name)
        stay = Stay.RUNNING if users.get(name) else None
        if stay is None and is_fresh(used_s, now_s):
            stay = Stay.FRESH
        elif stay is None and now_s - used_s < BUILD_ENVIRONMENT_S:
            stay = Stay.RECENT
        standing = _stands_on(folder / name)
        yield Occupancy(
            path=folder / name,
            tenant=None,
            used_s=used_s,
            stay=stay,
            processes=tuple(users.get(name, ())),
            trees=frozenset(standing.modes),
            copied=standing.copied,
            prefix=standing.prefix,
            is_known=standing.is_known,
        )


class _Standing(NamedTuple):
    """What a generation says: id of its target, trees with the way they came in, its prefix (or ``""``)."""

    target: str = ""
    modes: Mapping[str, str] = MappingProxyType({})
    prefix: str = ""
    is_known: bool = True

    @property
    def copied(self) -> frozenset[str]:
        return frozenset(name for name, mode in self.modes.items() if mode == LinkMode.COPY)


def _stands_on(place: Path) -> _Standing:
    """Read what a generation says, also one that a newer envforge has made."""
    try:
        spec = json.loads((place / MARKER).read_bytes())["spec"]
        modes = {str(package["tree"]): package["mode"] for package in spec["packages"].values()}
        prefix = str(spec["conda"]["prefix"]) if "conda" in spec else ""
        return _Standing(str(spec["target"]), modes, prefix)
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError, AttributeError):
        return _Standing()  # gone, or cut off by a power failure: it stands on nothing any more
    except OSError:
        return _Standing(is_known=False)


def _marker_s(place: Path) -> float:
    """When a generation was last noted as used."""
    try:
        return (place / MARKER).stat().st_mtime
    except OSError:
        return 0.0
