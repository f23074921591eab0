"""Which folders of a host might hold store, environments and archives.

Candidates come out of the environment (schedulers and sites name their scratch there) and out of the
mounts. Only local disks are taken from ``/mnt``: a network share there is somebody's data, and looking at
one whose server is gone hangs. In a place for everybody our folder is ``envforge-USER``, a real folder that
we own and that others cannot write; whatever else stands there is refused, not followed.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from envforge.host.batch import find_job
from envforge.host.file_systems import is_pseudo, kind_of
from envforge.host.mounts import Mount
from envforge.host.own_folder import FOLDER_NAME
from envforge.model.storage import Life, Origin, Reach
from envforge.struct import Struct

_JOB_FOLDERS = ("SLURM_TMPDIR", "PBS_JOBFS", "JOBFS", "LOCAL_SCRATCH")
_EVERYBODYS = ("/tmp", "/var/tmp")


class Offer(Struct, frozen=True, kw_only=True):
    """A folder that might be used.

    Args:
        base: absolute.
        origin: why it is thought of.
        offered_by: the same for people.
        life: when what lies there goes away, judged by the name.
        own: the base is envforge's own folder already (the cache folder), and need not exist.
    """

    base: str
    origin: Origin
    offered_by: str
    life: Life
    own: bool = False


def find_offers(
    environ: Mapping[str, str], cache: Path, mounts: Sequence[Mount], project: Path | None = None
) -> list[Offer]:
    """What a host offers, in the order of preference between equals; the cache folder comes first.

    Args:
        environ: the process environment.
        cache: the cache root.
        mounts: of this host.
        project: the project's folder, whose own file system is a candidate too.
    """
    offers = [
        Offer(base=str(cache), origin=Origin.CACHE, offered_by="the cache folder", life=Life.KEPT, own=True),
        *_job_offers(environ),
        *_named_offers(environ, "WORK", Origin.WORK, Life.KEPT),
        *_disk_offers(mounts),
        *_named_offers(environ, "SCRATCH", Origin.SCRATCH, Life.PURGED),
    ]
    if Path("/scratch").is_dir():
        offers.append(Offer(base="/scratch", origin=Origin.SCRATCH, offered_by="/scratch", life=Life.PURGED))
    if project is not None:
        offers += _project_offers(project)
    offers += _home_offers(environ, cache)
    if Path("/dev/shm").is_dir():
        life = Life.JOB if find_job(environ) else Life.REBOOT
        offers.append(Offer(base="/dev/shm", origin=Origin.MEMORY, offered_by="memory", life=life))
    return _without_repeats(offers)


def _job_offers(environ: Mapping[str, str]) -> Iterator[Offer]:
    """What a scheduler has made for this job. ``TMPDIR`` counts where it is not everybody's."""
    job = find_job(environ)
    for name in _JOB_FOLDERS:
        yield from _named_offers(environ, name, Origin.JOB, Life.JOB)
    folder = environ.get("TMPDIR", "").rstrip("/")
    if folder not in _EVERYBODYS and sys.platform == "linux":
        life = Life.JOB if job else Life.PURGED
        yield from _named_offers(environ, "TMPDIR", Origin.JOB if job else Origin.SCRATCH, life)


def _named_offers(environ: Mapping[str, str], name: str, origin: Origin, life: Life) -> Iterator[Offer]:
    folder = environ.get(name, "")
    if folder.startswith("/") and folder != "/":
        yield Offer(base=folder.rstrip("/"), origin=origin, offered_by=f"${name}", life=life)


def _disk_offers(mounts: Sequence[Mount]) -> Iterator[Offer]:
    """``/local*`` and the local disks under ``/mnt``."""
    for entry in sorted(Path("/").glob("local*")):
        if entry.is_dir():
            yield Offer(base=str(entry), origin=Origin.DISK, offered_by=str(entry), life=Life.PURGED)
    for mount in mounts:
        parent, _, name = mount.point.rpartition("/")
        usable = kind_of(mount.file_system).reach is Reach.LOCAL and not is_pseudo(mount.file_system)
        if parent == "/mnt" and name and usable and not mount.read_only:
            yield Offer(base=mount.point, origin=Origin.DISK, offered_by=mount.point, life=Life.KEPT)


def _project_offers(project: Path) -> Iterator[Offer]:
    """The highest folder above the project, on its own file system, that is ours or for everybody."""
    highest = None
    if sys.platform == "win32":
        return
    try:
        device = project.stat().st_dev
        for folder in project.parents[:-1]:
            status = folder.stat()
            if status.st_dev != device:
                break
            is_offered = status.st_uid == os.geteuid() or status.st_mode & stat.S_ISVTX
            if is_offered and os.access(folder, os.W_OK) and str(folder) not in _EVERYBODYS:
                highest = folder
    except OSError:
        return
    if highest is not None:
        label = "the project's file system"
        yield Offer(base=str(highest), origin=Origin.PROJECT, offered_by=label, life=Life.KEPT)


def _home_offers(environ: Mapping[str, str], cache: Path) -> Iterator[Offer]:
    """The home's own cache folder, where the cache is elsewhere."""
    home = environ.get("HOME", "")
    folder = f"{home}/.cache/{FOLDER_NAME}"
    if home.startswith("/") and os.path.isdir(home) and not cache.is_relative_to(home):
        yield Offer(base=folder, origin=Origin.HOME, offered_by="the home folder", life=Life.KEPT, own=True)


def _without_repeats(offers: Sequence[Offer]) -> list[Offer]:
    seen: dict[str, Offer] = {}
    for offer in offers:
        seen.setdefault(offer.base, offer)
    return list(seen.values())
