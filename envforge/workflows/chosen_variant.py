"""Which variant of a project a host gets, and why: chosen by :mod:`.variants`."""

from __future__ import annotations

from envforge.struct import Struct


class ChosenVariant(Struct, frozen=True, kw_only=True):
    """A choice for this host.

    Args:
        name: of the variant, ``""`` in a project without variants.
        reason: why, for people.
        is_asked: a user named it, now or earlier.
    """

    name: str = ""
    reason: str = ""
    is_asked: bool = False


NO_CHOICE = ChosenVariant()
