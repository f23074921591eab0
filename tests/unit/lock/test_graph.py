"""Who needs what, on one target."""

from __future__ import annotations

import pytest

from envforge.lock.graph import Edge, Graph, dependency_graph, shortest_chains
from envforge.model.lock import Lock
from envforge.model.requirement import parse_requirement

from support.locks import lock_of, pin, resolution


def graph(lock: Lock, *roots: str, platform: str = "linux-64") -> Graph:
    return dependency_graph(lock, platform, [parse_requirement(root) for root in roots])


def names(found: Graph, source: str) -> list[str]:
    return [edge.name for edge in found.edges.get(source, ())]


def chains(found: Graph, name: str, limit: int = 10) -> list[str]:
    return [" ".join(edge.name for edge in chain) for chain in shortest_chains(found, name, limit)]


def locked(*pins: tuple[str, list[str]]) -> Lock:
    return lock_of(resolution("linux-64", [pin(name, "1", requires) for name, requires in pins]))


def test_edges_with_their_requirements():
    lock = locked(("torch", ["sympy>=1.13.3", "filelock"]), ("sympy", ["mpmath<1.4,>=1.1"]), ("mpmath", []))
    found = graph(lock, "torch>=2")
    assert found.edges[""] == [Edge("", "torch", "torch>=2")]
    # filelock is required but not locked: it cannot be followed
    assert found.edges["torch"] == [Edge("torch", "sympy", "sympy>=1.13.3")]
    assert found.edges["sympy"] == [Edge("sympy", "mpmath", "mpmath<1.4,>=1.1")]
    assert found.into("mpmath") == [Edge("sympy", "mpmath", "mpmath<1.4,>=1.1")]
    assert found.versions["sympy"] == "1"


def test_markers_are_those_of_the_target():
    requires = ['a; sys_platform == "linux"', 'b; sys_platform == "darwin"']
    pins = [pin("root", "1", requires), pin("a", "1"), pin("b", "1")]
    lock = lock_of(resolution("linux-64", pins), resolution("osx-arm64", pins))
    assert names(graph(lock, "root"), "root") == ["a"]
    assert names(graph(lock, "root", platform="osx-arm64"), "root") == ["b"]
    assert names(graph(lock, 'root; sys_platform == "win32"'), "") == []


def test_a_target_sees_its_own_versions():
    lock = lock_of(resolution("linux-64", [pin("a", "1")]), resolution("osx-arm64", [pin("a", "2")]))
    assert graph(lock, "a").versions["a"] == "1"
    assert graph(lock, "a", platform="osx-arm64").versions["a"] == "2"


def test_extras_travel_also_to_a_package_that_is_known_already():
    lock = lock_of(
        resolution(
            "linux-64",
            [
                pin("app", "1", ["lib[fast]"]),
                pin(
                    "lib",
                    "1",
                    ['speed; extra == "fast"', 'lib[more]; extra == "fast"', 'x; extra == "more"'],
                    extras=["fast", "more"],
                ),
                pin("speed", "1"),
                pin("x", "1"),
            ],
        )
    )
    assert names(graph(lock, "lib"), "lib") == []
    # lib comes first and plain; app asks for the extra later
    assert names(graph(lock, "lib", "app"), "lib") == ["speed", "x"]


def test_cycles_end():
    lock = locked(("a", ["b"]), ("b", ["c"]), ("c", ["a", "c"]))
    found = graph(lock, "a")
    assert [names(found, name) for name in ("", "a", "b", "c")] == [["a"], ["b"], ["c"], ["a"]]


def test_no_way_goes_through_the_package_itself():
    lock = locked(("a", ["b"]), ("b", ["c"]), ("c", ["b"]))
    assert chains(graph(lock, "a"), "b") == ["a b"]


def test_a_way_round_the_package_is_found():
    lock = locked(("a", ["b", "long"]), ("b", ["c"]), ("long", ["c"]), ("c", ["b"]))
    assert chains(graph(lock, "a"), "b") == ["a b", "a long c b"]


def test_chains_are_shortest_first_and_bounded():
    mids = [f"m{number:02}" for number in range(15)]
    lock = locked(("top", [*mids, "goal"]), *((mid, ["goal"]) for mid in mids), ("goal", []), ("alone", []))
    found = graph(lock, "top", "goal")
    assert chains(found, "goal", 4) == ["goal", "top goal", "top m00 goal", "top m01 goal"]
    assert len(chains(found, "goal")) == 10
    assert chains(found, "alone") == []


def test_many_ways_cost_no_more_than_edges():
    """Thirty layers of five packages have 5**30 chains."""
    layers = [[f"p{layer:02}-{number}" for number in range(5)] for layer in range(30)]
    pins = [
        (name, below) for layer, below in zip(layers, [*layers[1:], ["goal"]], strict=True) for name in layer
    ]
    found = graph(locked(*pins, ("goal", [])), *layers[0])
    assert len(shortest_chains(found, "goal")) == 5


def test_a_platform_that_is_not_locked():
    with pytest.raises(KeyError, match="win-64"):
        graph(locked(("a", [])), "a", platform="win-64")
