"""What is different where ``add`` and ``remove`` are called in a member of a workspace.

A member's manifest has what the member requires, and nothing of the workspace: platforms, indexes, conda
packages and variants stand in the root. Its extras are not locked, unless somebody asks for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from envforge.errors import ManifestError, UsageError
from envforge.events import Event, Reporter, Warned
from envforge.manifest.parse import parse_manifest
from envforge.model.conda import CONDA_MARK
from envforge.model.names import normalize_name
from envforge.struct import replace
from envforge.workflows.additions import Additions, Place
from envforge.workflows.current_lock import up_to_date_lock
from envforge.workflows.file_places import place as place_on_disk
from envforge.workflows.git_additions import GitAddition
from envforge.workflows.project import FormerLock, Project, project_from_text
from envforge.workflows.project_root import MANIFEST_NAME
from envforge.workflows.session import Session
from envforge.workflows.upgrades import Upgrades

if TYPE_CHECKING:
    from envforge.manifest.folders import FolderManifest
    from envforge.manifest.manifest import Manifest
    from envforge.model.requirement import Requirement


class _WithoutWarnings:
    """A reporter that passes all else on."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def report(self, event: Event) -> None:
        if not isinstance(event, Warned):
            self._reporter.report(event)


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
    if conda or torch or place.variant is not None or any(text.startswith(CONDA_MARK) for text in texts):
        raise UsageError(
            f"conda packages and variants are those of the workspace, {member} is a member of it",
            hints=[f"name the workspace: envforge --project {root} …"],
        )


def refuse_extra_of_member(place: Place, member: str) -> None:
    """Refuse to add to an extra: nobody would know whether what is asked for can be had.

    Raises:
        UsageError: it is one.
    """
    if place.extra is not None:
        raise UsageError(
            f"extras of {member} are locked only where somebody asks for them",
            hints=[f"write it into {member}/pyproject.toml, then run: envforge sync"],
        )


def from_workspace(asked: Additions, member: str, project: Project) -> Additions:
    """What is added to a member, with those that are members themselves, by name or by path.

    Raises:
        UsageError: a project would require itself, or the root; or a member is to come from elsewhere.
        ManifestError: what the member requires is computed.
    """
    if asked.place.group is None:
        _refuse_computed(project.manifest.members[f"./{member}"])
    names = project.manifest.member_names
    folders = {place_on_disk(path, project.root) for path in names.values()}
    local = tuple(
        each
        for each in asked.local
        if isinstance(each, GitAddition) or place_on_disk(each.path, project.root / member) not in folders
    )
    for requirement in asked.requirements:
        is_elsewhere = bool(requirement.url) or requirement.name in {each.name for each in local}
        _refuse_clash(requirement, member, project.manifest, is_elsewhere=is_elsewhere)
    return replace(
        asked, local=local, members=tuple(each.name for each in asked.requirements if each.name in names)
    )


def _refuse_computed(folder: FolderManifest) -> None:
    if "dependencies" in folder.project.get("dynamic", ()):
        raise ManifestError(
            f"{folder.file}: its build backend computes what it requires",
            hints=["add it where the backend has it from, or to a group: --group NAME"],
        )


def _refuse_clash(requirement: Requirement, member: str, manifest: Manifest, *, is_elsewhere: bool) -> None:
    """Refuse what a member cannot require."""
    name = requirement.name
    folder = manifest.member_names.get(name)
    if folder == f"./{member}" and not requirement.extras:
        raise UsageError("a project cannot require itself", context=[f"{name} is the project in {member}"])
    if manifest.name and name == normalize_name(manifest.name):
        raise UsageError(
            f"{name} is the root of the workspace, which requires its members",
            hints=["put what both need into a member of its own"],
        )
    if folder and is_elsewhere:
        raise UsageError(
            f"{name} is a member of the workspace", hints=[f"name it alone: envforge add {name}"]
        )


def with_bounds(
    asked: Additions, member: str, project: Project, former: FormerLock, session: Session
) -> tuple[Additions, FormerLock]:
    """What is added to a member, with lower bounds, and the lock that they are from as the one to keep to.

    It is resolved as if the workspace asked for it, in a group that is not written anywhere: so what cannot
    be had is explained as a wish of its own, and the member's manifest is left alone until something fits.

    Args:
        asked: what is added.
        member: path of the member. What it says the place of has no bounds, and is on no index.
        project: the workspace.
        former: what was locked.
        session: the surroundings.

    Raises:
        EnvforgeError: nothing fits.
    """
    placed = {*asked.members, *(each.name for each in asked.local)}
    placed.update(project.manifest.members[f"./{member}"].sources)
    named = tuple(each for each in asked.requirements if not each.url and each.name not in placed)
    if not named:
        return asked, former
    asking = Additions(requirements=named, conda=(), place=Place(group=_ASKING_GROUP))
    text = asking.write(project.manifest_text, MANIFEST_NAME, parse_manifest)
    quiet = replace(session, reporter=_WithoutWarnings(session.reporter))  # they are told of what is written
    lock = up_to_date_lock(project_from_text(project.root, text), former, Upgrades(), quiet)
    return asked.with_lower_bounds(lock), FormerLock(None, former.text, (lock,))
