"""A link plan carried out: folders, then links.

The environment is built aside and renamed, so every target is computed for the final place, from the
text of the paths alone. Links into the environment's own tier are relative, so that a tier can be moved,
and short, because ext4 keeps a target under 60 bytes in the inode.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from envforge.events import Reporter, SilentReporter, Warned
from envforge.link.failures import link_failures
from envforge.link.methods import LinkFacts, Method, choose_method, find_link_facts, make_junction
from envforge.link.placing import Placement, Placer
from envforge.plan.link_plan import Link, LinkPlan

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
        placements = list(_make_links(plan.links, facts, f"{prefix}/", f"{tier_root}/", up))
        placer = Placer()
        placer.place_all(placements)
    if placer.refusals:
        count, reason = len(placer.refusals), placer.refusals[0]
        reporter.report(
            Warned(
                message=f"{count} files were copied, because they could not be hard-linked: {reason}",
                hint="keep the store and the environments on one file system, owned by one user",
            )
        )


def link_target(link: Link, tier_root: Path, final_prefix: Path) -> str:
    """What a shared link of the plan holds once it is in its final place."""
    return _target(link, f"{tier_root}/", _way_to_tier(tier_root, final_prefix))


def _make_folders(prefix: Path, folders: Iterable[str]) -> None:
    prefix.mkdir(parents=True, exist_ok=True)
    for folder in folders:
        with suppress(FileExistsError):
            os.mkdir(f"{prefix}/{folder}")


def _make_links(
    links: Iterable[Link], facts: LinkFacts, prefix: str, tier: str, up: str | None
) -> Iterable[Placement]:
    """Make the links; yield what has to be placed file by file."""
    for link in links:
        method = choose_method(link.mode, link.is_folder, facts)
        if method is Method.SYMLINK:
            os.symlink(_target(link, tier, up), prefix + link.path, link.is_folder)
        elif method is Method.JUNCTION:
            make_junction(tier + link.source, prefix + link.path)
        else:
            yield Placement(tier + link.source, prefix + link.path, link.is_folder, method)


def _target(link: Link, tier: str, up: str | None) -> str:
    target = tier + link.source if up is None else "../" * link.path.count("/") + up + link.source
    return target if os.sep == "/" else target.replace("/", os.sep)


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
