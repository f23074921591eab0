"""``exclude-newer``: a page without the files that were uploaded too late.

Standards: PEP 700 (``upload-time``); where a page has no times, the JSON API that Warehouse and its
mirrors have beside the simple API (``/pypi/<project>/json``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from envforge.errors import NetworkError, OfflineError, PackageIndexError
from envforge.index.locations import IndexLocation
from envforge.index.page import Page
from envforge.model.cutoff import parse_instant
from envforge.model.release import IndexFile
from envforge.net.cache import UNTOLD_FRESH_S, EntryFolder, Validity
from envforge.net.client import NOT_FOUND, HttpClient

CACHE_NAME = "upload-times-v1"


def is_before(upload_time: str, limit: str) -> bool:
    """Whether an ISO 8601 time lies before a limit in UTC; what cannot be read does not."""
    if upload_time.endswith("Z") and limit.endswith("Z") and len(upload_time) >= 20 <= len(limit):
        return upload_time[:-1] < limit[:-1]  # without the Z a fraction of a second sorts after none
    try:
        return parse_instant(upload_time) < parse_instant(limit)
    except ValueError:
        return False


class DatedPage:
    """A page as it was at an instant; implements :class:`envforge.model.release.LimitedPage`.

    Args:
        page: with all files.
        limit: instant in UTC, ``2026-11-01T00:00:00Z``; what was uploaded at it or later is hidden.
        ask_times: file name → upload time, for files for which the page has none.
    """

    def __init__(self, page: Page, limit: str, ask_times: Callable[[], Mapping[str, str]]) -> None:
        self.name = page.name
        self.index = page.index
        self.limit = limit
        self._page = page
        self._ask_times = ask_times
        self._versions: list[str] | None = None
        self._files: dict[str, Sequence[IndexFile]] = {}

    @property
    def versions(self) -> Sequence[str]:
        """Canonical, newest first.

        Raises:
            PackageIndexError: the index tells no upload times.
        """
        if self._versions is None:
            self._versions = [version for version in self._page.versions if self._was_there(version)]
        return self._versions

    def files(self, version: str) -> Sequence[IndexFile]:
        """The files of a version that were there."""
        known = self._files.get(version)
        if known is None:
            known = self._files[version] = [
                file for file in self._page.files(version) if is_before(self._time_of(file), self.limit)
            ]
        return known

    def left_out(self) -> Iterator[tuple[str, str]]:
        """(version, upload time of its first file), newest version first; yanked ones are not told."""
        there = set(self.versions)
        for version in self._page.versions:
            files = self._page.files(version) if version not in there else ()
            if any(file.yanked is None for file in files):
                yield version, min(map(self._time_of, files))

    def _was_there(self, version: str) -> bool:
        """Whether any file of a version was there; looks into its raw text first, which is cheap."""
        times = self._page.upload_times(version)
        return any(is_before(time, self.limit) for time in times) or bool(self.files(version))

    def _time_of(self, file: IndexFile) -> str:
        return file.upload_time or self._ask_times().get(file.filename, "")


class UploadTimes:
    """Asks the JSON API of an index for upload times.

    Args:
        cache: root of the cache.
        client: for what is not cached.
        now_s: seconds since the epoch.
    """

    def __init__(self, cache: Path, client: HttpClient, now_s: float) -> None:
        self._entries = EntryFolder(cache / CACHE_NAME)
        self._client = client
        self._now_s = now_s
        self._known: dict[str, Mapping[str, str]] = {}

    def find(self, project: str, location: IndexLocation) -> Mapping[str, str]:
        """File name → upload time.

        Raises:
            PackageIndexError: the index has no such API.
            NetworkError: it cannot be asked.
        """
        url = f"{location.clean_url.rstrip('/').removesuffix('/simple')}/pypi/{project}/json"
        if url not in self._known:
            self._known[url] = self._read(project, location, url)
        return self._known[url]

    def _read(self, project: str, location: IndexLocation, url: str) -> Mapping[str, str]:
        settings = self._client.settings
        key = self._entries.key(url, self._client.identity(url, location.name, location.url))
        part = self._entries.read_part(key, 0, -1)
        if part is not None:
            fresh = Validity(lifetime_s=UNTOLD_FRESH_S).is_fresh(part.stamp_s, self._now_s)
            if settings.offline or (fresh and not settings.refresh):
                times = _decode(part.content)
                if times is not None:
                    return times
        times = self._fetch(project, location, url)
        self._entries.write(key, json.dumps(times).encode(), self._now_s)
        return times

    def _fetch(self, project: str, location: IndexLocation, url: str) -> dict[str, str]:
        try:
            response = self._client.get(
                url, expected=NOT_FOUND, index_name=location.name, index_url=location.url
            )
            if response.status == 200:
                return {
                    file["filename"]: file["upload_time_iso_8601"]
                    for files in json.loads(response.body)["releases"].values()
                    for file in files
                }
        except (ValueError, KeyError, TypeError, AttributeError):
            pass
        except OfflineError:
            raise
        except NetworkError as error:
            raise _no_times(project, location, [*error.context, error.message]) from error
        raise _no_times(project, location, [f"there is no JSON API at {url}"])


def _decode(content: bytes) -> Mapping[str, str] | None:
    try:
        times = json.loads(content)
    except ValueError:
        return None
    return times if isinstance(times, dict) else None


def _no_times(project: str, location: IndexLocation, context: Sequence[str]) -> PackageIndexError:
    return PackageIndexError(
        f"exclude-newer needs upload times, and index {location.name!r} has none for {project}",
        context=context,
        hints=["remove exclude-newer, or use an index that tells upload times (PEP 700)"],
    )
