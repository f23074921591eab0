"""Whether a generation is still what was made: its links, its own files, its interpreter, its trees."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from pathlib import Path

from envforge.environment.contents import plan_python
from envforge.environment.generation import Generation
from envforge.link.apply import link_target
from envforge.plan.link_plan import MARKER, Link, LinkMode, LinkPlan
from envforge.store.layout import Damage
from envforge.struct import Struct

_BYTECODE = "__pycache__"
REPAIR = "run `envforge verify --repair`"
ADD = "add it with `envforge add`, then run `envforge verify --repair`"
PYTHON = "install that Python again, or run `envforge sync` for another one"


class Finding(Struct, frozen=True, order=True):
    """Something that is not as it was made.

    Args:
        path: relative to the environment; ``trees/…`` in the store.
        problem: what is wrong.
        remedy: what to do.
    """

    path: str
    problem: str
    remedy: str


def verify_generation(
    generation: Generation,
    plan: LinkPlan,
    tier_root: Path,
    *,
    check_tree: Callable[[str], Iterable[Damage]] | None = None,
    ask_version: Callable[[str], str] | None = None,
) -> list[Finding]:
    """Compare a generation with the plan that it was made from.

    Args:
        generation: to look at.
        plan: made again from the same trees.
        tier_root: of its store.
        check_tree: tree id → damages, by content (``Store.verify_tree``); None leaves the store out.
        ask_version: executable → full version, by running it; None trusts the file.

    Returns:
        What is wrong, by path; empty if all is well.
    """
    findings = [
        *_check_links(generation, plan, tier_root),
        *_check_files(generation),
        *_check_programs(generation, plan, tier_root),
        *_check_python(generation, ask_version),
        *_check_strangers(generation, plan),
    ]
    if check_tree is not None:
        for tree in generation.spec.trees:
            findings += [
                Finding(
                    f"trees/{damage.tree_id}/{damage.path}",
                    f"{damage.problem} ({tree.name} {tree.version})",
                    REPAIR,
                )
                for damage in check_tree(tree.id)
            ]
    return sorted(findings)


def _check_links(generation: Generation, plan: LinkPlan, tier_root: Path) -> Iterator[Finding]:
    for link in [*plan.shortcuts, *plan.links]:
        place = generation.path / link.path
        source = tier_root / link.source
        if not os.path.lexists(place):
            yield Finding(link.path, "missing", REPAIR)
        elif not source.exists():
            yield Finding(link.path, f"the store has lost {link.source}", REPAIR)
        elif link.mode is LinkMode.SHARED and place.is_symlink():
            if str(place.readlink()) != link_target(link, plan, tier_root, generation.path):
                yield Finding(link.path, f"points to {place.readlink()}", REPAIR)
        elif place.is_symlink():
            yield Finding(link.path, "replaced by a link", REPAIR)
        else:
            yield from _check_placed(link, place, source)


def _check_placed(link: Link, place: Path, source: Path) -> Iterator[Finding]:
    """A file or folder that was hard-linked or copied (a junction looks like its target)."""
    if link.is_folder != place.is_dir():
        yield Finding(link.path, "replaced", REPAIR)
    elif not link.is_folder:
        if not _same_file(place, source):
            yield Finding(link.path, "changed", REPAIR)
    elif not place.samefile(source):
        mine, theirs = _names(place), _names(source)
        for name in sorted(theirs - mine):
            yield Finding(f"{link.path}/{name}", "missing", REPAIR)
        for name in sorted(mine - theirs):
            yield Finding(f"{link.path}/{name}", "not from a package", ADD)
        for name in sorted(mine & theirs):
            one = Link(f"{link.path}/{name}", "", (source / name).is_dir(), link.mode)
            yield from _check_placed(one, place / name, source / name)


def _check_files(generation: Generation) -> Iterator[Finding]:
    """Files that were written: scripts, activation, pyvenv.cfg."""
    for path, digest in generation.files.items():
        try:
            content = (generation.path / path).read_bytes()
        except OSError:
            yield Finding(path, "missing", REPAIR)
            continue
        if sha256(content).hexdigest() != digest:
            yield Finding(path, "changed", REPAIR)


def _check_programs(generation: Generation, plan: LinkPlan, tier_root: Path) -> Iterator[Finding]:
    """Programs of ``.data/scripts`` that are in the environment as they are in the store."""
    scripts = generation.spec.layout.scripts
    for script in plan.scripts:
        path = f"{scripts}/{script.name}"
        if script.entry_point is not None or path in generation.files:
            continue
        place, source = generation.path / path, tier_root / script.source
        if not source.exists():
            yield Finding(path, f"the store has lost {script.source}", REPAIR)
        elif not place.exists():
            yield Finding(path, "missing", REPAIR)
        elif not _same_file(place, source):
            yield Finding(path, "changed", REPAIR)


def _check_python(generation: Generation, ask_version: Callable[[str], str] | None) -> Iterator[Finding]:
    interpreter = generation.spec.interpreter
    names = plan_python(interpreter, generation.spec.layout)
    for name in names:
        place = generation.path / name.path
        if not os.path.lexists(place):
            yield Finding(name.path, "missing", REPAIR)
        elif not name.copied and (not place.is_symlink() or str(place.readlink()) != name.source):
            yield Finding(name.path, f"is not a link to {name.source}", REPAIR)
    remedy = PYTHON if generation.spec.prefix is None else REPAIR
    if not os.access(interpreter.executable, os.X_OK):
        yield Finding(names[0].path, f"Python is gone: {interpreter.executable}", remedy)
    elif ask_version is not None and (version := ask_version(interpreter.executable)) != interpreter.version:
        yield Finding(names[0].path, f"Python is {version or 'broken'}, it was {interpreter.version}", remedy)


def _check_strangers(generation: Generation, plan: LinkPlan) -> Iterator[Finding]:
    """What stands in the environment's own folders that nobody planned: ``pip install`` by hand."""
    layout = generation.spec.layout
    known = (
        {link.path for link in [*plan.shortcuts, *plan.links]}
        | set(plan.folders)
        | set(generation.files)
        | {MARKER}
    )
    known |= {f"{layout.scripts}/{script.name}" for script in plan.scripts}
    known |= {name.path for name in plan_python(generation.spec.interpreter, layout)}
    folders = {*plan.folders, *(path.rpartition("/")[0] for path in generation.files)}
    known |= folders
    for folder in sorted(folders):
        try:
            entries = sorted(entry.name for entry in (generation.path / folder).iterdir())
        except OSError:
            yield Finding(folder, "missing", REPAIR)
            continue
        for name in entries:
            path = f"{folder}/{name}" if folder else name
            if path not in known and name != _BYTECODE:
                yield Finding(path, "not from a package", ADD)


def _names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir() if entry.name != _BYTECODE}


def _same_file(place: Path, source: Path) -> bool:
    """Whether a copy is like its source, byte by byte."""
    mine, theirs = place.stat(), source.stat()
    if (mine.st_dev, mine.st_ino) == (theirs.st_dev, theirs.st_ino):
        return True
    if mine.st_size != theirs.st_size or not stat.S_ISREG(mine.st_mode):
        return False
    from filecmp import cmp

    return cmp(place, source, shallow=False)
