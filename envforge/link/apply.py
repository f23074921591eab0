"""A link plan carried out: folders, then links.

The environment is built aside and renamed, so every target is computed for the final place, from the
text of the paths alone. Links into the environment's own tier are relative, so that a tier can be moved,
and short, because ext4 keeps a target under 60 bytes in the inode.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from envforge.events import Reporter, SilentReporter, Warned
from envforge.link.failures import link_failures
from envforge.link.methods import LinkFacts, Method, Placement, choose_method, find_link_facts, make_junction
from envforge.plan.link_plan import Link, LinkPlan
from envforge.store.links import REFUSED

_SILENT = SilentReporter()


def apply_link_plan(
    plan: LinkPlan, tier_root: Path, prefix: Path, *, final_prefix: Path, reporter: Reporter = _SILENT
) -> None:
    """Make the plan's folders and links. Scripts are :func:`envforge.link.scripts.write_scripts`'.

    Args:
        plan: what to make.
        tier_root: the folder that ``trees/`` and ``bundles/`` stand in, absolute.
        prefix: where to make it; nothing that the plan names may be there, folders may.
        final_prefix: where it is going to stand, absolute.
        reporter: hears when links had to become copies.

    Raises:
        StoreError: no room, no right, a path that is too long, a tree that is not there. What was made
            until then is left: the caller removes ``prefix``.
    """
    with link_failures(prefix, f"build the environment {final_prefix.name}"):
        _make_folders(prefix, plan.folders)
        facts = find_link_facts(prefix)
        up = _way_to_tier(tier_root, final_prefix)
        _make_shortcuts(plan, facts, tier_root, prefix, up)
        ways = _Ways(plan.shortcuts, f"{tier_root}/", up)
        placements = list(_make_links(plan.links, facts, f"{prefix}/", ways))
        copied = _place(placements) if placements else []
    if copied:
        count, reason = len(copied), copied[0]
        reporter.report(
            Warned(
                message=f"{count} files were copied, because they could not be hard-linked: {reason}",
                hint="keep the store and the environments on one file system, owned by one user",
            )
        )


def link_target(link: Link, plan: LinkPlan, tier_root: Path, final_prefix: Path) -> str:
    """What a shared link, or a shortcut, of the plan holds once it is in its final place."""
    shortcuts = () if link in plan.shortcuts else plan.shortcuts
    return _Ways(shortcuts, f"{tier_root}/", _way_to_tier(tier_root, final_prefix)).target(link)


def _make_folders(prefix: Path, folders: Iterable[str]) -> None:
    prefix.mkdir(parents=True, exist_ok=True)
    for folder in folders:
        with suppress(FileExistsError):
            os.mkdir(f"{prefix}/{folder}")


def _make_shortcuts(plan: LinkPlan, facts: LinkFacts, tier_root: Path, prefix: Path, up: str | None) -> None:
    """Make the shortcuts, where links can go through them."""
    if facts.symlinks and up is not None:
        ways = _Ways((), f"{tier_root}/", up)
        for shortcut in plan.shortcuts:
            os.symlink(ways.target(shortcut), f"{prefix}/{shortcut.path}", True)


def _make_links(links: Iterable[Link], facts: LinkFacts, prefix: str, ways: _Ways) -> Iterable[Placement]:
    """Make the links; yield what has to be placed file by file."""
    for link in links:
        method = choose_method(link.mode, link.is_folder, facts)
        source = ways.tier + link.source
        if method is Method.SYMLINK:
            if link.is_folder or not _try_hard_link(source, prefix + link.path):
                os.symlink(ways.target(link), prefix + link.path, link.is_folder)
        elif method is Method.JUNCTION:
            make_junction(source, prefix + link.path)
        else:
            yield Placement(source, prefix + link.path, link.is_folder, method)


def _place(placements: Sequence[Placement]) -> list[str]:
    """Bring files in one by one; a reason for each hard link that became a copy."""
    from envforge.link.placing import Placer

    placer = Placer()
    placer.place_all(placements)
    return placer.copied


def _try_hard_link(source: str, place: str) -> bool:
    """Whether a file could be hard-linked; not so on another file system, or for another user's file."""
    try:
        os.link(source, place)
    except OSError as error:
        if error.errno in REFUSED:
            return False
        raise
    return True


class _Ways:
    """Computes targets of symlinks: relative inside the tier, through a shortcut where that is shorter."""

    def __init__(self, shortcuts: Iterable[Link], tier: str, up: str | None) -> None:
        self.tier = tier
        self._up = up
        self._shortcuts = [(f"{link.source}/", link.path) for link in shortcuts] if up is not None else []

    def target(self, link: Link) -> str:
        if self._up is None:
            target = self.tier + link.source
        else:
            target = "../" * link.path.count("/") + self._up + link.source
            for source, path in self._shortcuts:
                if link.source.startswith(source):
                    through = f"{_relative(path, link.path)}/{link.source[len(source) :]}"
                    target = min(target, through, key=len)
        return target if os.sep == "/" else target.replace("/", os.sep)


def _relative(path: str, start: str) -> str:
    """``path`` as seen from the folder that ``start`` is in; both relative to one root."""
    there, here = path.split("/"), start.split("/")[:-1]
    shared = 0
    while shared < len(here) and shared < len(there) - 1 and here[shared] == there[shared]:
        shared += 1
    return "/".join([".."] * (len(here) - shared) + there[shared:])


def _way_to_tier(tier_root: Path, final_prefix: Path) -> str | None:
    """``../../../`` from the environment's root to its tier; None if it is not inside, or is by a symlink.

    Through a symlink the kernel's ``..`` leads elsewhere than the text says.
    """
    tier, parent = str(tier_root), str(final_prefix.parent)
    if parent != tier and not parent.startswith(f"{tier}{os.sep}"):
        return None
    below = parent[len(tier) :]
    if os.path.realpath(parent) != os.path.realpath(tier) + below:
        return None
    return "../" * (below.count(os.sep) + 1)
