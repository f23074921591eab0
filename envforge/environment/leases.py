"""Leases: what tells other hosts, and other users, that a process runs in a generation.

A file beside the generations, named by generation and process, written by ``envforge run`` and ``shell``
before they become the program. The program keeps process id and start time, so this host knows how long it
lives. Nobody renews a lease: other hosts believe it until the batch job ends (``SLURM_JOB_END_TIME``), or
for a week. It is removed by whoever finds, on its host, that the process is gone.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from envforge.store.owner import Owner, is_dead, parse_owner, this_process
from envforge.store.sharing import make_folders

FOLDER = "leases"
LIFETIME_S = 7 * 24 * 3600.0
"""How long other hosts believe a lease that does not say when its job ends."""
_MARGIN_S = 600.0
"""Clocks of nodes differ, and a job that is told to end takes a moment."""
_SWEPT = 50
_LONGEST_COMMAND = 200


class Lease(NamedTuple):
    """A process that uses a generation.

    Args:
        place: its file.
        digest: of the generation.
        owner: the process.
        command: what it runs.
        is_alive: whether it runs; None where that cannot be seen from here, and the lease is believed.
    """

    place: Path
    digest: str
    owner: Owner
    command: str
    is_alive: bool | None


def take_lease(
    generation: Path, command: Sequence[str], environ: Mapping[str, str], now_s: float
) -> Path | None:
    """Leave a lease for this process, and remove some whose processes are gone. 0.2 ms.

    Args:
        generation: folder of the generation that it is going to use.
        command: what it is going to become.
        environ: of the process.
        now_s: seconds since the epoch.

    Returns:
        The lease's file; None where it cannot be written, which is no failure.
    """
    folder = generation.parent / FOLDER
    place = folder / f"{generation.name}.{this_process()}"
    fields = {"lifetime_s": lifetime_s(environ, now_s), "command": " ".join(command)[:_LONGEST_COMMAND]}
    try:
        _sweep_some(folder)
        place.write_text(json.dumps(fields), encoding="utf-8", errors="backslashreplace")
    except FileNotFoundError:
        if not generation.exists():
            return None
        try:
            make_folders(folder)
            place.write_text(json.dumps(fields), encoding="utf-8", errors="backslashreplace")
        except OSError:
            return None
    except OSError:
        return None
    return place


def release_lease(place: Path | None) -> None:
    """Remove a lease of this process."""
    if place is not None:
        with suppress(OSError):
            place.unlink()


def lifetime_s(environ: Mapping[str, str], now_s: float) -> float:
    """How long a lease that is taken now counts on other hosts."""
    end = environ.get("SLURM_JOB_END_TIME", "")
    if end.isdecimal() and float(end) > now_s:
        return float(end) - now_s + _MARGIN_S
    return LIFETIME_S


def read_leases(environments_dir: Path, now_s: float | None = None) -> list[Lease]:
    """The leases of a project's generations that count. What cannot be read does not.

    Args:
        environments_dir: the project's folder of generations.
        now_s: by the file system's clock; this host's own is taken without.
    """
    now_s = time.time() if now_s is None else now_s
    return [lease for lease in _all_leases(environments_dir / FOLDER, now_s) if lease.is_alive is not False]


def sweep_leases(environments_dir: Path, now_s: float | None = None) -> int:
    """Remove the leases that do not count any more; returns how many went."""
    now_s = time.time() if now_s is None else now_s
    removed = 0
    for lease in _all_leases(environments_dir / FOLDER, now_s):
        if lease.is_alive is False:
            with suppress(OSError):
                lease.place.unlink()
                removed += 1
    return removed


def _all_leases(folder: Path, now_s: float) -> Iterator[Lease]:
    for place in _places(folder):
        digest, _, who = place.name.partition(".")
        owner = parse_owner(who)
        if owner is None:
            continue
        dead = is_dead(owner)
        command, lasts = _read(place, now_s)
        alive = (None if lasts else False) if dead is None else not dead
        yield Lease(place, digest, owner, command, alive)


def _read(place: Path, now_s: float) -> tuple[str, bool]:
    """What a lease says, and whether its time is not over."""
    try:
        with open(place, "rb") as file:
            taken_s = os.fstat(file.fileno()).st_mtime
            fields = json.loads(file.read())
        return str(fields["command"]), now_s - taken_s < float(fields["lifetime_s"])
    except FileNotFoundError:
        return "", False
    except (OSError, ValueError, KeyError, TypeError):
        # being written at this moment, or by a process that was killed just then
        with suppress(OSError):
            return "", now_s - place.stat().st_mtime < LIFETIME_S
        return "", False


def _sweep_some(folder: Path) -> None:
    """Remove leases of processes of this host that are gone, so that they never become many.

    Each run leaves one and removes up to fifty.
    """
    for place in _places(folder)[:_SWEPT]:
        owner = parse_owner(place.name.partition(".")[2])
        if owner is not None and is_dead(owner):
            with suppress(OSError):
                place.unlink()


def _places(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []
