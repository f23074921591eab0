"""Whether there is room for what a sync is going to write, asked before anything is downloaded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from envforge.errors import StoreError
from envforge.events import Warned
from envforge.host.own_folder import nearest_folder
from envforge.host.room import find_room
from envforge.model.conda import CondaRecord
from envforge.model.lock import LockedPackage
from envforge.plan.link_plan import LinkMode
from envforge.plan.room import Need, PlaceNeed, environment_need, kept_need, unpacked_need
from envforge.store.failures import store_failures
from envforge.workflows.assembly import Assembly
from envforge.workflows.session import Session

_WORTH_A_QUOTA_BYTES = 100_000_000
_WORTH_A_QUOTA_FILES = 5_000
"""Smaller needs are not worth asking for a quota, which on a cluster takes most of a second."""
_HINTS = (
    "choose a place with more room: --tier DIR (`envforge tiers` shows what this host has)",
    "or make room: `envforge cache prune` removes what no project uses",
)


def find_needs(
    assembly: Assembly, missing: Sequence[LockedPackage], records: Sequence[CondaRecord]
) -> tuple[PlaceNeed, ...]:
    """What making an environment takes, for each file system that is written to.

    Args:
        assembly: of the environment.
        missing: packages of PyPI that are not in the store.
        records: conda packages that have to be downloaded.

    Raises:
        StoreError: a file system does not answer.
    """
    session = assembly.session
    tier, archives = str(session.places.tier), str(session.places.archives)
    wanted = {package.id for package in missing}
    wheels = [file.size_bytes for package, file in assembly.files if package.id in wanted]
    every = [file.size_bytes for _, file in assembly.files]
    unpacked = [record.size_bytes for record in records]
    on_tier = environment_need(len(every)) + unpacked_need(wheels)
    if assembly.link_mode is LinkMode.COPY:
        on_tier += unpacked_need(every)
    on_archives = kept_need(wheels) if session.places.keeps_archives else Need()
    on_archives += unpacked_need(unpacked)
    if records and not _on_one(tier, archives):
        on_tier += unpacked_need(unpacked)  # there are no hard links between the two
    if _on_one(tier, archives):
        return (_place_need([tier, archives], on_tier + on_archives, session),)
    needs = [_place_need([tier], on_tier, session)]
    if on_archives != Need():
        needs.append(_place_need([archives], on_archives, session))
    return tuple(needs)


def check_room(needs: Iterable[PlaceNeed], session: Session) -> None:
    """Refuse what cannot fit, and warn of what may not.

    Raises:
        StoreError: even the least that is needed does not fit.
    """
    for place in needs:
        need, room = place.need, place.room
        free_files = "" if room.free_files is None else f" and {room.free_files:,} files"
        free = f"free: {_gb(room.free_bytes)}{free_files}"
        likely = f"{_gb(need.likely_bytes)} and {need.likely_files:,} files"
        if place.is_impossible:
            raise StoreError(
                f"there is not enough room in {place.folders[0]}",
                context=[
                    f"needed: at least {_gb(need.least_bytes)} and {need.least_files:,} files",
                    f"probably: {likely}",
                    free,
                ],
                hints=_HINTS,
            )
        if place.is_doubtful:
            message = f"there may not be enough room in {place.folders[0]}: probably needed {likely}, {free}"
            session.reporter.report(Warned(message=message, hint=_HINTS[0]))


def _place_need(folders: list[str], need: Need, session: Session) -> PlaceNeed:
    with_quota = need.likely_bytes > _WORTH_A_QUOTA_BYTES or need.likely_files > _WORTH_A_QUOTA_FILES
    with store_failures(Path(folders[0]), "look how much room there is"):
        room = find_room(folders[0], session.environ, with_quota=with_quota)
    return PlaceNeed(folders=tuple(folders), need=need, room=room)


def _on_one(tier: str, archives: str) -> bool:
    """Whether two folders are on one file system."""
    try:
        devices = {Path(nearest_folder(folder)).stat().st_dev for folder in (tier, archives)}
    except OSError:
        return False
    return len(devices) == 1


def _gb(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.1f} MB"
