"""The dependency graph of one target, as the lock tells it: PyPI's packages and conda's in one.

A conda package is the node ``conda:NAME``. A requirement that conda meets leads there.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from envforge.model.conda import CONDA_MARK
from envforge.model.lock import Lock, LockedPackage, LockedTarget
from envforge.model.markers import marker_holds
from envforge.model.requirement import Requirement, parse_requirement
from envforge.model.target import Target
from envforge.struct import Struct

_PYTHON = "python"
_SPEC_NAME = re.compile(r"(?:[^\s\[]*::)?([A-Za-z0-9_][A-Za-z0-9_.-]*)")


class Edge(Struct, frozen=True):
    """``source`` (a name, ``""`` for the project itself) needs ``name`` as ``requirement`` says."""

    source: str
    name: str
    requirement: str


class Demand(Struct, frozen=True):
    """An edge, and what extras have to do with it.

    Args:
        edge: who needs what.
        extras: that it asks of what it leads to.
        under: extras of its source, any of which makes it hold; empty for one that always does.
    """

    edge: Edge
    extras: frozenset[str] = frozenset()
    under: frozenset[str] = frozenset()


class Graph(Struct, frozen=True, kw_only=True):
    """Nodes of a target with their versions, and who needs what.

    Args:
        versions: of the nodes.
        edges: source → its edges in order of name, one to each node, by whatever extras they are.
        demands: source → all that it needs, also several of one node and, for extras, of itself.
    """

    versions: Mapping[str, str]
    edges: Mapping[str, Sequence[Edge]]
    demands: Mapping[str, Sequence[Demand]]

    def into(self, name: str) -> list[Edge]:
        """The edges that lead to a package."""
        return [edge for edges in self.edges.values() for edge in edges if edge.name == name]


def dependency_graph(
    lock: Lock,
    target_id: str,
    roots: Iterable[Requirement],
    conda_roots: Iterable[str] = (),
    groups: Iterable[str] | None = None,
) -> Graph:
    """The graph that some requirements span on a target.

    Args:
        lock: has the packages.
        target_id: ``linux-64`` or ``linux-64:cuda``; KeyError if it is not locked.
        roots: the project's requirements.
        conda_roots: match specs of its conda dependencies.
        groups: that the roots are of, None for all. Those that are not locked are passed over.
    """
    locked = lock.target_for(target_id)
    if locked is None:
        raise KeyError(target_id)
    builder = _Builder(lock, locked)
    builder.span([root for root in roots if marker_holds(root.marker, locked.target)])
    chosen = locked.groups if groups is None else [group for group in groups if group in locked.groups]
    builder.span_extras_of_conda(lock.packages[i].name for i in locked.package_ids(chosen))
    builder.span_conda(list(conda_roots))
    return builder.graph()


class _Builder:
    """Collects edges from requirements and records."""

    def __init__(self, lock: Lock, locked: LockedTarget) -> None:
        self._target = locked.target
        self._packages = {lock.packages[i].name: lock.packages[i] for i in locked.package_ids(locked.groups)}
        self._records = {record.name: record for record in lock.conda_records(locked)}
        self._on_conda = {name: record for record in self._records.values() for name in record.pypi_names}
        self._edges: dict[str, dict[str, Edge]] = {"": {}}
        self._demands: dict[str, list[Demand]] = {"": []}
        self._extras: dict[str, frozenset[str]] = {}
        self._asked_of_conda: dict[str, Requirement] = {}

    def span(self, asked: Sequence[Requirement]) -> None:
        """Follow what the project asks for to all that it needs from PyPI."""
        for requirement in asked:
            self._demand("", requirement, frozenset())
        self._follow("", asked)

    def _follow(self, asking: str, asked: Sequence[Requirement]) -> None:
        queue = deque((asking, requirement) for requirement in asked)
        while queue:
            source, requirement = queue.popleft()
            name = requirement.name
            if name not in self._packages:
                self._lead_to_conda(source, requirement)
                continue
            if name != source:
                self._connect(Edge(source, name, str(requirement)))
            known = self._extras.get(name)
            united = (known or frozenset()) | frozenset(requirement.extras)
            if known != united:
                self._extras[name] = united
                active = _active(self._packages[name], united, self._target)
                queue.extend((name, item) for item, _ in active)
                self._demands[name] = []  # those that fewer extras have are among these
                for item, under in active:
                    self._demand(name, item, under)

    def _demand(self, source: str, requirement: Requirement, under: frozenset[str]) -> None:
        name = requirement.name
        if name not in self._packages:
            if name not in self._on_conda:
                return
            name = conda_node(self._on_conda[name].name)
        edge = Edge(source, name, str(requirement))
        self._demands.setdefault(source, []).append(Demand(edge, frozenset(requirement.extras), under))

    def _lead_to_conda(self, source: str, requirement: Requirement) -> None:
        record = self._on_conda.get(requirement.name)
        if record is None:
            return
        self._connect(Edge(source, conda_node(record.name), str(requirement)))
        if requirement.extras:
            self._asked_of_conda.setdefault(record.name, requirement)

    def span_extras_of_conda(self, names: Iterable[str]) -> None:
        """Find a place for packages that nobody needs who is in the lock with his requirements.

        The extras of what conda brings need them: of those the lock has no requirements.
        """
        if not self._asked_of_conda:
            return
        lost = set(names) - self._extras.keys()
        needed = {
            item.name
            for name in lost
            for item, _ in _active(self._packages[name], frozenset(), self._target)
            if item.name != name
        }
        for name in [*sorted(lost - needed), *sorted(lost & needed)]:
            if name not in self._extras:
                self._span_from_extras(Requirement(name))

    def _span_from_extras(self, requirement: Requirement) -> None:
        """``tinymath[plots]`` needs it; the project where several could."""
        if len(self._asked_of_conda) > 1:
            self.span([requirement])
            return
        ((conda_name, asked),) = self._asked_of_conda.items()
        source = conda_node(conda_name)
        self._depend(Edge(source, requirement.name, f"{requirement.name}, for {asked}"), asked.extras)
        self._follow(source, [requirement])

    def span_conda(self, roots: Sequence[str]) -> None:
        """The records and what they depend on. Python is there even where nobody names it."""
        for spec in roots:
            if _name_of(spec) in self._records:
                self._depend(Edge("", conda_node(_name_of(spec)), spec))
        if roots and _PYTHON in self._records:
            self._depend(Edge("", conda_node(_PYTHON), f"{_PYTHON} {self._target.python_minor}.*"))
        for record in self._records.values():
            for spec in record.depends:
                if _name_of(spec) in self._records:
                    self._depend(Edge(conda_node(record.name), conda_node(_name_of(spec)), spec))

    def _depend(self, edge: Edge, under: Iterable[str] = ()) -> None:
        """An edge that is told as it is, and asks for no extras."""
        self._connect(edge)
        self._demands.setdefault(edge.source, []).append(Demand(edge, under=frozenset(under)))

    def _connect(self, edge: Edge) -> None:
        """The first of several edges between two nodes stays."""
        self._edges.setdefault(edge.source, {}).setdefault(edge.name, edge)

    def graph(self) -> Graph:
        return Graph(
            versions={
                **{name: package.version for name, package in self._packages.items()},
                **{conda_node(name): record.version for name, record in self._records.items()},
            },
            edges={source: [found[name] for name in sorted(found)] for source, found in self._edges.items()},
            demands={
                source: sorted(found, key=lambda demand: demand.edge.name)
                for source, found in self._demands.items()
            },
        )


def conda_node(name: str) -> str:
    """The name of a conda package's node."""
    return f"{CONDA_MARK}{name}"


