"""Finding the tier of this host where none is remembered: looked for, measured, chosen.

The facts come from :mod:`envforge.host.storage`, the choice from :mod:`envforge.plan.tier_choice`, the
memory from :mod:`envforge.host.storage_memory`. Only the folder of what was chosen is made.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from envforge.host.own_folder import nearest_folder
from envforge.host.quota import find_quota
from envforge.host.storage import LEAST_BYTES, describe_named, find_storage, measure, with_result
from envforge.host.storage_memory import ChosenTier, StorageMemory, choice_key, fault_of_folders, mount_key
from envforge.host.storage_probe import FOLDER_START, ProbeResult
from envforge.model.storage import HostStorage, Origin, Quota, Rates, Reach, StoragePlace, best_rates
from envforge.plan.tier_choice import TierChoice, choose_tier
from envforge.struct import Struct, replace, to_builtins

_QUOTA_LIFETIME_S = 600.0
_OWN = (Origin.CACHE, Origin.HOME)


class Survey(Struct, frozen=True, kw_only=True):
    """The storage of a host, and what was chosen.

    Args:
        storage: the places, measured.
        choice: with reasons.
        measured: folders of the places that were measured now; the others' rates are remembered.
        duration_s: of looking, measuring and choosing.
    """

    storage: HostStorage
    choice: TierChoice
    measured: tuple[str, ...]
    duration_s: float


def survey_storage(
    environ: Mapping[str, str],
    cache: Path,
    project: Path | None,
    *,
    refresh: bool = False,
    thorough: bool = False,
    settle: bool = True,
) -> Survey:
    """Look at all places, measure those that were not, choose and remember.

    Args:
        environ: the process environment.
        cache: the cache root.
        project: the project's folder.
        refresh: measure all again, and choose as if nothing had been chosen before.
        thorough: also measure what cannot be chosen.
        settle: make our folders in the chosen places and remember the choice.
    """
    start_s = time.perf_counter()
    memory = StorageMemory(cache, time.time())
    key = choice_key(environ, cache, project)
    storage = find_storage(environ, cache, project)
    probes = {place.folder: _probe_folder(place) for place in storage.places}
    with memory.claim(list(probes.values())) as is_first:
        crew = _Crew(memory, environ, refresh=refresh and is_first)
        previous = "" if refresh and is_first else memory.previous_folder(key)
        wanted = {place.folder for place in storage.places if thorough or _may_win(place, storage)}
        places = [crew.look(place, probes[place.folder], place.folder in wanted) for place in storage.places]
        storage = crew.confirm(replace(storage, places=tuple(places)), probes, previous)
        if settle:
            storage, choice = _choose(storage, previous)
        else:
            choice = choose_tier(storage)
        if settle and choice.tier is not None:
            memory.remember_choice(key, chosen_tier(choice), nearest_folder(choice.tier.folder))
        memory.save()
    return Survey(
        storage=storage,
        choice=choice,
        measured=tuple(crew.measured),
        duration_s=time.perf_counter() - start_s,
    )


def survey_named(
    folder: str, environ: Mapping[str, str], cache: Path, *, refresh: bool = False
) -> tuple[StoragePlace, bool]:
    """A place that the user has named, and whether it was measured now.

    Args:
        folder: absolute; need not exist.
        environ: the process environment.
        cache: the cache root.
        refresh: measure again.
    """
    memory = StorageMemory(cache, time.time())
    place = describe_named(folder, environ, cache)
    probe_folder = _probe_folder(place)
    with memory.claim([probe_folder]) as is_first:
        crew = _Crew(memory, environ, refresh=refresh and is_first)
        place = crew.look(place, probe_folder, wanted=True)
        memory.save()
    return place, bool(crew.measured)


def chosen_tier(choice: TierChoice) -> ChosenTier:
    """What is remembered of a choice."""
    tier, archives = choice.tier, choice.archives
    return ChosenTier(
        folder=tier.folder if tier else "",
        archives_folder=archives.folder if archives else "",
        keeps_archives=choice.keeps_archives,
        is_guarded=tier is not None and tier.origin not in _OWN,
        archives_guarded=archives is not None and archives.origin not in _OWN,
    )


class _Crew:
    """Asks and measures places, as far as that is not remembered."""

    def __init__(self, memory: StorageMemory, environ: Mapping[str, str], *, refresh: bool) -> None:
        self._memory = memory
        self._environ = environ
        self._refresh = refresh
        self.measured: list[str] = []

    def look(self, place: StoragePlace, probe_folder: str, wanted: bool) -> StoragePlace:
        """A place with its quota and, if that is wanted, its rates."""
        if place.fault or place.free_bytes < LEAST_BYTES:
            return place
        mount = _mount_key(place)
        place = replace(place, quota=self._find_quota(place, mount))
        result = None if self._refresh else _as_result(self._memory.find_fact("probe", mount))
        if result is None and wanted:
            self.measured.append(place.folder)
            found = measure(probe_folder)
            if isinstance(found, ProbeResult) and found.is_cut_short and place.reach is not Reach.SHARED:
                found = measure(probe_folder)  # the disk was busy with others' files for a moment
            if isinstance(found, str):
                return with_result(place, found)
            self._memory.remember_fact("probe", mount, to_builtins(found))
            result = found
        return place if result is None else with_result(place, result)

    def confirm(self, storage: HostStorage, probes: Mapping[str, str], previous: str) -> HostStorage:
        """Measure once more, where what was just measured outweighs what kind of disk each is.

        A disk that was busy for that tenth of a second must not decide where environments are for months.
        """
        by_kind = replace(storage, places=tuple(replace(place, rates=None) for place in storage.places))
        one, other = (
            choose_tier(storage, previous=previous).tier,
            choose_tier(by_kind, previous=previous).tier,
        )
        if one is None or other is None or one.folder == other.folder:
            return storage
        doubtful = {one.folder, other.folder}.intersection(self.measured)
        places = [
            self._measure_again(place, probes[place.folder]) if place.folder in doubtful else place
            for place in storage.places
        ]
        return replace(storage, places=tuple(places))

    def _measure_again(self, place: StoragePlace, probe_folder: str) -> StoragePlace:
        found = measure(probe_folder)
        if isinstance(found, str) or place.rates is None:
            return place
        better = replace(found, rates=best_rates(place.rates, found.rates))
        self._memory.remember_fact("probe", _mount_key(place), to_builtins(better))
        return with_result(place, better)

    def _find_quota(self, place: StoragePlace, mount: str) -> Quota | None:
        if not self._refresh:
            known = self._memory.find_fact("quota", mount, _QUOTA_LIFETIME_S)
            with suppress(TypeError):
                return Quota(**known) if known else self._ask_quota(place, mount) if known is None else None
        return self._ask_quota(place, mount)

    def _ask_quota(self, place: StoragePlace, mount: str) -> Quota | None:
        quota = find_quota(place, self._environ)
        self._memory.remember_fact("quota", mount, to_builtins(quota) if quota else {})
        return quota


def _choose(storage: HostStorage, previous: str) -> tuple[HostStorage, TierChoice]:
    """Choose and make our folders; where one cannot be made, choose again without its place."""
    while True:
        choice = choose_tier(storage, previous=previous)
        fault = fault_of_folders(chosen_tier(choice))
        if fault is None:
            return storage, choice
        folder, reason = fault
        places = [
            replace(place, fault=reason) if place.folder == folder else place for place in storage.places
        ]
        storage = replace(storage, places=tuple(places))


def _may_win(place: StoragePlace, storage: HostStorage) -> bool:
    """Whether the rates of a place can change the choice: memory's only where there is no local disk."""
    if place.reach is not Reach.MEMORY:
        return True
    return not any(other.reach is Reach.LOCAL and not other.fault for other in storage.places)


def _mount_key(place: StoragePlace) -> str:
    return mount_key(place.device, place.file_system, place.source, place.mount_point)


def _probe_folder(place: StoragePlace) -> str:
    return f"{place.base}/{FOLDER_START}{os.getpid()}-{secrets.token_hex(4)}"


def _as_result(fact: Any) -> ProbeResult | None:
    """A remembered probe; None if there is none or it is damaged."""
    with suppress(TypeError):
        return ProbeResult(**{**fact, "rates": Rates(**fact["rates"])}) if fact else None
    return None
