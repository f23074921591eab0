"""``envforge tiers``: the storage of this host, measured, and what is chosen for what."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from envforge.errors import ManifestError
from envforge.host.named_tier import check_mounted
from envforge.host.paths import Places, find_cache_root, find_named_tier, find_places
from envforge.host.tiers import Survey, survey_named, survey_storage
from envforge.model.storage import StoragePlace
from envforge.struct import Struct
from envforge.workflows.project_root import find_project_root


class Use(StrEnum):
    """What a place is used for."""

    ENVIRONMENTS = "environments"
    ARCHIVES = "archives"


class SurveyedPlace(Struct, frozen=True, kw_only=True):
    """A place with the verdict on it.

    Args:
        place: what it is.
        uses: what it is used for; nothing for most.
        reason: why it is, or why it is not used.
        measured_now: its rates are not remembered ones.
    """

    place: StoragePlace
    uses: tuple[Use, ...]
    reason: str
    measured_now: bool


class TierReport(Struct, frozen=True, kw_only=True):
    """The storage of a host.

    Args:
        places: what is used, for which project this was asked.
        steered_by: the option or variable that decides instead of the choice, "" for none.
        surveyed: all places, those in use first.
        job: the batch job that this is part of, "" for none.
        memory_room_bytes: what may still be used of the memory, None where it is not known.
        duration_s: of looking and measuring.
    """

    places: Places
    steered_by: str
    surveyed: tuple[SurveyedPlace, ...]
    job: str
    memory_room_bytes: int | None
    duration_s: float


def survey_tiers(
    environ: Mapping[str, str], start: Path, *, tier: str = "", refresh: bool = False
) -> TierReport:
    """Look at the storage of this host.

    Args:
        environ: the process environment.
        start: a folder; of the project in it or above it, the file system is a candidate too.
        tier: what ``--tier`` says.
        refresh: measure again, and choose afresh.

    Raises:
        HostError: a place that is named cannot be understood.
    """
    try:
        project = find_project_root(start)
    except ManifestError:
        project = start
    cache = find_cache_root(environ)
    steered_by = _steered_by(environ, tier)
    named = find_named_tier(environ, tier)
    if refresh and named is not None:
        check_mounted(named, cache, forget=True)
    survey = survey_storage(environ, cache, project, refresh=refresh, thorough=True, settle=not steered_by)
    places = find_places(environ, tier=tier, project=project)
    measured = list(survey.measured)
    found = list(survey.storage.places)
    if not any(_is_in(places.tier, place) for place in found):
        place, is_new = survey_named(str(places.tier), environ, cache, refresh=refresh)
        found.insert(0, place)
        measured += [place.folder] if is_new else []
    surveyed = [
        SurveyedPlace(
            place=place,
            uses=(uses := _uses(place, places)),
            reason=_reason(place, survey, steered_by, is_used=bool(uses)),
            measured_now=place.folder in measured,
        )
        for place in found
    ]
    return TierReport(
        places=places,
        steered_by=steered_by,
        surveyed=tuple(sorted(surveyed, key=lambda each: (not each.uses, Use.ARCHIVES in each.uses[:1]))),
        job=survey.storage.job,
        memory_room_bytes=survey.storage.memory_room_bytes,
        duration_s=survey.duration_s,
    )


def _steered_by(environ: Mapping[str, str], tier: str) -> str:
    if tier:
        return "--tier"
    return next((name for name in ("ENVFORGE_TIER", "ENVFORGE_CACHE_DIR") if environ.get(name)), "")


def _uses(place: StoragePlace, places: Places) -> tuple[Use, ...]:
    uses = []
    if _is_in(places.tier, place):
        uses.append(Use.ENVIRONMENTS)
    if _is_in(places.archives, place) and (places.keeps_archives or not uses):
        uses.append(Use.ARCHIVES)
    return tuple(uses)


def _reason(place: StoragePlace, survey: Survey, steered_by: str, *, is_used: bool) -> str:
    reason = survey.choice.reasons.get(place.folder, "")
    if steered_by and is_used:
        return f"{steered_by} says so" + (f", but {place.fault}" if place.fault else "")
    if steered_by and survey.choice.tier is place:
        return f"it would be chosen if {steered_by} did not say otherwise: {reason}"
    return reason


def _is_in(path: Path, place: StoragePlace) -> bool:
    return path.is_relative_to(place.folder)
