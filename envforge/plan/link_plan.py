"""The link plan: the smallest set of links that makes many trees look like one environment.

Names are compared exactly: on a file system that folds case, two paths that differ in case only are
not found here.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from envforge.model.layout import EnvironmentLayout
from envforge.model.tree import EntryPoint, Tree, TreeListing
from envforge.struct import Struct, field, replace

MARKER = "envforge-generation.json"
"""The file that says that an environment is complete, and envforge's."""

_BYTECODE = "__pycache__"
_NONE: Mapping[str, str] = MappingProxyType({})


class LinkMode(StrEnum):
    """How an environment gets a tree's files.

    SHARED: symlinks to the store's folders. HARDLINK: real folders, files linked one by one.
    COPY: real folders, files copied.
    """

    SHARED = "shared"
    HARDLINK = "hardlink"
    COPY = "copy"


class Link(Struct, frozen=True):
    """One name to make.

    Args:
        path: relative to the environment, ``/``-separated.
        source: relative to the tier's root (``trees/<id>/lib/torch``), ``/``-separated.
        is_folder: the source is a folder (linked as a whole; copied or hardlinked deeply).
        mode: how.
    """

    path: str
    source: str
    is_folder: bool
    mode: LinkMode


class Script(Struct, frozen=True):
    """A script to write per generation.

    Args:
        name: file name without suffix (entry point) or with it (file).
        entry_point: what it calls, or None for a file from the wheel's ``.data/scripts``.
        source: that file relative to the tier's root, ``""`` for an entry point.
        mode: COPY for a distribution whose files may be written to.
    """

    name: str
    entry_point: EntryPoint | None
    source: str = ""
    mode: LinkMode = LinkMode.SHARED


class Clobber(Struct, frozen=True):
    """Two distributions bring the same path; the first in order of name keeps it."""

    path: str
    kept: str
    dropped: str


class LinkPlan(Struct, frozen=True, kw_only=True):
    """What to make, in order: folders (parents first), shortcuts, links, scripts.

    Shortcuts are links to the store's own folders; other links lead through them, which keeps their
    targets short: ext4 holds a target under 60 bytes in the inode, a longer one takes a block of its own
    and 20 times as long to make.
    """

    folders: Sequence[str]
    links: Sequence[Link]
    scripts: Sequence[Script]
    clobbers: Sequence[Clobber] = ()
    shortcuts: Sequence[Link] = ()


def plan_links(
    trees: Sequence[Tree],
    layout: EnvironmentLayout,
    listing: TreeListing,
    *,
    mode: LinkMode,
    unshared: Container[str] = (),
    bundles: Mapping[str, str] = _NONE,
) -> LinkPlan:
    """The fewest links that give the union of all trees.

    A folder that one tree brings is one link; a folder that several bring is a real folder, one level
    down again. Members of a bundle count as one there. Outside site-packages every folder is real,
    because programs write there. Where two bring one path, the first by name keeps it.

    Args:
        trees: what the environment gets, in any order, every name once. A tree without files is
            fine: the project itself brings only its entry points.
        layout: where the parts go.
        listing: asked only for folders that several trees bring.
        mode: how files are brought in.
        unshared: names of distributions that are copied whatever the mode.
        bundles: tree id → id of the bundle that holds it; a bundle's members are all in ``trees``.

    Returns:
        The plan, sorted by path.
    """
    claims: list[_Claim] = [_Piece("envforge", _nested(dict.fromkeys(reserved_paths(layout))), mode)]
    for tree in sorted(trees, key=lambda tree: (tree.name, tree.id)):
        own_mode = LinkMode.COPY if tree.name in unshared else mode
        claims += _tree_claims(tree, layout, own_mode, bundles.get(tree.id, ""))
    merge = _Merge(listing)
    made = merge.folder("", claims)
    folders = dict.fromkeys([*_ancestors(layout.site_packages), *_ancestors(layout.scripts), *made.folders])
    return LinkPlan(
        folders=sorted(folders),
        links=made.links,
        scripts=merge.scripts,
        clobbers=merge.clobbers,
        shortcuts=[shortcut for shortcut in _shortcuts(layout) if _is_used(shortcut, made.links)],
    )


