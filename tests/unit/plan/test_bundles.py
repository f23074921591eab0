"""Which trees must be physical siblings."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from envforge.model.tree import Tree
from envforge.plan.bundles import bundle_id, plan_bundles


class Folders:
    """A listing of trees of which only the folders matter."""

    def __init__(self, folders: dict[str, Iterable[str]]) -> None:
        self.folders = {name: set(owned) for name, owned in folders.items()}
        self.asked: list[tuple[str, str]] = []

    def entries(self, tree_id: str, folder: str) -> Iterable[tuple[str, bool]]:
        self.asked.append((tree_id, folder))
        owned = self.folders[tree_id]
        return [("x", False)] if any(f"{path}/".startswith(f"{folder}/") for path in owned) else []


def tree(name: str, folders: Iterable[str] = (), couplings: Iterable[str] = ()) -> Tree:
    tops = {folder.split("/")[0]: "d" for folder in folders}
    return Tree(id=name, sha256=name, name=name, version="1", top_level=tops, couplings=tuple(couplings))


def plan(**trees: tuple[list[str], list[str]]) -> list[tuple[str, ...]]:
    made = [tree(name, folders, couplings) for name, (folders, couplings) in trees.items()]
    return plan_bundles(made, Folders({name: folders for name, (folders, _) in trees.items()}))


def test_nothing_coupled_nothing_bundled() -> None:
    listing = Folders({"a": ["a"], "b": ["b"]})
    assert plan_bundles([tree("a", ["a"]), tree("b", ["b"])], listing) == []
    assert listing.asked == []
    assert plan_bundles([], listing) == []


def test_torch_and_the_owners_of_what_it_looks_for() -> None:
    assert plan(
        torch=(["torch"], ["nvidia/cublas/lib", "nvidia/cudnn/lib", "nvidia/absent/lib"]),
        cublas=(["nvidia/cublas/lib"], []),
        cudnn=(["nvidia/cudnn/lib"], []),
        dali=(["nvidia/dali"], []),
        numpy=(["numpy"], []),
    ) == [("cublas", "cudnn", "torch")]


def test_a_folder_with_several_owners_brings_them_all() -> None:
    assert plan(
        torch=(["torch"], ["nvidia/cu13/lib"]),
        cublas=(["nvidia/cu13/lib"], []),
        cufft=(["nvidia/cu13/lib"], []),
    ) == [("cublas", "cufft", "torch")]


def test_transitive() -> None:
    assert plan(
        vision=(["vision"], ["torch/lib"]),
        torch=(["torch/lib"], ["nvidia/cudnn/lib"]),
        cudnn=(["nvidia/cudnn/lib"], ["nvidia/cublas/lib"]),
        cublas=(["nvidia/cublas/lib"], []),
    ) == [("cublas", "cudnn", "torch", "vision")]


def test_two_who_need_the_same_are_one_group() -> None:
    """An environment has one link for a folder, so it can be in one bundle only."""
    assert plan(a=(["a"], ["c/lib"]), b=(["b"], ["c/lib"]), c=(["c/lib"], [])) == [("a", "b", "c")]


def test_separate_groups_stay_separate() -> None:
    assert plan(
        d=(["d"], ["c"]),
        c=(["c"], []),
        a=(["a"], ["b"]),
        b=(["b"], []),
    ) == [("a", "b"), ("c", "d")]


def test_a_folder_that_only_the_package_itself_has() -> None:
    assert plan(triton=(["triton/lib"], ["triton/lib"]), other=(["other"], [])) == []


def test_a_file_is_no_folder() -> None:
    single = Tree(id="s", sha256="s", name="s", version="1", top_level={"six": "f"})
    assert plan_bundles([single, tree("a", ["a"], ["six"])], Folders({"a": ["a"], "s": ["six"]})) == []


names = st.sampled_from("abcdefgh")


@given(st.dictionaries(names, st.sets(names, max_size=3), max_size=8))
def test_groups_are_the_connected_components(wanted: dict[str, set[str]]) -> None:
    trees = [tree(name, [name], sorted(others)) for name, others in wanted.items()]
    groups = plan_bundles(trees, Folders({name: [name] for name in wanted}))
    assert groups == sorted(groups)
    together = {frozenset(group) for group in groups}
    assert sum(map(len, groups)) == len(frozenset().union(*together)) if together else not groups
    edges = {(a, b) for a, others in wanted.items() for b in others if b in wanted and a != b}
    for a, b in edges:
        assert any({a, b} <= group for group in together)
    for group in together:
        reached, edge_count = {min(group)}, 0
        while edge_count != len(reached):
            edge_count = len(reached)
            reached |= {b for a, b in edges if a in reached} | {a for a, b in edges if b in reached}
        assert reached == group
    assert plan_bundles(trees[::-1], Folders({name: [name] for name in wanted})) == groups


def test_the_id_does_not_depend_on_the_order() -> None:
    assert bundle_id(["b", "a"]) == bundle_id(["a", "b"])
    assert bundle_id(["a", "b"]) != bundle_id(["ab"])
    assert len(bundle_id(["a"])) == 20
