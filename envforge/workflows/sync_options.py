"""What can be said of a sync, by a command line or another command."""

from __future__ import annotations

from envforge.plan.link_plan import LinkMode
from envforge.struct import Struct, replace


class SyncOptions(Struct, frozen=True, kw_only=True):
    """How to sync.

    Args:
        frozen: never lock; a lock that does not fit the manifest is an error.
        groups: dependency groups beside the default ones.
        extras: the project's optional dependencies to install.
        no_dev: leave the default groups out.
        link_mode: how files get into the environment.
        ignore_host: warn, where this host lacks what the lock needs (a driver, a newer C library).
        variant: name of one, ``auto`` to have it chosen again, ``""`` for what this host had or needs.
    """

    frozen: bool = False
    groups: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    no_dev: bool = False
    link_mode: LinkMode = LinkMode.SHARED
    ignore_host: bool = False
    variant: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether the environment is what a sync without options makes: a stamp may vouch for it."""
        return replace(self, frozen=False, ignore_host=False) == SyncOptions()
