"""The laws of a link plan: it gives the union that a naive copy gives, with the fewest links there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from envforge.model.layout import environment_layout
from envforge.model.tree import Tree
from envforge.plan.link_plan import LinkMode, LinkPlan, plan_links

LAYOUT = environment_layout("linux-64", "3.12")
SITE = f"{LAYOUT.site_packages}/"

Files = dict[str, str]
"""Path → the distribution whose file it is."""

_names = st.sampled_from("xyz")
_paths = st.lists(_names, min_size=1, max_size=3).map("/".join)


def _lay_over(onto: Files, files: Files) -> None:
    """Copy what is not there yet, one tree after the other, as somebody without a plan would."""
    before = set(onto)
    folders = {parent for path in before for parent in _parents(path)}
    for path, owner in files.items():
        if path not in before and path not in folders and not before.intersection(_parents(path)):
            onto[path] = owner


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _possible(paths: Iterable[str]) -> list[str]:
    """Leave out files that stand below another file."""
    chosen: list[str] = []
    for path in sorted(paths):
        if not set(_parents(path)) & set(chosen):
            chosen.append(path)
    return chosen


class Universe:
    """Distributions a, b, c, d with their files, some of them in a bundle."""

    def __init__(self, libraries: Mapping[str, Iterable[str]], bundled: frozenset[str]) -> None:
        self.trees = {name: dict.fromkeys(_possible(paths), name) for name, paths in libraries.items()}
        members = sorted(bundled & self.trees.keys())
        self.bundles = {name: "B" for name in members if len(members) > 1}
        self.sources = {f"trees/{name}/lib/": files for name, files in self.trees.items()}
        if self.bundles:
            self.sources["bundles/B/lib/"] = self.union(self.bundles)

    def union(self, names: Iterable[str]) -> Files:
        result: Files = {}
        for name in sorted(names):
            _lay_over(result, self.trees[name])
        return result

    def entries(self, tree_id: str, folder: str) -> list[tuple[str, bool]]:
        prefix = f"{folder}/" if folder else ""
        found: dict[str, bool] = {}
        for path in self.trees[tree_id]:
            if path.startswith(prefix):
                name, _, below = path.removeprefix(prefix).partition("/")
                found[name] = bool(below)
        return list(found.items())

    def plan(self, mode: LinkMode = LinkMode.SHARED, unshared: frozenset[str] = frozenset()) -> LinkPlan:
        trees = [
            Tree(
                id=name, sha256="", name=name, version="1",
                top_level={entry: "d" if is_folder else "f" for entry, is_folder in self.entries(name, "")},
            )
            for name in self.trees
        ]  # fmt: skip
        return plan_links(trees, LAYOUT, self, mode=mode, unshared=unshared, bundles=self.bundles)

    def apply(self, plan: LinkPlan) -> Files:
        """What stands in site-packages afterwards; a path that is made twice fails."""
        result: Files = {}
        for link in plan.links:
            root = next(root for root in self.sources if link.source.startswith(root))
            inside = link.source.removeprefix(root)
            for path, owner in self.sources[root].items():
                if path == inside or (link.is_folder and path.startswith(f"{inside}/")):
                    place = f"{link.path}{path.removeprefix(inside)}"
                    assert place not in result
                    assert link.path.rpartition("/")[0] in plan.folders
                    result[place] = owner
        return {path.removeprefix(SITE): owner for path, owner in result.items()}

    def fewest_links(self) -> int:
        """By trying every source for every folder."""
        union = self.union(self.trees)

        def below(files: Files, folder: str) -> Files:
            return {path: owner for path, owner in files.items() if path.startswith(f"{folder}/")}

        def fewest(place: str) -> int:
            if place in union:
                return 1
            wanted = below(union, place)
            if any(below(files, place) == wanted for files in self.sources.values()):
                return 1
            depth = place.count("/") + 2
            return sum(fewest(child) for child in {"/".join(path.split("/")[:depth]) for path in wanted})

        return sum(fewest(top) for top in {path.split("/")[0] for path in union})


universes = st.builds(
    Universe,
    st.dictionaries(st.sampled_from("abcd"), st.lists(_paths, max_size=6), max_size=4),
    st.frozensets(st.sampled_from("abcd")),
)


@given(universes)
@settings(max_examples=300, deadline=None)
def test_a_plan_gives_the_union_with_the_fewest_links(universe: Universe) -> None:
    plan = universe.plan()
    assert universe.apply(plan) == universe.union(universe.trees)
    assert len(plan.links) == universe.fewest_links()


@given(universes, st.frozensets(st.sampled_from("abcd")), st.sampled_from(LinkMode))
@settings(max_examples=150, deadline=None)
def test_modes_do_not_change_the_union(universe: Universe, unshared: frozenset[str], mode: LinkMode) -> None:
    plan = universe.plan(mode, unshared)
    assert universe.apply(plan) == universe.union(universe.trees)
    for link in plan.links:
        owner = link.source.split("/")[1]
        assert link.mode is (LinkMode.COPY if owner in unshared else mode)


@given(universes)
@settings(max_examples=150, deadline=None)
def test_every_loss_is_told(universe: Universe) -> None:
    """A file of a tree is in the environment, or a clobber names its path or a folder above it."""
    plan = universe.plan()
    union = universe.union(universe.trees)
    told = {(clobber.dropped, clobber.path.removeprefix(SITE)) for clobber in plan.clobbers}
    for name, files in universe.trees.items():
        for path in files:
            lost = union.get(path) != name
            assert lost == any((name, place) in told for place in [*_parents(path), path])
