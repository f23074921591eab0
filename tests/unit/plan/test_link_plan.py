"""Which links a plan holds, case by case. tests/property/test_link_plan.py has the laws."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from envforge.model.layout import environment_layout
from envforge.model.tree import EntryPoint, Tree
from envforge.plan.link_plan import Clobber, Link, LinkMode, LinkPlan, plan_links, reserved_paths

LINUX = environment_layout("linux-64", "3.12")
WINDOWS = environment_layout("win-64", "3.12")
SITE = LINUX.site_packages


class Listing:
    """Trees in memory, and which folders were asked for."""

    def __init__(self, libraries: dict[str, Iterable[str]]) -> None:
        self.asked: list[tuple[str, str]] = []
        self._entries: dict[tuple[str, str], dict[str, bool]] = {}
        for tree_id, paths in libraries.items():
            for path in paths:
                parts = path.split("/")
                for depth in range(len(parts)):
                    folder = self._entries.setdefault((tree_id, "/".join(parts[:depth])), {})
                    folder[parts[depth]] = depth < len(parts) - 1

    def entries(self, tree_id: str, folder: str) -> Iterable[tuple[str, bool]]:
        self.asked.append((tree_id, folder))
        return list(self._entries.get((tree_id, folder), {}).items())

    def top_level(self, tree_id: str) -> dict[str, str]:
        entries = self._entries.get((tree_id, ""), {})
        return {name: "d" if is_folder else "f" for name, is_folder in entries.items()}


def plan(
    libraries: dict[str, Iterable[str]], mode: LinkMode = LinkMode.SHARED, **options: Any
) -> tuple[LinkPlan, Listing]:
    listing = Listing(libraries)
    trees = [
        Tree(id=f"t-{name}", sha256="", name=name, version="1", top_level=listing.top_level(name))
        for name in libraries
    ]
    named = Listing({f"t-{name}": paths for name, paths in libraries.items()})
    return plan_links(trees, LINUX, named, mode=mode, **options), named


def one(tree: Tree, layout: Any = LINUX) -> LinkPlan:
    return plan_links([tree], layout, Listing({}), mode=LinkMode.SHARED)


def shown(links: Sequence[Link]) -> dict[str, str]:
    return {link.path.removeprefix(f"{SITE}/"): link.source for link in links}


def test_a_folder_of_one_distribution_is_one_link_and_is_not_looked_into() -> None:
    made, listing = plan(
        {"torch": ["torch/a.py", "torch/b/c.py", "torch-1.dist-info/METADATA"], "six": ["six.py"]}
    )
    assert shown(made.links) == {
        "six.py": "trees/t-six/lib/six.py",
        "torch": "trees/t-torch/lib/torch",
        "torch-1.dist-info": "trees/t-torch/lib/torch-1.dist-info",
    }
    assert made.folders == ["bin", "lib", "lib/python3.12", SITE]
    assert listing.asked == []
    assert made.clobbers == []


def test_a_single_distribution_does_not_replace_site_packages() -> None:
    made, _ = plan({"six": ["six.py"]})
    assert [link.path for link in made.links] == [f"{SITE}/six.py"]


def test_a_shared_folder_is_real_and_split_one_level_down() -> None:
    made, listing = plan({"a": ["ns/a/x.py", "ns/both/a.py"], "b": ["ns/b/x.py", "ns/both/b.py"]})
    assert shown(made.links) == {
        "ns/a": "trees/t-a/lib/ns/a",
        "ns/b": "trees/t-b/lib/ns/b",
        "ns/both/a.py": "trees/t-a/lib/ns/both/a.py",
        "ns/both/b.py": "trees/t-b/lib/ns/both/b.py",
    }
    assert made.folders[-2:] == [f"{SITE}/ns", f"{SITE}/ns/both"]
    assert set(listing.asked) == {("t-a", "ns"), ("t-b", "ns"), ("t-a", "ns/both"), ("t-b", "ns/both")}


def test_old_style_namespace_packages_clobber_and_the_first_by_name_keeps() -> None:
    made, _ = plan({"b": ["ns/__init__.py", "ns/b.py"], "a": ["ns/__init__.py", "ns/a.py"]})
    assert shown(made.links)["ns/__init__.py"] == "trees/t-a/lib/ns/__init__.py"
    assert made.clobbers == [Clobber(f"{SITE}/ns/__init__.py", "a", "b")]


def test_a_folder_that_loses_everything_leaves_one_link() -> None:
    made, _ = plan({"headless": ["cv2/x.py", "cv2/data/y.xml"], "opencv": ["cv2/x.py"], "a": ["a.py"]})
    assert shown(made.links) == {"a.py": "trees/t-a/lib/a.py", "cv2": "trees/t-headless/lib/cv2"}
    assert f"{SITE}/cv2" not in made.folders
    assert made.clobbers == [Clobber(f"{SITE}/cv2/x.py", "headless", "opencv")]


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        ({"x"}, {"x/y.py"}, {"x": "trees/t-a/lib/x"}),
        ({"x/y.py"}, {"x"}, {"x": "trees/t-a/lib/x"}),
    ],
)
def test_a_file_against_a_folder(first: set[str], second: set[str], kept: dict[str, str]) -> None:
    made, _ = plan({"a": first, "b": second})
    assert shown(made.links) == kept
    assert made.clobbers == [Clobber(f"{SITE}/x", "a", "b")]


def test_bytecode_of_shared_folders_is_never_linked() -> None:
    made, _ = plan({"a": ["ns/a.py", "ns/__pycache__/a.pyc", "__pycache__/x.pyc"], "b": ["ns/b.py"]})
    assert not [link for link in made.links if "__pycache__" in link.path]


def test_members_of_a_bundle_are_one_owner() -> None:
    made, _ = plan(
        {
            "torch": ["torch/lib/libtorch.so"],
            "cublas": ["nvidia/cublas/lib/libcublas.so", "nvidia/__init__.py"],
            "cudnn": ["nvidia/cudnn/lib/libcudnn.so", "nvidia/__init__.py"],
            "other": ["other/x.py"],
        },
        bundles={"t-torch": "B", "t-cublas": "B", "t-cudnn": "B"},
    )
    assert shown(made.links) == {
        "nvidia": "bundles/B/lib/nvidia",
        "other": "trees/t-other/lib/other",
        "torch": "bundles/B/lib/torch",
    }
    assert made.clobbers == [Clobber(f"{SITE}/nvidia/__init__.py", "cublas", "cudnn")]


def test_a_stranger_in_a_bundles_folder_splits_it() -> None:
    made, _ = plan(
        {"a": ["nvidia/a/x"], "b": ["nvidia/b/x"], "c": ["nvidia/c/x"]}, bundles={"t-a": "B", "t-c": "B"}
    )
    assert shown(made.links) == {
        "nvidia/a": "bundles/B/lib/nvidia/a",
        "nvidia/b": "trees/t-b/lib/nvidia/b",
        "nvidia/c": "bundles/B/lib/nvidia/c",
    }


def test_what_a_bundle_displaced_comes_from_its_own_tree() -> None:
    made, _ = plan({"a": ["x/a.py"], "b": ["x"], "c": ["x/c.py"]}, bundles={"t-b": "B", "t-c": "B"})
    assert shown(made.links) == {"x/a.py": "trees/t-a/lib/x/a.py", "x/c.py": "trees/t-c/lib/x/c.py"}


def test_unshared_distributions_are_copied() -> None:
    made, _ = plan({"a": ["a/x.py", "ns/a.py"], "b": ["b/x.py", "ns/b.py"]}, unshared={"a"})
    assert {link.path.rpartition("/")[2]: link.mode for link in made.links} == {
        "a": LinkMode.COPY,
        "a.py": LinkMode.COPY,
        "b": LinkMode.SHARED,
        "b.py": LinkMode.SHARED,
    }


def test_an_unshared_member_leaves_its_bundle() -> None:
    made, _ = plan({"a": ["a/x"], "b": ["b/x"]}, unshared={"a"}, bundles={"t-a": "B", "t-b": "B"})
    assert shown(made.links) == {"a": "trees/t-a/lib/a", "b": "bundles/B/lib/b"}


@pytest.mark.parametrize("mode", list(LinkMode))
def test_the_mode_is_on_every_link(mode: LinkMode) -> None:
    made, _ = plan({"a": ["a/x.py", "ns/a.py"], "b": ["ns/b.py"]}, mode)
    assert {link.mode for link in made.links} == {mode}
    assert [link.is_folder for link in made.links] == [True, False, False]


def test_data_and_headers_are_real_folders_with_single_links() -> None:
    tree = Tree(
        id="t", sha256="", name="jupyter", version="1",
        data=("share/jupyter/kernel.json", "etc/jupyter/conf.d/x.json", "lib64/x.so"), headers=("j/j.h",),
    )  # fmt: skip
    made = one(tree)
    assert {link.path: link.source for link in made.links} == {
        "etc/jupyter/conf.d/x.json": "trees/t/data/etc/jupyter/conf.d/x.json",
        "include/site/python3.12/jupyter/j/j.h": "trees/t/headers/j/j.h",
        "lib/x.so": "trees/t/data/lib64/x.so",
        "share/jupyter/kernel.json": "trees/t/data/share/jupyter/kernel.json",
    }
    assert "etc/jupyter/conf.d" in made.folders
    assert list(made.folders) == sorted(made.folders)


def test_data_inside_site_packages_joins_the_package() -> None:
    listing = Listing({"t": ["pkg/x.py"]})
    tree = Tree(
        id="t", sha256="", name="pkg", version="1", top_level={"pkg": "d"}, data=(f"{SITE}/pkg/extra.txt",)
    )
    made = plan_links([tree], LINUX, listing, mode=LinkMode.SHARED)
    assert shown(made.links) == {
        "pkg/extra.txt": f"trees/t/data/{SITE}/pkg/extra.txt",
        "pkg/x.py": "trees/t/lib/pkg/x.py",
    }


def test_nobody_gets_the_environments_own_files() -> None:
    point = EntryPoint(name="python", module="m", attribute="main")
    tree = Tree(
        id="t", sha256="", name="evil", version="1", entry_points=(point,), scripts=("activate", "fine"),
        data=("pyvenv.cfg", "bin/python3.12"),
    )  # fmt: skip
    made = one(tree)
    assert made.links == []
    assert [script.name for script in made.scripts] == ["fine"]
    assert {(clobber.path, clobber.kept) for clobber in made.clobbers} == {
        (path, "envforge") for path in ("pyvenv.cfg", "bin/python", "bin/python3.12", "bin/activate")
    }
    assert "Scripts/python.exe" in reserved_paths(WINDOWS)


def test_scripts_clobber_by_file_name() -> None:
    def tree(name: str, scripts: tuple[str, ...] = (), points: tuple[str, ...] = ()) -> Tree:
        return Tree(
            id=f"t-{name}", sha256="", name=name, version="1", scripts=scripts,
            entry_points=tuple(EntryPoint(name=point, module=name, attribute="main") for point in points),
        )  # fmt: skip

    trees = [tree("b", scripts=("tool", "b.sh")), tree("a", points=("tool",), scripts=("tool",))]
    made = plan_links(trees, LINUX, Listing({}), mode=LinkMode.SHARED)
    assert [(script.name, script.source) for script in made.scripts] == [
        ("b.sh", "trees/t-b/scripts/b.sh"),
        ("tool", ""),
    ]
    assert made.clobbers == [Clobber("bin/tool", "a", "b")]
    on_windows = plan_links(trees, WINDOWS, Listing({}), mode=LinkMode.SHARED)
    assert [script.name for script in on_windows.scripts] == ["b.sh", "tool", "tool"]


def test_windows_paths() -> None:
    tree = Tree(id="t", sha256="", name="six", version="1", top_level={"six.py": "f"}, headers=("s.h",))
    made = one(tree, WINDOWS)
    assert [link.path for link in made.links] == ["Include/six/s.h", "Lib/site-packages/six.py"]
    assert made.folders == ["Include", "Include/six", "Lib", "Lib/site-packages", "Scripts"]


def test_an_empty_environment_has_its_folders() -> None:
    made, _ = plan({})
    assert made.folders == ["bin", "lib", "lib/python3.12", SITE]


def test_the_store_is_asked_once_per_tree_and_shared_folder() -> None:
    """What a plan costs: 175 trees are planned in 3 ms, plus these folder listings."""
    libraries = {
        f"p{number}": [f"p{number}/x.py", f"p{number}-1.dist-info/METADATA", f"ns/p{number}/x.py"]
        for number in range(175)
    }
    made, listing = plan(libraries)
    assert len(made.links) == 3 * 175
    assert sorted(listing.asked) == sorted((f"t-{name}", "ns") for name in libraries)
