"""The indexes of a project together: which one is asked for what, and everything they answered.

A project comes from one index only: the one that ``sources`` names, else the first that has it. An
index that refuses or fails is an error and never a reason to ask the next one, or else whoever can
register a name on a public index could slip a package in under an internal one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count as counter
from pathlib import Path
from typing import TYPE_CHECKING

from envforge.errors import UnknownPackageError
from envforge.events import MetadataFetched, Reporter, SilentReporter
from envforge.index.file_metadata import MetadataReader
from envforge.index.locations import IndexLocation
from envforge.index.memo import Memo
from envforge.index.page import Page
from envforge.index.page_store import PageStore
from envforge.index.upload_times import DatedPage, UploadTimes
from envforge.metadata.versions import release_of
from envforge.model.markers import python_admitted
from envforge.model.names import normalize_name
from envforge.model.release import CoreMetadata, IndexFile, ProjectPage, best_wheel
from envforge.model.requirement import Requirement
from envforge.model.resolution import TargetResolution
from envforge.model.rules import NO_RULES, Rules
from envforge.model.tags import wheel_ranks
from envforge.model.target import Target
from envforge.net.auth import expand_url, redact
from envforge.net.client import NOT_FOUND, HttpClient
from envforge.net.settings import NetworkSettings
from envforge.struct import replace

if TYPE_CHECKING:
    from envforge.index.metadata_fetcher import BuildMetadata, MetadataFetcher


class IndexSet:
    """All facts about projects; implements :class:`envforge.model.release.PackageSource`.

    Threads may share it. Each question is answered once in a run, failures included.

    The metadata of a release is read from one of its wheels, that of the first target that has one
    (:meth:`prefetch` tells the targets), and holds for all its files, as in uv and Poetry: indexes
    promise nothing of the kind, but wheels of one release that differ in their requirements are rare,
    and to read all of them is four times the work.

    Args:
        indexes: in the order to ask; URLs may hold credentials and ``${VARIABLES}``.
        sources: normalized project → name of the only index that may have it.
        client: for what is not cached.
        cache_dir: root of the cache.
        settings: offline, refresh, connections.
        exclude_newer: instant in UTC (``2026-11-01T00:00:00Z``); files that were uploaded at it or
            later are as good as not there. ``""`` for no limit.
        exclude_newer_package: normalized project → its own instant, ``""`` for no limit.
        environ: for the variables in URLs, the process environment by default.
        now_s: seconds since the epoch, what freshness is judged by; the clock by default.
        reporter: is told of metadata and downloads.
        build_metadata: for sdists that do not tell what they require; without it they raise
            :class:`envforge.index.failures.NeedsBuildError`.

    Raises:
        ManifestError: a URL needs a variable that is not set.
    """

    def __init__(
        self,
        indexes: Sequence[IndexLocation],
        sources: Mapping[str, str],
        client: HttpClient,
        cache_dir: Path,
        settings: NetworkSettings,
        *,
        exclude_newer: str = "",
        exclude_newer_package: Mapping[str, str] | None = None,
        environ: Mapping[str, str] | None = None,
        now_s: float | None = None,
        reporter: Reporter | None = None,
        build_metadata: BuildMetadata | None = None,
    ) -> None:
        variables = os.environ if environ is None else environ
        moment_s = time.time() if now_s is None else now_s
        self.indexes = tuple(indexes)
        self._locations = {
            index.name: replace(index, url=expand_url(index.url, variables, index.name)) for index in indexes
        }
        asked = [location for location in self._locations.values() if not location.explicit]
        self._asked = sorted(asked, key=lambda location: location.default)
        self._sources = sources
        self._client = client
        self._cache_dir = cache_dir
        self._settings = settings
        self._exclude_newer = exclude_newer
        self._exclude_newer_package = exclude_newer_package or {}
        self._reporter = reporter or SilentReporter()
        self._store = PageStore(cache_dir, client, moment_s)
        self._times = UploadTimes(cache_dir, client, moment_s)
        self._now_s = moment_s
        self._build_metadata = build_metadata
        self._reader = MetadataReader(cache_dir, client, self._locations, self._open_fetcher)
        self._targets: Sequence[Target] = ()
        self._pages: Memo[str, ProjectPage] = Memo()
        self._pages_on: Memo[tuple[str, str], ProjectPage] = Memo()
        self._found: dict[tuple[str, str], ProjectPage] = {}
        self._metadata: Memo[tuple[str, str, str], CoreMetadata] = Memo()
        self._releases: dict[tuple[str, str], tuple[str, str, str]] = {}
        self._count = counter(1)

    def page(self, name: str) -> ProjectPage:
        """All releases of a project.

        Args:
            name: normalized.

        Raises:
            UnknownPackageError: no index that may be asked has it.
            NetworkError: an index that had to be asked did not answer.
            PackageIndexError: an index gave an answer that cannot be used.
        """
        return self._pages.get(name, lambda: self._find_page(name))

    def page_on(self, name: str, index: str) -> ProjectPage:
        """All releases of a project on one index, whatever the sources say.

        Args:
            name: normalized.
            index: its name.

        Raises:
            UnknownPackageError, NetworkError, PackageIndexError: as :meth:`page`.
        """
        found = self._found.get((name, index))
        if found is not None:
            return found
        return self._pages_on.get((name, index), lambda: self._read_page(name, [self._locations[index]]))

    @property
    def connections(self) -> int:
        """Most questions to ask at one time."""
        return self._settings.connections

    def metadata(self, file: IndexFile) -> CoreMetadata:
        """The metadata of the release that a file belongs to.

        Raises:
            MetadataError: it has none that can be used.
            HashError: a server sent something else than the index announced.
            NetworkError: it cannot be had.
        """
        key = self._releases.get((file.index, file.url))
        if key is None:
            key = self._releases[file.index, file.url] = _release_of(file)
        return self._metadata.get(key, lambda: self._read_metadata(self._representative(key, file)))

    @contextmanager
    def only_cached(self, targets: Sequence[Target]) -> Iterator[None]:
        """Within the block a question that the cache cannot answer raises NetworkNeededError.

        Where nothing has to be fetched, a resolution without a crawl before it takes half the time.

        Args:
            targets: what will be resolved for, in this order.
        """
        self._targets = targets
        with self._client.held():
            yield

    def prefetch(
        self,
        requirements: Iterable[Requirement],
        targets: Sequence[Target],
        preferred: Mapping[str, str],
        rules: Rules = NO_RULES,
    ) -> None:
        """Fetch in parallel what a resolution will probably ask for; returns when all of it is there.

        Failures are kept for whoever asks for that answer.

        Args:
            requirements: where the resolution begins.
            targets: what will be resolved for, in this order.
            preferred: name → version that is probably kept.
            rules: what the project says over the heads of packages.
        """
        from envforge.index.prefetch import crawl

        self._targets = targets
        crawl(self, requirements, targets, preferred, self._settings.connections, rules)

    def with_hashes(self, resolutions: Sequence[TargetResolution]) -> list[TargetResolution]:
        """The resolutions with a SHA-256 for every file: where the index has none, the file is fetched.

        Raises:
            NetworkError: it cannot be had.
        """
        known: dict[str, str] = {}
        for resolution in resolutions:
            for pin in resolution.pins.values():
                if not pin.file.sha256 and pin.file.origin is None and pin.file.url not in known:
                    known[pin.file.url] = self._hash(pin.file)
        if not known:
            return list(resolutions)
        return [_with_hashes(resolution, known) for resolution in resolutions]

    def has_file(self, file: IndexFile) -> bool:
        """Whether the server of a file that no index lists has it.

        Raises:
            OfflineError, NetworkError: it does not answer, or may not be asked.
        """
        absent = NOT_FOUND | {403}  # object stores say this of what is not there
        return self._client.get(file.url, expected=absent, byte_range="0-0").status not in absent

    @contextmanager
    def unlisted_archive(self, file: IndexFile) -> Iterator[tuple[Path, IndexFile]]:
        """The archive of a file that no index lists, for the block, and the file with its hash and size.

        Raises:
            NetworkError: it cannot be had.
        """
        from envforge.index.archive import archive_sha256, fetched_archive

        with fetched_archive(file, self._client, self._locations, self._cache_dir, self._reporter) as archive:
            size_bytes = archive.stat().st_size
            yield archive, file._replace(sha256=archive_sha256(archive), size_bytes=size_bytes)

    def _open_fetcher(self) -> MetadataFetcher:
        from envforge.index.file_hosts import FileHosts
        from envforge.index.metadata_fetcher import MetadataFetcher

        hosts = FileHosts(self._cache_dir, self._now_s, self._settings.refresh)
        return MetadataFetcher(
            self._cache_dir, self._client, hosts, self._locations, self._reporter, self._build_metadata
        )

    def _hash(self, file: IndexFile) -> str:
        with self.unlisted_archive(file) as (_, known):
            return known.sha256

    def _find_page(self, name: str) -> ProjectPage:
        only = self._sources.get(name)
        return self._read_page(name, self._asked if only is None else [self._locations[only]])

    def _read_page(self, name: str, asked: Sequence[IndexLocation]) -> ProjectPage:
        limit = self._exclude_newer_package.get(name, self._exclude_newer)
        for location in asked:
            page = self._store.find(name, location)
            if page is not None:
                # neither a flat page nor a folder tells when its files came
                found: ProjectPage = page
                if limit and isinstance(page, Page) and not location.is_flat:
                    found = self._dated(page, location, limit)
                return self._found.setdefault((name, location.name), found)
        raise self._unknown(name, asked)

    def _dated(self, page: Page, location: IndexLocation, limit: str) -> ProjectPage:
        return DatedPage(page, limit, lambda: self._times.find(page.name, location))

    def _unknown(self, name: str, asked: Sequence[IndexLocation]) -> UnknownPackageError:
        which = "no index has" if len(asked) != 1 else f"index {asked[0].name!r} has no"
        explicit = [location.name for location in self._locations.values() if location.explicit]
        hints = ["check the spelling of the name"]
        if explicit and name not in self._sources:
            hints.append(
                f"if it is on {', '.join(explicit)}, say so in tool.envforge.sources: "
                f'{name} = {{ index = "{explicit[0]}" }}'
            )
        return UnknownPackageError(
            f"{which} {'a ' if len(asked) != 1 else ''}project named {name!r}",
            context=[f"asked: {redact(location.clean_url)}" for location in asked],
            hints=hints,
            package=name,
        )

    def _read_metadata(self, file: IndexFile) -> CoreMetadata:
        metadata = self._reader.read(file)
        self._reporter.report(
            MetadataFetched(normalize_name(metadata.name), metadata.version, known_count=next(self._count))
        )
        return metadata

    def _representative(self, release: tuple[str, str, str], file: IndexFile) -> IndexFile:
        """The wheel of a release whose metadata counts: that of the first target which has one."""
        index, project, version = release
        if not version or not self._targets:
            return file
        page = self._found.get((project, index))
        if page is None or version not in page.versions:
            return file
        files = [found for found in page.files(version) if found.is_wheel]
        files = [found for found in files if found.yanked is None] or files
        for target in self._targets:
            admitted = [found for found in files if python_admitted(found.requires_python, target)]
            wheel = best_wheel(admitted, wheel_ranks(target))
            if wheel is not None:
                return wheel
        # a wheel for some other platform says what only a build of the sdist could
        return file if file.is_wheel or not files else min(files, key=lambda found: found.filename)


def _release_of(file: IndexFile) -> tuple[str, str, str]:
    """(index, project, version); for a name that nobody understands the file stands for itself."""
    return file.index, *(release_of(file.filename) or (file.url, ""))


def _with_hashes(resolution: TargetResolution, known: Mapping[str, str]) -> TargetResolution:
    pins = {
        name: replace(pin, file=pin.file._replace(sha256=known[pin.file.url]))
        for name, pin in resolution.pins.items()
        if pin.file.url in known
    }
    return replace(resolution, pins={**resolution.pins, **pins})
