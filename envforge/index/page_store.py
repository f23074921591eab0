"""Pages of one index: out of the cache while they are fresh, else from the server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from envforge.errors import NetworkError, OfflineError, PackageIndexError
from envforge.index.flat import Folder, FolderPage, is_folder
from envforge.index.locations import IndexLocation
from envforge.index.memo import Memo
from envforge.index.page import HEAD_BYTES, Page, PageHeader, decode_header, encode_page, header_bytes
from envforge.metadata.simple import ACCEPT, split_page
from envforge.net.cache import UNTOLD_FRESH_S, EntryFolder, Validity, may_be_stored, validity_of
from envforge.net.client import NOT_FOUND, HttpClient

if TYPE_CHECKING:
    from envforge.net.attempt import Response

CACHE_NAME = "pages-v1"
_REFRESH = {"Cache-Control": "max-age=0"}  # for caches between us and the index


class _Opened(NamedTuple):
    """A cached page: its header, texts as far as they were read, where texts begin, when it was right."""

    header: PageHeader
    head: bytes
    begin: int
    stamp_s: float


class PageStore:
    """Finds project pages.

    Args:
        cache: root of the cache.
        client: for what is not cached or no longer fresh.
        now_s: seconds since the epoch, what freshness is judged by.
    """

    def __init__(self, cache: Path, client: HttpClient, now_s: float) -> None:
        self._entries = EntryFolder(cache / CACHE_NAME)
        self._client = client
        self._now_s = now_s
        self._identities: dict[str, str] = {}
        self._folders: Memo[str, Folder] = Memo()
        self._flat_pages: Memo[str, Response] = Memo()

    def find(self, project: str, location: IndexLocation) -> Page | FolderPage | None:
        """The page of a project, None if the index does not have the project.

        Args:
            project: normalized name.
            location: the index, its variables expanded.

        Raises:
            OfflineError: it is not cached, and the network is forbidden.
            NetworkError: the index cannot be asked.
            PackageIndexError: its answer is no page.
        """
        url = location.project_url(project)
        if location.is_flat and is_folder(location):
            return self._folder(location).find(project)
        if url.startswith("file:"):
            return self._fetch(project, location, "", None)
        key = self._key(f"{url}#{project}" if location.is_flat else url, location)
        opened = self._open(key)
        settings = self._client.settings
        if opened is not None:
            fresh = opened.header.validity.is_fresh(opened.stamp_s, self._now_s)
            if settings.offline or (fresh and not settings.refresh):
                return self._page(project, location, key, opened)
        elif settings.offline:
            raise OfflineError(
                f"{project} is not cached for index {location.name!r}, and --offline forbids to ask",
                context=[f"url: {url}"],
                hints=["run without --offline once"],
            )
        return self._fetch(project, location, key, opened)

    def _folder(self, location: IndexLocation) -> Folder:
        return self._folders.get(location.name, lambda: Folder(location))

    def _key(self, url: str, location: IndexLocation) -> str:
        identity = self._identities.get(location.name)
        if identity is None:  # one for all pages of an index: they have one origin
            identity = self._client.identity(url, location.name, location.url)
            self._identities[location.name] = identity
        return self._entries.key(url, identity)

    def _open(self, key: str) -> _Opened | None:
        part = self._entries.read_part(key, 0, HEAD_BYTES)
        if part is None:
            return None
        begin = header_bytes(part.content)
        if begin > len(part.content):
            part = self._entries.read_part(key, 0, begin + HEAD_BYTES)
            if part is None:
                return None
        header = decode_header(part.content, part.total_bytes)
        if header is None:
            self._entries.remove(key)
            return None
        return _Opened(header, part.content[begin:], begin, part.stamp_s)

    def _fetch(self, project: str, location: IndexLocation, key: str, opened: _Opened | None) -> Page | None:
        if location.is_flat:
            return self._keep(project, location, key, self._flat_page(location))
        url = location.project_url(project)
        conditions = opened.header.validity.conditions() if opened else {}
        response = self._client.get(
            url,
            headers={"Accept": ACCEPT, **conditions, **(_REFRESH if self._client.settings.refresh else {})},
            expected=NOT_FOUND,
            index_name=location.name,
            index_url=location.url,
        )
        if key:  # a server's refusal may have brought up credentials, see HttpClient.identity
            key = self._key(url, location)
        if response.status == 304 and opened is not None:
            self._entries.confirm(key, self._now_s)
            return self._page(project, location, key, opened)
        if response.status not in (200, *NOT_FOUND):
            raise NetworkError(
                f"index {location.name!r} answers {response.status} for {project}", context=[f"url: {url}"]
            )
        return self._keep(project, location, key, response)

    def _flat_page(self, location: IndexLocation) -> Response:
        """The one page of a flat index, asked for once in a run: it is the same for every project."""

        def fetch() -> Response:
            response = self._client.get(
                location.clean_url,
                headers={"Accept": "text/html", **(_REFRESH if self._client.settings.refresh else {})},
                expected=NOT_FOUND,
                index_name=location.name,
                index_url=location.url,
            )
            if response.status != 200:
                raise PackageIndexError(
                    f"flat index {location.name!r} has no page: the answer is {response.status}",
                    context=[f"url: {location.clean_url}"],
                    hints=["check its URL in tool.envforge.index"],
                )
            return response

        return self._flat_pages.get(location.name, fetch)

    def _keep(self, project: str, location: IndexLocation, key: str, response: Response) -> Page | None:
        """Cut an answer by version, put it into the cache, and make a page of it."""
        if response.status in NOT_FOUND:
            split = None
            lifetime_s = min(UNTOLD_FRESH_S, validity_of(response.headers).lifetime_s)
            validity = Validity(lifetime_s=lifetime_s)
        else:
            content_type = response.headers.get("Content-Type", "")
            found = split_page(response.body, content_type, response.url, project)
            split = found if found.chunks or not location.is_flat else None
            validity = validity_of(response.headers)
        encoded = encode_page(split, validity)
        if key and may_be_stored(response.headers):
            self._entries.write(key, encoded, self._now_s)
        header = decode_header(encoded, len(encoded))
        assert header is not None
        begin = header_bytes(encoded)
        return self._page(project, location, key, _Opened(header, encoded[begin:], begin, self._now_s))

    def _page(self, project: str, location: IndexLocation, key: str, opened: _Opened) -> Page | None:
        if opened.header.is_missing:
            return None
        return Page(
            project,
            location.name,
            opened.header,
            opened.head,
            self._reader(key, opened),
            lambda: self._reload(project, location, key),
        )

    def _reader(self, key: str, opened: _Opened) -> Callable[[int, int], bytes | None]:
        def read(offset: int, length: int) -> bytes | None:
            part = self._entries.read_part(key, opened.begin + offset, length)
            return part.content if part else None

        return read

    def _reload(self, project: str, location: IndexLocation, key: str) -> Page:
        """The page anew, after the cached one turned out to be damaged or was replaced meanwhile."""
        self._entries.remove(key)
        page = self.find(project, location)
        if not isinstance(page, Page):
            raise NetworkError(f"{project} has disappeared from index {location.name!r} during this run")
        return page
