"""The store of a tier, with the site's below it."""

from __future__ import annotations

from pathlib import Path

from envforge.events import Warned
from envforge.store.store import Store
from envforge.workflows.session import Session


def open_store(tier: Path, session: Session) -> Store:
    """The store of a tier; a site's store that cannot be used is told and left out.

    Raises:
        StoreError: the tier's own store cannot be used.
    """
    store = Store(tier, session.places.site)
    if store.site_fault:
        session.reporter.report(
            Warned(
                message=f"the site's store {session.places.site} is not used: {store.site_fault}",
                hint="see what ENVFORGE_SITE_STORE names; packages are fetched into your own store meanwhile",
            )
        )
    return store
