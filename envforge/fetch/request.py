"""What a fetch is asked for."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from envforge.struct import Struct


class FetchRequest(Struct, frozen=True, kw_only=True):
    """A wheel that has to be in the store.

    Args:
        name: normalized.
        version: canonical.
        url: ``https:``, ``http:`` or ``file:``.
        sha256: hex.
        size_bytes: None where the lock does not know it.
        index: name of its index, for credentials; ``""`` for none.
        index_url: that index's URL, with credentials where the manifest has them.
    """

    name: str
    version: str
    url: str
    sha256: str
    size_bytes: int | None = None
    index: str = ""
    index_url: str = ""

    @property
    def filename(self) -> str:
        return unquote(urlsplit(self.url).path.rpartition("/")[2])

    @property
    def is_local(self) -> bool:
        return self.url.startswith("file:")
