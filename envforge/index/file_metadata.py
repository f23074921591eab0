"""The metadata of one release: out of the cache, else fetched.

The way to fetch (:mod:`.metadata_fetcher`) is imported when the cache lacks something for the first time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from envforge.errors import MetadataError
from envforge.index.failures import NeedsBuildError
from envforge.index.locations import IndexLocation
from envforge.index.metadata_cache import MetadataCache
from envforge.model.release import CoreMetadata, IndexFile
from envforge.net.client import HttpClient

if TYPE_CHECKING:
    from envforge.index.metadata_fetcher import MetadataFetcher


class MetadataReader:
    """Reads metadata of released files; threads may share it.

    Args:
        cache: root of the cache.
        client: for what is not cached.
        locations: name of an index → where it is, its variables expanded.
        open_fetcher: gives what fetches; called once at most.
    """

    def __init__(
        self,
        cache: Path,
        client: HttpClient,
        locations: Mapping[str, IndexLocation],
        open_fetcher: Callable[[], MetadataFetcher],
    ) -> None:
        self._cache = MetadataCache(cache)
        self._client = client
        self._locations = locations
        self._open_fetcher = open_fetcher
        self._fetcher: MetadataFetcher | None = None
        self._lock = threading.Lock()

    def read(self, file: IndexFile) -> CoreMetadata:
        """The metadata of a release, read from this file.

        Raises:
            MetadataError: it has none that can be used; :class:`NeedsBuildError` if a build could tell.
            HashError: what the server sent is not what the index announced.
            OfflineError, NetworkError: it cannot be had.
        """
        identity = self._identity(file)
        known = self._recall(file, identity)
        if known is not None:
            return known
        try:
            known = self._fetch(file)
        except NeedsBuildError:
            raise
        except MetadataError as error:
            self._cache.store(file, error, identity)
            raise
        self._cache.store(file, known, identity)
        return known

    def _recall(self, file: IndexFile, identity: str) -> CoreMetadata | None:
        try:
            return self._cache.find(file, identity)
        except MetadataError:
            if self._client.settings.refresh:
                return None
            raise

    def _fetch(self, file: IndexFile) -> CoreMetadata:
        with self._lock:
            self._fetcher = self._fetcher or self._open_fetcher()
        return self._fetcher.fetch(file)

    def _identity(self, file: IndexFile) -> str:
        if file.sha256:
            return ""
        location = self._locations.get(file.index)
        return self._client.identity(file.url, file.index, location.url if location else "")