def reserved_paths(layout: EnvironmentLayout) -> tuple[str, ...]:
    """Paths that belong to the environment itself: no distribution gets them."""
    names = ["pyvenv.cfg", MARKER, ".gitignore"]
    if layout.windows:
        programs = ["python.exe", "pythonw.exe", "activate", "activate.bat", "deactivate.bat", "Activate.ps1"]
    else:
        minor = layout.site_packages.split("/")[1]
        programs = ["python", "python3", minor, "activate", "activate.fish", "activate.csh", "Activate.ps1"]
        programs += ["deactivate.csh"]
    shortcuts = [link.path for link in _shortcuts(layout)]
    return (*names, *shortcuts, *(f"{layout.scripts}/{program}" for program in programs))


def _shortcuts(layout: EnvironmentLayout) -> list[Link]:
    """Beside site-packages, where no tool looks for modules."""
    folder = layout.site_packages.rpartition("/")[0]
    return [
        Link(f"{folder}/{name}", source, is_folder=True, mode=LinkMode.SHARED)
        for name, source in (("b", "bundles"), ("t", "trees"))
    ]


def _is_used(shortcut: Link, links: Iterable[Link]) -> bool:
    """Whether any symlink of a folder leads to where the shortcut does."""
    return any(
        link.is_folder and link.mode is LinkMode.SHARED and link.source.startswith(f"{shortcut.source}/")
        for link in links
    )


class _Stored(Struct):
    """A tree's wish for one entry of site-packages, taken from the store's folders.

    ``bundle`` is the bundle that holds the same content (with its neighbours'), ``""`` for none.
    ``in_bundle`` says whether the link goes there or into the tree itself.
    """

    owner: str
    tree_id: str
    folder: str
    is_folder: bool
    mode: LinkMode
    bundle: str
    in_bundle: bool

    @property
    def source(self) -> str:
        root = f"bundles/{self.bundle}" if self.in_bundle else f"trees/{self.tree_id}"
        return f"{root}/lib/{self.folder}"

    def children(self, listing: TreeListing) -> Iterator[tuple[str, _Stored | _Piece]]:
        for name, is_folder in listing.entries(self.tree_id, self.folder):
            yield name, replace(self, folder=f"{self.folder}/{name}", is_folder=is_folder)


class _Piece(Struct):
    """A wish that is spelled out: real folders (a mapping of names), and files in them.

    ``content`` is a folder's entries, a file's source, a script, a tree's whole ``lib``, or None for
    a file that the environment itself writes.
    """

    owner: str
    content: dict[str, Any] | list[_Stored] | Script | str | None
    mode: LinkMode

    @property
    def is_folder(self) -> bool:
        return isinstance(self.content, (dict, list))

    def children(self, _: TreeListing) -> Iterator[tuple[str, _Stored | _Piece]]:
        if isinstance(self.content, list):
            for entry in self.content:
                yield entry.folder, entry
        elif isinstance(self.content, dict):
            for name, content in self.content.items():
                yield name, _Piece(self.owner, content, self.mode)


_Claim = _Stored | _Piece


class _Made(Struct):
    """What a part of the environment takes."""

    folders: list[str] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)

    def add(self, other: _Made) -> None:
        self.folders += other.folders
        self.links += other.links


def _tree_claims(tree: Tree, layout: EnvironmentLayout, mode: LinkMode, bundle: str) -> Iterator[_Piece]:
    """What a tree wants, part by part. Its own library comes first, scripts of entry points before files."""
    in_bundle = bool(bundle) and mode is not LinkMode.COPY
    library = [
        _Stored(tree.name, tree.id, name, kind == "d", mode, bundle, in_bundle)
        for name, kind in tree.top_level.items()
    ]
    yield _Piece(tree.name, _nested({layout.site_packages: library}), mode)
    if tree.entry_points or tree.scripts:
        yield _Piece(tree.name, {layout.scripts: _scripts(tree, layout, mode)}, mode)
    source = f"trees/{tree.id}"
    if tree.data:
        data = {_data_path(path, layout): f"{source}/data/{path}" for path in tree.data}
        yield _Piece(tree.name, _nested(data), mode)
    if tree.headers:
        folder = f"{layout.headers}/{tree.name}"
        headers = {f"{folder}/{path}": f"{source}/headers/{path}" for path in tree.headers}
        yield _Piece(tree.name, _nested(headers), mode)


