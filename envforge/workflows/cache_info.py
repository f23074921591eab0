"""``envforge cache info``: where everything is kept, how much it is, and what of it could go."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from envforge.environment.tenants import ProjectState, Tenant
from envforge.host.paths import Places, find_pythons_folder
from envforge.plan.prune import Item, Kind, PruneDemand, Stay, plan_prune
from envforge.store import uses
from envforge.struct import Struct
from envforge.workflows.cache_contents import CacheContents, read_contents
from envforge.workflows.session import Session


class Holding(Struct, frozen=True):
    """How many there are of a kind, what they take, and what of that nothing needs."""

    count: int
    size_bytes: int
    unneeded_count: int
    unneeded_bytes: int


class ProjectHolding(Struct, frozen=True, kw_only=True):
    """What a project has on the tier.

    Args:
        root: its folder, ``""`` if nothing tells.
        environments: its folder of environments.
        state: whether it is still there.
        lost_s: since when it is known not to be, seconds since the epoch; None while it is.
        count: of its environments.
        in_use_count: of those in which something runs, here or elsewhere.
        current: digest of the one that ``.venv`` points to, ``""`` for none.
        size_bytes: of what they stand on, together; other projects may share it.
    """

    root: str
    environments: Path
    state: ProjectState
    lost_s: float | None
    count: int
    in_use_count: int
    current: str
    size_bytes: int


class CacheReport(Struct, frozen=True, kw_only=True):
    """What there is.

    Args:
        places: where.
        pythons: folder of the Pythons that envforge has installed, and how many there are; left alone.
        holdings: kind → how much.
        projects: with environments on the tier, by folder.
    """

    places: Places
    pythons: tuple[Path, int]
    holdings: dict[Kind, Holding]
    projects: tuple[ProjectHolding, ...]

    @property
    def size_bytes(self) -> int:
        return sum(holding.size_bytes for holding in self.holdings.values())

    @property
    def unneeded_bytes(self) -> int:
        return sum(holding.unneeded_bytes for holding in self.holdings.values())


def cache_info(session: Session) -> CacheReport:
    """Look at the cache and the tier. No folder of packages is walked: their sizes are recorded.

    Raises:
        StoreError: the tier belongs to a newer envforge, or cannot be read.
        HostError: there is no home folder.
    """
    contents = read_contents(session)
    items = contents.items()
    plan = plan_prune(items, PruneDemand(now_s=contents.now_s, grace_s=uses.GRACE_S))
    pythons = find_pythons_folder(session.environ)
    return CacheReport(
        places=session.places,
        pythons=(pythons, sum(1 for _ in pythons.iterdir()) if pythons.is_dir() else 0),
        holdings=_holdings(items, plan.removals),
        projects=tuple(_projects(contents)),
    )


def _holdings(items: Iterable[Item], unneeded: Iterable[Item]) -> dict[Kind, Holding]:
    all_of, spare = defaultdict(list), defaultdict(list)
    for item in items:
        all_of[item.key.kind].append(item.size_bytes)
    for item in unneeded:
        spare[item.key.kind].append(item.size_bytes)
    return {
        kind: Holding(len(all_of[kind]), sum(all_of[kind]), len(spare[kind]), sum(spare[kind]))
        for kind in Kind
    }


def _projects(contents: CacheContents) -> list[ProjectHolding]:
    sizes = {stored.tree.id: stored.tree.size_bytes for stored in contents.trees}
    packages = {package.stem: package.size_bytes for package in contents.packages}
    prefixes = {
        str(prefix.path): sum(packages.get(stem, 0) for stem in prefix.packages)
        for prefix in contents.prefixes
    }
    tenants: dict[Path, Tenant] = {}
    found = defaultdict(list)
    for generation in contents.generations:
        if generation.tenant is not None and generation.is_known:
            tenants[generation.tenant.environments] = generation.tenant
            found[generation.tenant.environments].append(generation)
    projects = []
    for environments, generations in found.items():
        trees = frozenset().union(*(generation.trees for generation in generations))
        stood_on = {generation.prefix for generation in generations}
        current = [item.digest for item in generations if item.stay is Stay.CURRENT]
        projects.append(
            ProjectHolding(
                root=tenants[environments].root,
                environments=environments,
                state=tenants[environments].state,
                lost_s=tenants[environments].lost_s,
                count=len(generations),
                in_use_count=sum(bool(item.processes or item.leases) for item in generations),
                current=current[0] if current else "",
                size_bytes=sum(sizes.get(name, 0) for name in trees)
                + sum(prefixes.get(path, 0) for path in stood_on),
            )
        )
    return sorted(projects, key=lambda project: (project.root, project.environments))