def _name_of(spec: str) -> str:
    """The name in a match spec of a record or of a manifest, ``""`` where there is none."""
    found = _SPEC_NAME.match(spec)
    return found[1].lower() if found else ""


def shortest_chains(graph: Graph, name: str, limit: int = 10) -> list[list[Edge]]:
    """Ways from the project to a package, shortest first: one through each package that needs it.

    A requirement of an extra is on a way only where the step before asks for the extra, so a way may come
    to one package twice, with more extras. None leads through ``name`` itself: cycles give none.

    Args:
        graph: of one target.
        name: a package of it.
        limit: how many at most.
    """
    chains: dict[str, list[Edge]] = {}
    start = ("", frozenset[str]())
    ways: dict[tuple[str, frozenset[str]], list[Edge]] = {start: []}
    queue = deque([start])
    while queue:
        source, extras = state = queue.popleft()
        for demand in graph.demands.get(source, ()):
            if demand.under and not demand.under & extras:
                continue
            way = [*ways[state], demand.edge]
            if demand.edge.name == name:
                chains.setdefault(source, way)
                continue
            reached = (demand.edge.name, _with_implied(demand.edge.name, demand.extras, graph))
            if reached not in ways and demand.edge.name != source:
                ways[reached] = way
                queue.append(reached)
    return sorted(chains.values(), key=lambda chain: (len(chain), [edge.name for edge in chain]))[:limit]


def _with_implied(name: str, extras: frozenset[str], graph: Graph) -> frozenset[str]:
    """Extras of a package, with those that it asks of itself for them (``all = pkg[a,b]``)."""
    known = None
    while known != extras:
        known = extras
        for demand in graph.demands.get(name, ()):
            if demand.edge.name == name and (not demand.under or demand.under & extras):
                extras |= demand.extras
    return extras


def _active(
    package: LockedPackage, extras: frozenset[str], target: Target
) -> list[tuple[Requirement, frozenset[str]]]:
    """The requirements that hold, each with the extras that make it; none for one that always holds."""
    found = []
    for text in package.requires:
        item = parse_requirement(text)
        if marker_holds(item.marker, target):
            found.append((item, frozenset[str]()))
        elif under := frozenset(extra for extra in extras if marker_holds(item.marker, target, extra)):
            found.append((item, under))
    return found
