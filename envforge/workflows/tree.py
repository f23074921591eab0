"""``envforge tree`` and ``envforge why``: who needs what, as the lock has it. Nothing is installed for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from envforge.errors import HostError, LockError
from envforge.host.facts import host_platform
from envforge.lock.graph import Edge, Graph, conda_node, dependency_graph, shortest_chains
from envforge.manifest.faults import suggestion
from envforge.manifest.requirements import requirements_by_group
from envforge.model.conda import CONDA_MARK
from envforge.model.lock import PROJECT_GROUP, Lock, LockedTarget
from envforge.model.names import normalize_name
from envforge.model.variant import AUTO
from envforge.struct import Struct
from envforge.workflows.current_lock import current_lock
from envforge.workflows.project import Project, read_former_lock, read_project
from envforge.workflows.session import Session
from envforge.workflows.variants import VARIABLE, choose_for_host, known_variant, locked_target


class TreeNode(Struct, frozen=True, kw_only=True):
    """A package where it stands in the tree.

    Args:
        name: normalized; ``conda:NAME`` for a package of conda.
        version: locked.
        requirement: what its parent asks of it (inverted: what it asks of its parent).
        children: what it needs (inverted: who needs it).
        repeated: its children are shown where it stands first.
    """

    name: str
    version: str
    requirement: str
    children: tuple[TreeNode, ...] = ()
    repeated: bool = False


class TreeReport(Struct, frozen=True, kw_only=True):
    """The tree of one target; ``roots`` are the project's requirements, or the inverted package."""

    target: str
    roots: tuple[TreeNode, ...]


class WhyReport(Struct, frozen=True, kw_only=True):
    """Why a package is there: chains of ``name version`` and requirement texts, shortest first."""

    name: str
    version: str
    target: str
    chains: tuple[tuple[str, ...], ...]


def dependency_tree(
    session: Session,
    *,
    platform: str | None = None,
    variant: str = "",
    groups: Sequence[str] | None = None,
    depth: int | None = None,
    invert: str | None = None,
) -> TreeReport:
    """The dependencies of the project on one platform.

    Args:
        session: the surroundings.
        platform: conda subdir, None for this host's.
        variant: name of one, ``""`` for that of this host, on another platform for the first there is.
        groups: ``project``, dependency groups, ``extra:NAME``; None for all.
        depth: levels to show, None for all.
        invert: a package to show with those that need it, instead.

    Raises:
        LockError: there is no lock, it does not fit the manifest, or has no such platform, variant, group
            or package.
    """
    project = read_project(session.root)
    lock = current_lock(project, read_former_lock(project))
    target = _target(project, lock, platform, variant, session)
    graph = _graph(project, lock, target, groups)
    grower = _Grower(graph, inverted=invert is not None)
    if invert is not None:
        name = _known_package(graph, invert, target, lock)
        roots = [grower.grow(Edge("", name, ""), depth)]
    else:
        roots = [grower.grow(edge, depth) for edge in graph.edges.get("", ())]
    return TreeReport(target=target.target.label, roots=tuple(roots))


def why(session: Session, name: str, *, platform: str | None = None, variant: str = "") -> WhyReport:
    """The ways from the project to a package; ``platform`` and ``variant`` as above.

    Raises:
        LockError: there is no lock, it does not fit the manifest, or has no such platform, variant or
            package.
    """
    project = read_project(session.root)
    lock = current_lock(project, read_former_lock(project))
    target = _target(project, lock, platform, variant, session)
    graph = _graph(project, lock, target, None)
    found = _known_package(graph, name, target, lock)
    return WhyReport(
        name=found,
        version=graph.versions[found],
        target=target.target.label,
        chains=tuple(_told(chain, graph) for chain in shortest_chains(graph, found)),
    )


class _Grower:
    """Grows nodes from edges; a package's children are grown once."""

    def __init__(self, graph: Graph, *, inverted: bool) -> None:
        self._graph = graph
        self._inverted = inverted
        self._grown: set[str] = set()

    def grow(self, edge: Edge, depth: int | None) -> TreeNode:
        name = edge.source if self._inverted and edge.requirement else edge.name
        version = self._graph.versions[name]
        next_edges = self._next_edges(name)
        repeated = name in self._grown and bool(next_edges)
        children: Iterable[TreeNode] = ()
        if not repeated and depth != 1:
            self._grown.add(name)
            children = [self.grow(following, depth and depth - 1) for following in next_edges]
        return TreeNode(
            name=name,
            version=version,
            requirement=edge.requirement,
            children=tuple(children),
            repeated=repeated,
        )

    def _next_edges(self, name: str) -> list[Edge]:
        if self._inverted:
            return [edge for edge in self._graph.into(name) if edge.source]
        return list(self._graph.edges.get(name, ()))


