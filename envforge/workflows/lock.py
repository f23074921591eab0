"""``envforge lock``: resolve the manifest for every platform and variant, and write the lock."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from envforge.errors import EnvforgeError, LockError
from envforge.lock.check import unmet_requirements
from envforge.lock.diff import LockDiff, diff_locks
from envforge.lock.write import format_lock
from envforge.model.lock import Lock
from envforge.struct import Struct, replace
from envforge.workflows.checked import mark_checked
from envforge.workflows.current_lock import current_lock, up_to_date_lock, wanted_groups
from envforge.workflows.project import Project, read_former_lock, read_project, write_text
from envforge.workflows.session import Session
from envforge.workflows.upgrades import Upgrades

if TYPE_CHECKING:
    from envforge.model.conda import CondaRecord

_MOST_FAULTS = 10


class LockReport(Struct, frozen=True, kw_only=True):
    """What ``lock`` did.

    Args:
        path: the lock file.
        lock: what it says now.
        diff: against what it said before.
        written: whether the file changed.
    """

    path: Path
    lock: Lock
    diff: LockDiff
    written: bool


def lock_project(session: Session, upgrades: Upgrades = Upgrades()) -> LockReport:
    """Bring the lock up to date with the manifest, moving as little as possible.

    Raises:
        ManifestError, LockError, ResolutionError, NetworkError: nothing was written.
        UsageError: what is to be upgraded is no name.
    """
    project = read_project(session.root)
    former = read_former_lock(project)
    if upgrades.packages:
        from envforge.workflows.upgrade_names import check_upgrade_names

        check_upgrade_names(upgrades.packages, former.sides, project.manifest)
    if former.lock is not None and _faults_of_merge(project, former.lock):
        former = replace(former, lock=None)  # its versions are still preferred
    lock = up_to_date_lock(project, former, upgrades, session)
    text = former.text if lock is former.lock else format_lock(lock)
    if text != former.text:
        write_text(project.lock_path, text)
    if not project.folders:  # a mark knows of nothing but manifest and lock
        content = project.manifest_text.encode()
        mark_checked(str(session.places.cache), str(project.root), content, text.encode())
    return LockReport(
        path=project.lock_path,
        lock=lock,
        diff=diff_locks(former.sides[0] if former.sides else None, lock),
        written=text != former.text,
    )


def check_lock(session: Session) -> LockReport:
    """``lock --check``: the lock as it is, if it fits the manifest.

    Raises:
        LockError: it does not, with the reasons.
    """
    project = read_project(session.root)
    lock = current_lock(project, read_former_lock(project))
    faults = _faults_of_merge(project, lock)
    if faults:
        raise LockError(
            f"{project.lock_path.name} holds versions that do not go together",
            context=[*faults, "git merges two locks without a conflict where different packages moved"],
            hints=["run: envforge lock"],
        )
    altered = _altered_records(project, lock, session)
    if altered:
        raise LockError(
            f"{project.lock_path.name} holds conda packages with another content than their channel's",
            context=[*altered[:_MOST_FAULTS], *(["…"] if altered[_MOST_FAULTS:] else [])],
            hints=[
                "run: envforge lock --upgrade",
                "conda-forge mends what is out: an old lock may be told, too",
            ],
        )
    return LockReport(path=project.lock_path, lock=lock, diff=diff_locks(lock, lock), written=False)


def _faults_of_merge(project: Project, lock: Lock) -> list[str]:
    """What does not go together in a lock that fits the manifest."""
    if not lock.fits(project.inputs):
        return []
    faults = unmet_requirements(lock, wanted_groups(project.manifest))
    if lock.conda_packages:
        from envforge.lock.conda_check import unmet_specs

        faults += unmet_specs(lock)
    return faults


def _altered_records(project: Project, lock: Lock, session: Session) -> list[str]:
    """conda records that say something else than their channel, as far as it is in the cache."""
    if not lock.conda_packages:
        return []
    from envforge.lock.conda_check import altered_records
    from envforge.lock.folders import with_folders_placed
    from envforge.workflows.channels import channel_folders
    from envforge.workflows.sources import open_channels

    lock = with_folders_placed(lock, channel_folders(project.manifest, session.root))
    from_cache = replace(session, network=replace(session.network, offline=True))
    known: dict[str, CondaRecord] = {}
    with suppress(EnvforgeError), open_channels(project.manifest, "", from_cache) as channels:
        for target in lock.targets:
            for record in lock.conda_records(target):
                found = channels.records(record.name, target.target.platform)
                known.update((each.url, each) for each in found)
    return altered_records(lock, known)
