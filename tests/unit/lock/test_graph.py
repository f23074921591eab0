"""Who needs what, on one target."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from envforge.lock.graph import Edge, Graph, dependency_graph, shortest_chains
from envforge.model.lock import Lock
from envforge.model.requirement import parse_requirement

from support.locks import conda_python, conda_record, lock_of, pin, resolution


def graph(
    lock: Lock,
    *roots: str,
    platform: str = "linux-64",
    conda: Sequence[str] = (),
    groups: Sequence[str] | None = None,
) -> Graph:
    return dependency_graph(lock, platform, [parse_requirement(root) for root in roots], conda, groups)


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


def test_a_chain_is_by_extras_that_its_steps_ask_for():
    pins = [
        pin("lib", "1", ['goal; extra == "x"'], extras=["x"]),
        pin("app", "1", ["lib[x]"]),
        pin("top", "1", ["app"]),
        pin("goal", "1"),
    ]
    lock = lock_of(resolution("linux-64", pins))
    assert chains(graph(lock, "lib", "app"), "goal") == ["app lib goal"]
    assert chains(graph(lock, "lib", "top"), "goal") == ["top app lib goal"]
    assert chains(graph(lock, "lib", "lib[x]", "app"), "goal") == ["lib goal"]
    (found,) = shortest_chains(graph(lock, "lib", "lib[x]"), "goal")
    assert [edge.requirement for edge in found] == ["lib[x]", 'goal; extra == "x"']
    assert chains(graph(lock, "lib"), "goal") == []
    assert chains(graph(lock, "lib", "app"), "lib") == ["lib", "app lib"]


def test_extras_that_an_extra_asks_its_own_package_for():
    requires = ['lib[x,y]; extra == "all"', 'goal; extra == "x"']
    pins = [
        pin("lib", "1", requires, extras=["all", "x", "y"]),
        pin("app", "1", ["lib[all]"]),
        pin("goal", "1"),
    ]
    lock = lock_of(resolution("linux-64", pins))
    assert chains(graph(lock, "lib", "app"), "goal") == ["app lib goal"]


def test_a_chain_may_come_to_a_package_again_with_an_extra():
    pins = [
        pin("lib", "1", ["plugin", 'goal; extra == "x"'], extras=["x"]),
        pin("plugin", "1", ["lib[x]"]),
        pin("goal", "1"),
    ]
    assert chains(graph(lock_of(resolution("linux-64", pins)), "lib"), "goal") == ["lib plugin lib goal"]


def test_an_extra_of_a_conda_package_is_on_the_way_only_where_it_is_asked_for():
    pins = [pin("app", "1", ["numpy[fast]"]), pin("other", "1", ["numpy"]), pin("speed", "1")]
    groups = {"project": ["app", "other", "speed"]}
    lock = lock_of(resolution("linux-64", pins, groups=groups, conda=[PYTHON, ZLIB, NUMPY, BLAS]))
    found = graph(lock, "other", "app", conda=["numpy >=2"])
    assert chains(found, "speed") == ["app conda:numpy speed"]


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


PYTHON = conda_python(depends=["libzlib >=1.3,<2.0a0", "__glibc >=2.17"])
ZLIB = conda_record("libzlib", "1.3.1")
NUMPY = conda_record("numpy", "2.1.0", ["python >=3.12", "libblas"], pypi="numpy")
BLAS = conda_record("libblas", "3.9", ["conda-forge::libzlib[version='>=1']"])
BOTH_WORLDS = lock_of(
    resolution(
        "linux-64",
        [pin("pandas", "2.2", ["numpy>=1.26"]), pin("six", "1.17")],
        conda=[PYTHON, ZLIB, NUMPY, BLAS],
    )
)


def test_a_requirement_that_conda_meets_leads_there():
    found = graph(BOTH_WORLDS, "pandas", conda=["numpy >=2"])
    assert found.edges[""] == [
        Edge("", "conda:numpy", "numpy >=2"),
        Edge("", "conda:python", "python 3.12.*"),
        Edge("", "pandas", "pandas"),
    ]
    assert found.edges["pandas"] == [Edge("pandas", "conda:numpy", "numpy>=1.26")]
    assert names(found, "conda:numpy") == ["conda:libblas", "conda:python"]
    assert names(found, "conda:libblas") == ["conda:libzlib"]
    assert names(found, "conda:python") == ["conda:libzlib"], "the system's own are no packages"
    assert found.versions["conda:numpy"] == "2.1.0"
    assert chains(found, "conda:libzlib") == [
        "conda:python conda:libzlib",
        "conda:numpy conda:libblas conda:libzlib",
    ]
    assert chains(found, "conda:numpy") == ["conda:numpy", "pandas conda:numpy"]


def test_pythons_own_spec_is_told_where_the_user_gave_one():
    found = graph(BOTH_WORLDS, conda=["python >=3.11"])
    assert found.edges[""] == [Edge("", "conda:python", "python >=3.11")]


def test_without_the_conda_dependencies_only_what_requirements_lead_to():
    assert names(graph(BOTH_WORLDS, "pandas"), "") == ["pandas"]
    assert chains(graph(BOTH_WORLDS, "pandas"), "conda:libblas") == ["pandas conda:numpy conda:libblas"]


def test_what_an_extra_of_a_conda_package_needs_is_below_it():
    """The lock has no requirements of what conda brings."""
    pins = [
        pin("app", "1", ["numpy[fast]>=1"]),
        pin("speed", "1", ["engine"]),
        pin("engine", "1", ["speed"]),
        pin("other", "1"),
    ]
    groups = {"project": ["app", "speed", "engine"], "group:dev": ["other"]}
    lock = lock_of(resolution("linux-64", pins, groups=groups, conda=[PYTHON, ZLIB, NUMPY, BLAS]))
    found = graph(lock, "app", groups=["project"])
    assert "engine" in names(found, "conda:numpy")
    assert found.edges["conda:numpy"][2] == Edge("conda:numpy", "engine", "engine, for numpy[fast]>=1")
    assert chains(found, "speed") == ["app conda:numpy engine speed"]
    assert chains(found, "other") == []
    assert chains(graph(lock, "numpy", groups=["project"]), "speed") == [], "nobody asked for the extra"


def test_extras_of_several_conda_packages_cannot_be_told_apart():
    blas = conda_record("libblas", "3.9", pypi="blas")
    pins = [pin("speed", "1", ["engine"]), pin("engine", "1")]
    lock = lock_of(resolution("linux-64", pins, conda=[PYTHON, ZLIB, NUMPY, blas]))
    found = graph(lock, "numpy[fast]", "blas[fast]")
    assert names(found, "") == ["conda:libblas", "conda:numpy", "speed"]
    assert names(found, "speed") == ["engine"]