def _target(
    project: Project, lock: Lock, platform: str | None, variant: str, session: Session
) -> LockedTarget:
    here = host_platform()
    wanted = platform or here
    targets = lock.targets_on(wanted)
    if not targets:
        locked = ", ".join(dict.fromkeys(target.target.platform for target in lock.targets))
        raise LockError(f"the lock has nothing for {wanted}", hints=[f"choose one: --platform {locked}"])
    if variant and variant != AUTO:
        _refuse_unknown_variant(lock, variant)
    named = variant or session.environ.get(VARIABLE, "")
    if wanted == here:
        name = _variant_of_host(project, lock, targets[0].target.variant, variant, session)
    elif named and named != AUTO and project.manifest.settings.variants:
        name = known_variant(project.manifest, named, "--variant" if variant else VARIABLE)
    else:
        name = targets[0].target.variant
    return locked_target(lock, wanted, name)


def _refuse_unknown_variant(lock: Lock, variant: str) -> None:
    known = list(dict.fromkeys(each.target.variant for each in lock.targets if each.target.variant))
    if normalize_name(variant) not in known:
        hints = [suggestion(variant, known)] if known else ["leave --variant out"]
        raise LockError(f"the lock has no variant named {variant!r}", hints=hints)


def _variant_of_host(project: Project, lock: Lock, first: str, asked: str, session: Session) -> str:
    """What this host gets, or the first one where none is for it: the tree can be looked at anywhere."""
    try:
        return choose_for_host(project.manifest, lock, asked, session).name
    except HostError:
        if asked or session.environ.get(VARIABLE):
            raise
        return first


def _graph(project: Project, lock: Lock, target: LockedTarget, groups: Sequence[str] | None) -> Graph:
    """What some groups span, or with None all of them and the conda dependencies, which are in no group."""
    variant = project.manifest.settings.variant(target.target.variant)
    by_group = requirements_by_group(project.manifest, variant)
    wanted = list(by_group) if groups is None else [_group_key(name) for name in groups]
    for name, group in zip(groups or (), wanted, strict=False):
        if group not in by_group:
            known = ", ".join(key.removeprefix("group:") for key in by_group)
            raise LockError(f"the lock has no group named {name!r}", hints=[f"it has: {known}"])
    roots = [requirement for group in wanted for requirement in by_group[group]]
    conda_roots = _conda_roots(project, target) if groups is None else ()
    return dependency_graph(lock, target.id, roots, conda_roots, wanted)


def _conda_roots(project: Project, target: LockedTarget) -> list[str]:
    settings = project.manifest.settings
    wanted = settings.conda_dependencies_of(settings.variant(target.target.variant))
    return [each.match_spec for each in wanted if each.is_wanted_on(target.target.platform)]


def _group_key(name: str) -> str:
    """``project``, ``extra:NAME`` as it is, anything else is a dependency group."""
    kind, colon, extra = name.partition(":")
    if colon and kind == "extra":
        return f"extra:{normalize_name(extra)}"
    return name if name == PROJECT_GROUP else f"group:{normalize_name(name)}"


def _known_package(graph: Graph, name: str, target: LockedTarget, lock: Lock) -> str:
    normalized = normalize_name(name.removeprefix(CONDA_MARK))
    for node in (normalized, conda_node(name.removeprefix(CONDA_MARK).lower())):
        if node in graph.versions and (node != normalized or not name.startswith(CONDA_MARK)):
            return node
    on_conda = next((r for r in lock.conda_records(target) if normalized in r.pypi_names), None)
    if on_conda is not None:
        return conda_node(on_conda.name)
    from difflib import get_close_matches

    close = get_close_matches(normalized, [node.removeprefix(CONDA_MARK) for node in graph.versions], 1)
    raise LockError(
        f"{name!r} is not locked for {target.target.label}",
        hints=[f"did you mean {close[0]}?" if close else "envforge tree shows what is"],
    )


def _told(chain: Sequence[Edge], graph: Graph) -> tuple[str, ...]:
    """``("your project", "torch>=2", "torch 2.15.0", "sympy", "sympy 1.14.0")`` and so on."""
    steps = ["your project"]
    for edge in chain:
        steps += [edge.requirement, f"{edge.name} {graph.versions[edge.name]}"]
    return tuple(steps)