def _scripts(tree: Tree, layout: EnvironmentLayout, mode: LinkMode) -> dict[str, Script]:
    """File name → script. An entry point wins over a file of that name, as in pip."""
    suffix = ".exe" if layout.windows else ""
    files = {name: Script(name, None, f"trees/{tree.id}/scripts/{name}", mode) for name in tree.scripts}
    points = {f"{point.name}{suffix}": Script(point.name, point, mode=mode) for point in tree.entry_points}
    return {**files, **points}


def _data_path(path: str, layout: EnvironmentLayout) -> str:
    """Where a data file goes: ``lib64`` is a link to ``lib`` in a virtual environment on Linux."""
    return f"lib/{path[6:]}" if path.startswith("lib64/") and not layout.windows else path


def _nested(files: Mapping[str, Any]) -> dict[str, Any]:
    """Paths → contents, as nested mappings. A file keeps its path against folders of the same tree."""
    root: dict[str, Any] = {}
    for path, content in files.items():
        *folders, name = path.split("/")
        place = root
        for folder in folders:
            below = place.setdefault(folder, {})
            if not isinstance(below, dict):
                break
            place = below
        else:
            place.setdefault(name, content)
    return root


def _ancestors(path: str) -> list[str]:
    """``a``, ``a/b``, ``a/b/c`` for ``a/b/c``."""
    parts = path.split("/")
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


class _Merge:
    """Lays the claims over each other, folder by folder."""

    def __init__(self, listing: TreeListing) -> None:
        self._listing = listing
        self.scripts: list[Script] = []
        self.clobbers: list[Clobber] = []

    def folder(self, path: str, claims: Sequence[_Claim]) -> _Made:
        """A folder that cannot be one link, as far as is known yet."""
        rivals: dict[str, list[_Claim]] = {}
        for claim in claims:
            for name, child in claim.children(self._listing):
                if name != _BYTECODE:
                    rivals.setdefault(name, []).append(child)
        made = _Made([path] if path else [])
        for name in sorted(rivals):
            made.add(self._entry(f"{path}/{name}" if path else name, rivals[name]))
        return _as_one_link(path, claims, made, len(rivals)) or made

    def _entry(self, path: str, rivals: Sequence[_Claim]) -> _Made:
        """One name in a real folder."""
        claims = self._settle(path, rivals)
        kept = claims[0]
        if len(claims) > 1 or (isinstance(kept, _Piece) and kept.is_folder):
            return self.folder(path, claims)
        if isinstance(kept, _Stored):
            return _Made(links=[Link(path, kept.source, kept.is_folder, kept.mode)])
        if isinstance(kept.content, Script):
            self.scripts.append(kept.content)
        elif isinstance(kept.content, str):
            return _Made(links=[Link(path, kept.content, False, kept.mode)])
        return _Made()

    def _settle(self, path: str, rivals: Sequence[_Claim]) -> list[_Claim]:
        """The claims that can stand together: one file, or any number of folders."""
        kept = rivals[0]
        if len(rivals) == 1:
            return [kept]
        claims: list[_Claim] = []
        for claim in _as_bundled(rivals):
            if not claims or (kept.is_folder and claim.is_folder):
                claims.append(claim)
            elif claim.owner != kept.owner:
                self.clobbers.append(Clobber(path, kept.owner, claim.owner))
        return claims


def _as_bundled(rivals: Sequence[_Claim]) -> Iterator[_Claim]:
    """Send those back to their own tree whose folder a file of a neighbour displaced in the bundle.

    Inside a bundle, too, the first by name keeps a path.
    """
    kinds: dict[str, bool] = {}
    for claim in rivals:
        if (
            isinstance(claim, _Stored)
            and claim.bundle
            and kinds.setdefault(claim.bundle, claim.is_folder) != claim.is_folder
        ):
            yield replace(claim, in_bundle=False)
        else:
            yield claim


def _as_one_link(path: str, claims: Sequence[_Claim], made: _Made, entry_count: int) -> _Made | None:
    """The folder as one link after all, if all that is in it comes whole from one place."""
    if len(made.links) != entry_count or len(made.folders) != 1:
        return None
    for claim in claims:
        if not isinstance(claim, _Stored):
            return None
    sources = {link.source.rpartition("/")[0] for link in made.links}
    modes = {link.mode for link in made.links}
    if len(sources) == 1 and len(modes) == 1:
        return _Made(links=[Link(path, sources.pop(), True, modes.pop())])
    return None
