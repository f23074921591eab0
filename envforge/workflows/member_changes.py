"""What is different where ``add`` and ``remove`` are called in a member of a workspace.

A member's manifest has what the member requires, and nothing of the workspace: platforms, indexes, conda
packages and variants stand in the root. Its extras are not locked, unless somebody asks for them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from envforge.errors import ManifestError, UsageError
from envforge.model.conda import CONDA_MARK
from envforge.model.names import normalize_name
from envforge.struct import replace
from envforge.workflows.additions import Additions, Place
from envforge.workflows.current_lock import up_to_date_lock
from envforge.workflows.edited_manifest import EditedManifest
from envforge.workflows.local_additions import LocalAddition
from envforge.workflows.project import FormerLock, Project
from envforge.workflows.session import Session
from envforge.workflows.upgrades import Upgrades

_ASKING_GROUP = "envforge-add"
"""Of a manifest that is never written."""


def refuse_for_member(
    texts: Sequence[str], place: Place, member: str, root: Path, *, conda: bool = False, torch: str = ""
) -> None:
    """Refuse what a member's manifest does not have.

    Args:
        texts: what is added or removed.
        place: where in the manifest.
        member: path of the member.
        root: folder of the workspace.
        conda: all are conda packages.
        torch: of ``--torch``.

    Raises:
        UsageError: it belongs to the workspace.
    """
    if place.extra is not None:
        raise UsageError(
            f"extras of {member} are locked only where somebody asks for them",
            hints=[f"write it into {member}/pyproject.toml, then run: envforge sync"],
        )
    if conda or torch or place.variant is not None or any(text.startswith(CONDA_MARK) for text in texts):
        raise UsageError(
            f"conda packages and variants are those of the workspace, {member} is a member of it",
            hints=[f"name the workspace: envforge --project {root} …"],
        )


def from_workspace(asked: Additions, member: str, project: Project) -> Additions:
    """What is added to a member, with those that are members themselves, by name or by path.

    Raises:
        UsageError: a project would require itself, or the root; or a member is to come from elsewhere.
        ManifestError: what the member requires is computed.
    """
    folder = project.manifest.members[f"./{member}"]
    if asked.place.group is None and "dependencies" in folder.project.get("dynamic", ()):
        raise ManifestError(
            f"{folder.file}: its build backend computes what it requires",
            hints=["add it where the backend has it from, or to a group: --group NAME"],
        )
    names = project.manifest.member_names
    paths = {os.path.normpath(path): name for name, path in names.items()}
    by_path = [
        each
        for each in asked.local
        if isinstance(each, LocalAddition) and os.path.normpath(f"{member}/{each.path}") in paths
    ]
    local = tuple(each for each in asked.local if each not in by_path)
    elsewhere = {each.name for each in local} | {each.name for each in asked.requirements if each.url}
    root_name = normalize_name(project.manifest.name) if project.manifest.name else ""
    for requirement in asked.requirements:
        name = requirement.name
        if names.get(name) == f"./{member}" and not requirement.extras:
            raise UsageError(
                "a project cannot require itself", context=[f"{name} is the project in {member}"]
            )
        if name == root_name:
            raise UsageError(
                f"{name} is the root of the workspace, which requires its members",
                hints=["put what both need into a member of its own"],
            )
        if name in names and name in elsewhere:
            raise UsageError(
                f"{name} is a member of the workspace", hints=[f"name it alone: envforge add {name}"]
            )
    members = tuple(each.name for each in asked.requirements if each.name in names)
    return replace(asked, local=local, members=members)


def with_bounds(asked: Additions, former: FormerLock, session: Session) -> tuple[Additions, FormerLock]:
    """What is added to a member, with lower bounds, and the lock that they are from as the one to keep to.

    It is resolved as if the workspace asked for it, in a group that is not written anywhere: so what cannot
    be had is explained as a wish of its own, and the member's manifest is left alone until something fits.

    Raises:
        EnvforgeError: nothing fits.
    """
    others = {*asked.members, *(each.name for each in asked.local)}
    named = tuple(each for each in asked.requirements if each.name not in others and not each.url)
    if not named:
        return asked, former
    root = EditedManifest(session.root, "")
    asking = Additions(requirements=named, conda=(), place=Place(group=_ASKING_GROUP))
    lock = up_to_date_lock(
        root.project_saying(asking.write(root.text, root.shown_path, root.check)), former, Upgrades(), session
    )
    return asked.with_lower_bounds(lock), FormerLock(None, former.text, (lock,))
