"""The dependency graph of one target, as the lock tells it: PyPI's packages and conda's in one.

A conda package is the node ``conda:NAME``. A requirement that conda meets leads there.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from envforge.model.lock import Lock, LockedPackage, LockedTarget
from envforge.model.requirement import Requirement, parse_requirement
from envforge.model.target import Target, marker_holds
from envforge.struct import Struct

_PYTHON = "python"
_SPEC_NAME = re.compile(r"(?:[^\s\[]*::)?([A-Za-z0-9_][A-Za-z0-9_.-]*)")


class Edge(Struct, frozen=True):
    """``source`` (a name, ``""`` for the project itself) needs ``name`` as ``requirement`` says."""

    source: str
    name: str
    requirement: str


class Graph(Struct, frozen=True, kw_only=True):
    """Nodes of a target with their versions, and who needs what; edges in order of name."""

    versions: Mapping[str, str]
    edges: Mapping[str, Sequence[Edge]]

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
    builder.span(("", root) for root in roots if marker_holds(root.marker, locked.target))
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
        self._extras: dict[str, frozenset[str]] = {}
        self._asked_of_conda: dict[str, Requirement] = {}

    def span(self, asked: Iterable[tuple[str, Requirement]]) -> None:
        """Follow requirements (who asks, what) to all that they need from PyPI."""
        queue = deque(asked)
        while queue:
            source, requirement = queue.popleft()
            name = requirement.name
            if name not in self._packages:
                self._lead_to_conda(source, requirement)
                continue
            if name != source:
                self._connect(source, name, str(requirement))
            known = self._extras.get(name)
            united = (known or frozenset()) | frozenset(requirement.extras)
            if known != united:
                self._extras[name] = united
                active = _active(self._packages[name], united, self._target)
                queue.extend((name, item) for item in active)

    def _lead_to_conda(self, source: str, requirement: Requirement) -> None:
        record = self._on_conda.get(requirement.name)
        if record is None:
            return
        self._connect(source, conda_node(record.name), str(requirement))
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
            for item in _active(self._packages[name], frozenset(), self._target)
            if item.name != name
        }
        for name in [*sorted(lost - needed), *sorted(lost & needed)]:
            if name not in self._extras:
                self.span(self._asked_by_extras(name))

    def _asked_by_extras(self, name: str) -> Iterable[tuple[str, Requirement]]:
        """``tinymath[plots]`` needs it; the project where several could."""
        requirement = Requirement(name)
        if len(self._asked_of_conda) > 1:
            return [("", requirement)]
        ((conda_name, asked),) = self._asked_of_conda.items()
        self._connect(conda_node(conda_name), name, f"{name}, for {asked}")
        return [(conda_node(conda_name), requirement)]

    def span_conda(self, roots: Sequence[str]) -> None:
        """The records and what they depend on. Python is there even where nobody names it."""
        for spec in roots:
            if _name_of(spec) in self._records:
                self._connect("", conda_node(_name_of(spec)), spec)
        if roots and _PYTHON in self._records:
            self._connect("", conda_node(_PYTHON), f"{_PYTHON} {self._target.python_minor}.*")
        for record in self._records.values():
            for spec in record.depends:
                if _name_of(spec) in self._records:
                    self._connect(conda_node(record.name), conda_node(_name_of(spec)), spec)

    def _connect(self, source: str, name: str, requirement: str) -> None:
        """The first of several edges between two nodes stays."""
        self._edges.setdefault(source, {}).setdefault(name, Edge(source, name, requirement))

    def graph(self) -> Graph:
        return Graph(
            versions={
                **{name: package.version for name, package in self._packages.items()},
                **{conda_node(name): record.version for name, record in self._records.items()},
            },
            edges={source: [found[name] for name in sorted(found)] for source, found in self._edges.items()},
        )


def conda_node(name: str) -> str:
    """The name of a conda package's node."""
    return f"conda:{name}"


def _name_of(spec: str) -> str:
    """The name in a match spec of a record or of a manifest, ``""`` where there is none."""
    found = _SPEC_NAME.match(spec)
    return found[1].lower() if found else ""


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
