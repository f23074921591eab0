"""The dependency graph of one target, as the lock tells it: PyPI's packages and conda's in one.

A conda package is the node ``conda:NAME``. A requirement that conda meets leads there.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from envforge.model.lock import Lock, LockedPackage
from envforge.model.requirement import Requirement, parse_requirement
from envforge.model.target import Target, marker_holds


@dataclass(frozen=True, slots=True)
class Edge:
    """``source`` (a name, ``""`` for the project itself) needs ``name`` as ``requirement`` says."""

    source: str
    name: str
    requirement: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Nodes of a target with their versions, and who needs what; edges in order of name."""

    versions: Mapping[str, str]
    edges: Mapping[str, Sequence[Edge]]

    def into(self, name: str) -> list[Edge]:
        """The edges that lead to a package."""
        return [edge for edges in self.edges.values() for edge in edges if edge.name == name]


def dependency_graph(
    lock: Lock, platform: str, roots: Iterable[Requirement], conda_roots: Iterable[str] = ()
) -> Graph:
    """The graph that some requirements span on a target.

    Args:
        lock: has the packages.
        platform: of the target; KeyError if it is not locked.
        roots: the project's requirements.
        conda_roots: match specs of its conda dependencies.
    """
    locked = lock.target_for(platform)
    if locked is None:
        raise KeyError(platform)
    packages = {lock.packages[i].name: lock.packages[i] for i in locked.package_ids(locked.groups)}
    records = {record.name: record for record in lock.conda_records(locked)}
    on_conda = {name: record for record in records.values() for name in record.pypi_names}
    edges: dict[str, dict[str, Edge]] = {"": {}}
    extras: dict[str, frozenset[str]] = {}
    queue = deque(("", root) for root in roots if marker_holds(root.marker, locked.target))
    while queue:
        source, requirement = queue.popleft()
        if requirement.name not in packages:
            if requirement.name in on_conda:
                _connect(edges, source, conda_node(on_conda[requirement.name].name), str(requirement))
            continue
        if requirement.name != source:
            _connect(edges, source, requirement.name, str(requirement))
        known = extras.get(requirement.name)
        united = (known or frozenset()) | frozenset(requirement.extras)
        if known != united:
            extras[requirement.name] = united
            active = _active(packages[requirement.name], united, locked.target)
            queue.extend((requirement.name, item) for item in active)
    for spec in conda_roots:
        if _name_of(spec) in records:
            _connect(edges, "", conda_node(_name_of(spec)), spec)
    for record in records.values():
        for spec in record.depends:
            if _name_of(spec) in records:
                _connect(edges, conda_node(record.name), conda_node(_name_of(spec)), spec)
    return Graph(
        versions={
            **{name: package.version for name, package in packages.items()},
            **{conda_node(name): record.version for name, record in records.items()},
        },
        edges={source: [found[name] for name in sorted(found)] for source, found in edges.items()},
    )


def conda_node(name: str) -> str:
    """The name of a conda package's node."""
    return f"conda:{name}"


def _name_of(spec: str) -> str:
    """The name at the start of a match spec."""
    return re.split(r"[\s=<>!~\[]", spec, maxsplit=1)[0]


def _connect(edges: dict[str, dict[str, Edge]], source: str, name: str, requirement: str) -> None:
    """The first of several edges between two nodes stays."""
    edges.setdefault(source, {}).setdefault(name, Edge(source, name, requirement))


def shortest_chains(graph: Graph, name: str, limit: int = 10) -> list[list[Edge]]:
    """Ways from the project to a package, shortest first: one through each package that needs it.

    No way leads through the package itself, so that cycles give none.

    Args:
        graph: of one target.
        name: a package of it.
        limit: how many at most.
    """
    ways: dict[str, list[Edge]] = {"": []}
    queue = deque([""])
    while queue:
        source = queue.popleft()
        for edge in graph.edges.get(source, ()):
            if edge.name not in ways and edge.name != name:
                ways[edge.name] = [*ways[source], edge]
                queue.append(edge.name)
    chains = [[*ways[edge.source], edge] for edge in graph.into(name) if edge.source in ways]
    return sorted(chains, key=lambda chain: (len(chain), [edge.name for edge in chain]))[:limit]


def _active(package: LockedPackage, extras: frozenset[str], target: Target) -> list[Requirement]:
    wanted = ("", *sorted(extras))
    parsed = [parse_requirement(text) for text in package.requires]
    return [item for item in parsed if any(marker_holds(item.marker, target, extra) for extra in wanted)]
