"""The manifest's indexes, opened for a resolution."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from envforge.index.index_set import IndexSet
from envforge.index.locations import IndexLocation
from envforge.manifest.manifest import index_names
from envforge.net.client import HttpClient
from envforge.workflows.file_places import placed_url

if TYPE_CHECKING:
    from pathlib import Path

    from envforge.index.conda_source import CondaChannels
    from envforge.index.source_view import SourceView
    from envforge.manifest.manifest import Manifest
    from envforge.model.release import CoreMetadata, IndexFile
    from envforge.workflows.session import Session


@contextmanager
def open_index_set(
    manifest: Manifest, exclude_newer: str, session: Session, building: tuple[str, ...] = ()
) -> Iterator[IndexSet]:
    """Where the packages of a manifest come from.

    Args:
        manifest: its indexes and sources.
        exclude_newer: instant before which files had to be uploaded, or how old they have to be, "" for no
            limit; the manifest's limits for some packages hold all the same.
        session: places, network, environment, now.
        building: names of what is being built, for which this is opened.
    """
    limit, limits = exclude_newer, manifest.settings.exclude_newer_package
    if limit or limits:
        from envforge.model.cutoff import cutoff_at

        limit = cutoff_at(limit, session.now_s)
        limits = {name: cutoff_at(each, session.now_s) for name, each in limits.items()}
    indexes = [
        IndexLocation(
            name=index.name,
            url=placed_url(index.url, session.root) if index.is_flat else index.url,
            explicit=index.explicit,
            default=index.default,
            is_flat=index.is_flat,
        )
        for index in manifest.settings.indexes
    ]
    sources = index_names(manifest.settings.sources)
    with HttpClient(session.network) as client:
        yield IndexSet(
            indexes,
            sources,
            client,
            session.places.cache,
            session.network,
            exclude_newer=limit,
            exclude_newer_package=limits,
            environ=session.environ,
            now_s=session.now_s,
            reporter=session.reporter,
            build_metadata=lambda file, archive: _build_metadata(file, archive, manifest, session, building),
        )


def sources_by_variant(manifest: Manifest, indexes: IndexSet) -> dict[str, IndexSet | SourceView]:
    """Variant (``""`` in a project without) → where its packages come from."""
    settings = manifest.settings
    if not settings.variants:
        return {"": indexes}
    from envforge.index.source_view import SourceView

    return {
        variant.name: SourceView(
            indexes,
            index_names(variant.sources),
            f"tool.envforge.variants.{variant.name}.sources",
        )
        if variant.sources
        else indexes
        for variant in settings.variants
    }


@contextmanager
def open_channels(manifest: Manifest, exclude_newer: str, session: Session) -> Iterator[CondaChannels]:
    """Where the conda packages of a manifest come from.

    Args:
        manifest: its channels, and what it says of names.
        exclude_newer: instant before which packages had to be built, or how old they have to be, "" for no
            limit.
        session: places, network, environment, now.
    """
    from envforge.index.conda_source import CondaChannels
    from envforge.model.cutoff import cutoff_at
    from envforge.workflows.channels import channel_locations

    with CondaChannels(
        channel_locations(manifest, session),
        session.network,
        session.environ,
        session.places.cache,
        exclude_newer=cutoff_at(exclude_newer, session.now_s),
        conda_pypi_map=manifest.settings.conda_pypi_map,
        now_s=session.now_s,
    ) as channels:
        yield channels


def _build_metadata(
    file: IndexFile, archive: Path, manifest: Manifest, session: Session, building: tuple[str, ...]
) -> CoreMetadata:
    """Ask an sdist's backend, with the manifest's Python if it is here, else the newest on this host.

    What a backend says may depend on the platform, and nobody can know. It is taken for all targets, which
    is said, and only where a release has neither a wheel nor static metadata.
    """
    from envforge.workflows.build_metadata import metadata_workshop, sdist_metadata

    return sdist_metadata(file, archive, metadata_workshop(manifest, session, building))
