"""``envforge envs``: the environments of a project, or of all projects on the tier."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from envforge.environment.collect import Occupancy, survey_generations, survey_project
from envforge.environment.generation import Generation, read_recorded_generation
from envforge.environment.leases import Lease
from envforge.environment.tenants import ProjectState
from envforge.host.paths import project_environments_folder
from envforge.host.processes import Process, read_traces
from envforge.link.conda_collect import list_packages
from envforge.plan.link_plan import LinkMode
from envforge.plan.prune import Stay
from envforge.store.store import Store
from envforge.struct import Struct
from envforge.workflows.cache_contents import clock_of
from envforge.workflows.prefixes import conda_packages_folder
from envforge.workflows.session import Session


class EnvironmentRow(Struct, frozen=True, kw_only=True):
    """An environment.

    Args:
        path: its folder.
        project: folder of the project.
        state: whether the project is still there.
        is_current: ``.venv`` points to it.
        stay: why it stays, None if prune would take it.
        used_s: when it was last used, as far as that leaves traces; seconds since the epoch.
        target: what of the lock it was made for.
        python: version.
        package_count: of PyPI and of conda.
        own_bytes: of files that are only its own.
        shared_bytes: of files that it has from the store, and of its conda packages.
        processes: of this host, that run in it.
        leases: of other hosts and users.
    """

    path: Path
    project: str
    state: ProjectState
    is_current: bool
    stay: Stay | None
    used_s: float
    target: str
    python: str
    package_count: int
    own_bytes: int
    shared_bytes: int
    processes: tuple[Process, ...]
    leases: tuple[Lease, ...]


class EnvironmentsReport(Struct, frozen=True, kw_only=True):
    """What ``envs`` found: where, when (by the tier's clock), and what; newest first in each project."""

    tier: Path
    now_s: float
    rows: tuple[EnvironmentRow, ...]


def list_environments(session: Session, *, everywhere: bool = False) -> EnvironmentsReport:
    """Look at environments.

    Args:
        session: the surroundings.
        everywhere: those of all projects on the tier.

    Raises:
        StoreError: the tier belongs to a newer envforge, or cannot be read.
    """
    tier = session.places.tier
    store = Store(tier)
    packages = {package.stem: package.size_bytes for package in list_packages(conda_packages_folder(session))}
    now_s = clock_of(tier, session.now_s)
    traces = list(read_traces())
    found: Iterable[Occupancy]
    if everywhere:
        found = survey_generations(tier, traces, now_s)
    else:
        found = survey_project(project_environments_folder(tier, session.root), traces, now_s)
    return EnvironmentsReport(tier=tier, now_s=now_s, rows=tuple(_rows(found, store, packages)))


def _rows(found: Iterable[Occupancy], store: Store, packages: Mapping[str, int]) -> Iterator[EnvironmentRow]:
    sizes: dict[str, int] = {}
    for occupancy in found:
        generation = read_recorded_generation(occupancy.path)
        if occupancy.tenant is None or generation is None:
            continue
        own_bytes, linked_bytes = _walked_bytes(str(occupancy.path))
        spec = generation.spec
        conda = spec.prefix.packages if spec.prefix else ()
        yield EnvironmentRow(
            path=occupancy.path,
            project=occupancy.tenant.root,
            state=occupancy.tenant.state,
            is_current=occupancy.stay is Stay.CURRENT and occupancy.tenant.state is ProjectState.HERE,
            stay=occupancy.stay,
            used_s=occupancy.used_s,
            target=spec.target,
            python=spec.interpreter.version,
            package_count=len(spec.trees) + len(conda),
            own_bytes=own_bytes,
            shared_bytes=_shared_bytes(generation, linked_bytes, store, sizes)
            + sum(packages.get(package.stem, 0) for package in conda),
            processes=occupancy.processes,
            leases=occupancy.leases,
        )


def _shared_bytes(generation: Generation, linked_bytes: int, store: Store, sizes: dict[str, int]) -> int:
    """What it has of the store: through links to folders, or file by file (``linked_bytes``)."""
    if generation.spec.link_mode is not LinkMode.SHARED:
        return linked_bytes
    total = 0
    for linked in generation.spec.trees:
        if linked.mode is LinkMode.COPY:
            continue
        if linked.id not in sizes:
            tree = store.find_tree_by_id(linked.id)
            sizes[linked.id] = tree.size_bytes if tree else 0
        total += sizes[linked.id]
    return total


def _walked_bytes(folder: str) -> tuple[int, int]:
    """Bytes of the files in an environment that are its own, and of those that have other names, too."""
    own = linked = 0
    with suppress(OSError), os.scandir(folder) as listing:
        for entry in listing:
            if entry.is_dir(follow_symlinks=False):
                deeper = _walked_bytes(entry.path)
                own, linked = own + deeper[0], linked + deeper[1]
            elif entry.is_file(follow_symlinks=False):
                status = entry.stat(follow_symlinks=False)
                if status.st_nlink > 1:
                    linked += status.st_size
                else:
                    own += status.st_size
    return own, linked
