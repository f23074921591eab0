"""The manifest's indexes, opened for a resolution."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from envforge.index.index_set import IndexLocation, IndexSet
from envforge.net.client import HttpClient

if TYPE_CHECKING:
    from envforge.manifest.manifest import Manifest
    from envforge.workflows.session import Session


@contextmanager
def open_index_set(manifest: Manifest, exclude_newer: str, session: Session) -> Iterator[IndexSet]:
    """Where the packages of a manifest come from.

    Args:
        manifest: its indexes and sources.
        exclude_newer: instant before which files had to be uploaded, "" for no limit.
        session: places, network, environment.
    """
    indexes = [
        IndexLocation(name=index.name, url=index.url, explicit=index.explicit, default=index.default)
        for index in manifest.settings.indexes
    ]
    sources = {name: source.index for name, source in manifest.settings.sources.items()}
    with HttpClient(session.network) as client:
        yield IndexSet(
            indexes,
            sources,
            client,
            session.places.cache,
            session.network,
            exclude_newer=exclude_newer,
        )
