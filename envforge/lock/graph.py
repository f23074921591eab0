"""The dependency graph of one target, as the lock tells it."""

from __future__ import annotations

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
    """Packages of a target by name, and who needs what; edges in order of name."""

    packages: Mapping[str, LockedPackage]
    edges: Mapping[str, Sequence[Edge]]

    def into(self, name: str) -> list[Edge]:
        """The edges that lead to a package."""
        return [edge for edges in self.edges.values() for edge in edges if edge.name == name]


def dependency_graph(lock: Lock, platform: str, roots: Iterable[Requirement]) -> Graph:
    """The graph that some requirements span on a target.

    Args:
        lock: has the packages.
        platform: of the target; KeyError if it is not locked.
        roots: the project's requirements.
    """
    locked = lock.target_for(platform)
    if locked is None:
        raise KeyError(platform)
    packages = {lock.packages[i].name: lock.packages[i] for i in locked.package_ids(locked.groups)}
    edges: dict[str, dict[str, Edge]] = {"": {}}
    extras: dict[str, frozenset[str]] = {}
    queue = deque(("", root) for root in roots if marker_holds(root.marker, locked.target))
    while queue:
        source, requirement = queue.popleft()
        if requirement.name not in packages:
            continue
        if requirement.name != source:
            edge = Edge(source, requirement.name, str(requirement))
            edges.setdefault(source, {}).setdefault(requirement.name, edge)
        known = extras.get(requirement.name)
        united = (known or frozenset()) | frozenset(requirement.extras)
        if known != united:
            extras[requirement.name] = united
            active = _active(packages[requirement.name], united, locked.target)
            queue.extend((requirement.name, item) for item in active)
    ordered = {source: [found[name] for name in sorted(found)] for source, found in edges.items()}
    return Graph(packages=packages, edges=ordered)


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
