"""Archives that a project names by their URL: fetched once, kept, found again without the network.

What is known of a URL is its file's SHA-256 and length, remembered in the cache; the lock holds both for
everybody. The file itself is among the kept archives, where a sync finds it.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

from envforge.fetch.archives import archive_path, file_digest, is_kept
from envforge.net.cache import EntryFolder
from envforge.net.download import download
from envforge.net.pools import ConnectionPools
from envforge.store.failures import store_failures
from envforge.store.layout import tree_id
from envforge.store.sharing import make_folders
from envforge.workflows.built_wheels import keep_archive

if TYPE_CHECKING:
    from envforge.workflows.session import Session

CACHE_NAME = "direct-v1"


class Content(NamedTuple):
    """What is behind a URL: SHA-256 in hex, and the length."""

    sha256: str
    size_bytes: int


class DirectArchives:
    """The archives of a session.

    Args:
        session: places, network, reporter.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._entries = EntryFolder(session.places.cache / CACHE_NAME)

    def recall(self, place: str) -> Content | None:
        """What was behind a URL (without credentials) when it was last fetched."""
        with suppress(ValueError, TypeError, KeyError):
            found = json.loads(self._entries.read(EntryFolder.key(place)) or b"{}")
            return Content(str(found["sha256"]), int(found["size"]))
        return None

    def find(self, sha256: str) -> Path | None:
        """A kept archive."""
        archives = self._session.places.archives
        return archive_path(archives, tree_id(sha256)) if is_kept(archives, tree_id(sha256)) else None

    def fetch(self, place: str, url: str, sha256: str) -> tuple[Content, Path]:
        """Download an archive, and keep it.

        Args:
            place: the URL without credentials.
            url: what is asked for, with credentials where there are some.
            sha256: that it has to have, ``""`` for any.

        Raises:
            HashError: it has another one.
            OfflineError, NetworkError: it cannot be had.
            StoreError: the disk is full or cannot be written.
        """
        session = self._session
        folder = session.places.cache / "downloads"
        with store_failures(folder, "download"):
            make_folders(folder)
            with (
                TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as name,
                ConnectionPools(session.network) as pools,
            ):
                archive = Path(name, "archive")
                download(
                    place,
                    archive,
                    sha256=sha256,
                    size_bytes=None,
                    filename=url_filename(place),
                    index_url=url,
                    pools=pools,
                    settings=session.network,
                    reporter=session.reporter,
                )
                content = Content(sha256 or file_digest(archive), archive.stat().st_size)
                keep_archive(archive, tree_id(content.sha256), url_filename(place), session)
        document = {"sha256": content.sha256, "size": content.size_bytes}
        self._entries.write(EntryFolder.key(place), json.dumps(document).encode())
        return content, archive_path(session.places.archives, tree_id(content.sha256))


def url_filename(url: str) -> str:
    """The last part of a URL's path."""
    return unquote(urlsplit(url).path.rpartition("/")[2])
