"""``exclude-newer``: an instant, or an age that becomes one when there is something to resolve.

An age stays an age in manifest and lock, so that neither changes because time goes by. uv came to the same
after locks with an instant had a conflict in every merge (astral-sh/uv#18708).

Standard: ISO 8601 (instants; durations of weeks, days and hours, the ones that are always equally long).
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

_ISO = r"P(?:([0-9]{1,4})W)?(?:([0-9]{1,5})D)?(?:T([0-9]{1,6})H)?"
_WORDS = r"([0-9]{1,6})\s*(h|hours?|d|days?|w|weeks?)"
_HOURS = {"h": 1, "d": 24, "w": 7 * 24}


def canonical_age(text: str) -> str:
    """``7d``, ``1 week``, ``P7D`` are ``P7D``; ``36 hours`` are ``PT36H``; ``""`` for what is no such age."""
    hours = _hours(text.strip())
    if hours is None:
        return ""
    return f"PT{hours}H" if hours % 24 else f"P{hours // 24}D"


def _hours(text: str) -> int | None:
    words = re.fullmatch(_WORDS, text.lower())
    if words:
        return int(words[1]) * _HOURS[words[2][0]]
    iso = re.fullmatch(_ISO, text.upper())
    if iso is None or not any(iso.groups()):
        return None
    weeks, days, hours = (int(part or 0) for part in iso.groups())
    return (weeks * 7 + days) * 24 + hours


def canonical_instant(value: str | date) -> str:
    """``2026-11-01T00:00:00Z``: a date is its first instant, a time without zone is UTC.

    Raises:
        ValueError, OverflowError: it is no date.
    """
    if isinstance(value, str):
        value = datetime.fromisoformat(value.strip())
    elif not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return moment.isoformat().replace("+00:00", "Z")


def parse_instant(text: str) -> datetime:
    """An ISO 8601 time; one without a zone is UTC.

    Raises:
        ValueError: it is none.
    """
    instant = datetime.fromisoformat(text)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def cutoff_at(limit: str, now_s: float) -> str:
    """The instant that a limit stands for now.

    Args:
        limit: canonical instant or age, ``""`` for none.
        now_s: seconds since the epoch.
    """
    if not limit.startswith("P"):
        return limit
    hours = _hours(limit) or 0
    try:
        moment = datetime.fromtimestamp(int(now_s), UTC) - timedelta(hours=hours)
    except OverflowError:
        moment = datetime.min.replace(tzinfo=UTC)
    return canonical_instant(moment)
