"""A project's page as the resolver sees it, and the form in which it is cached.

A cached page is: eight hexadecimal digits (length of the header), the header as JSON, and then the raw
text of each version's files, newest first. The header names the versions and where each one's text
ends, so that to open a page costs one read and no parsing, and what nobody asks for is never decoded.
Every text has a checksum: a page that a crash has damaged is fetched again.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from envforge.errors import PackageIndexError
from envforge.metadata.simple import PageFormat, SplitPage, chunk_upload_times, parse_files
from envforge.model.release import IndexFile
from envforge.net.cache import Validity

HEAD_BYTES = 16 << 10
"""How much to read of a cached page at first: nine times of ten the header and the newest version. With 64 KB
it is all of them, and the memory for what nobody looks at costs more than to read again for the others."""
_LENGTH_DIGITS = 8


class PageHeader(NamedTuple):
    """The header of a cached page.

    Args:
        validity: until when it is fresh.
        page_format: how the texts are written.
        base_url: what relative URLs are relative to.
        versions: newest first.
        ends: where each version's text ends, counted from the first one's beginning.
        checksums: CRC-32 of each text.
        is_missing: the index has no such project.
    """

    validity: Validity
    page_format: PageFormat = "html"
    base_url: str = ""
    versions: Sequence[str] = ()
    ends: Sequence[int] = ()
    checksums: Sequence[int] = ()
    is_missing: bool = False


def encode_page(page: SplitPage | None, validity: Validity) -> bytes:
    """A page for the cache; None is remembered as "no such project"."""
    header: dict[str, Any] = {
        "lifetime": validity.lifetime_s,
        "etag": validity.etag,
        "modified": validity.modified,
    }
    texts: list[bytes] = []
    if page is not None:
        ends = []
        end = 0
        for _, text in page.chunks:
            end += len(text)
            ends.append(end)
            texts.append(text)
        header |= {
            "format": page.format,
            "url": page.base_url,
            "versions": " ".join(version for version, _ in page.chunks),
            "ends": ends,
            "crcs": [zlib.crc32(text) for text in texts],
        }
    encoded = json.dumps(header, separators=(",", ":")).encode()
    return b"".join((f"{len(encoded):0{_LENGTH_DIGITS}x}".encode(), encoded, *texts))


def header_bytes(head: bytes) -> int:
    """Where the texts begin, from the first bytes of a cached page; 0 if it is damaged."""
    try:
        return _LENGTH_DIGITS + int(head[:_LENGTH_DIGITS], 16)
    except ValueError:
        return 0


def decode_header(head: bytes, total_bytes: int) -> PageHeader | None:
    """Read the header of a cached page, None if it is damaged.

    Args:
        head: the page's first bytes, at least :func:`header_bytes`.
        total_bytes: length of the whole entry.
    """
    end = header_bytes(head)
    try:
        fields = json.loads(head[_LENGTH_DIGITS:end])
        ends = fields.get("ends", [])
        header = PageHeader(
            validity=Validity(
                lifetime_s=fields["lifetime"], etag=fields["etag"], modified=fields["modified"]
            ),
            page_format=fields.get("format", "html"),
            base_url=fields.get("url", ""),
            versions=fields.get("versions", "").split(),
            ends=ends,
            checksums=fields.get("crcs", []),
            is_missing="versions" not in fields,
        )
    except (ValueError, KeyError, AttributeError, TypeError):
        return None
    is_whole = total_bytes == end + (ends[-1] if ends else 0)
    return header if is_whole and len(ends) == len(header.versions) == len(header.checksums) else None


class Page:
    """All releases of a project on one index; implements :class:`envforge.model.release.ProjectPage`.

    Args:
        name: normalized.
        index: name of the index.
        header: what the page's header says.
        head: texts from the first one on, as far as they were read.
        read_text: (offset, length) → text that is not in ``head``, None if it is gone.
        reload: fetches the page again where the cached one is damaged.
    """

    def __init__(
        self,
        name: str,
        index: str,
        header: PageHeader,
        head: bytes,
        read_text: Callable[[int, int], bytes | None],
        reload: Callable[[], Page],
    ) -> None:
        self.name = name
        self.index = index
        self._header = header
        self._head = head
        self._read_text = read_text
        self._reload = reload
        self._files: dict[str, Sequence[IndexFile]] = {}
        self._positions: dict[str, int] = {}

    @property
    def versions(self) -> Sequence[str]:
        """Canonical, newest first."""
        return self._header.versions

    def files(self, version: str) -> Sequence[IndexFile]:
        """The files of a version; KeyError if there is no such version."""
        known = self._files.get(version)
        if known is None:
            text = self._text(version)
            if text is None:
                self._become(self._reload(), version)
                return self.files(version)
            header = self._header
            known = parse_files(text, header.page_format, header.base_url, self.index)
            self._files[version] = known
        return known

    def upload_times(self, version: str) -> list[str]:
        """Upload times that stand in a version's text, without decoding the rest."""
        text = self._text(version)
        if text is None:
            self._become(self._reload(), version)
            return self.upload_times(version)
        return chunk_upload_times(text, self._header.page_format)

    def _text(self, version: str) -> bytes | None:
        """The raw text of a version's files, None if it is damaged."""
        if not self._positions:
            self._positions = {version: i for i, version in enumerate(self._header.versions)}
        position = self._positions[version]
        start = self._header.ends[position - 1] if position else 0
        end = self._header.ends[position]
        text = self._head[start:end] if end <= len(self._head) else self._read_text(start, end - start)
        if text is None or zlib.crc32(text) != self._header.checksums[position]:
            return None
        return text

    def _become(self, other: Page, version: str) -> None:
        """Go on with a page that was fetched anew.

        Raises:
            PackageIndexError: the version is gone meanwhile.
        """
        if version not in other._header.versions:
            raise PackageIndexError(
                f"{self.name} {version} has disappeared from index {self.index!r} during this run",
                hints=["run the command again"],
            )
        self._header, self._head, self._read_text = other._header, other._head, other._read_text
        self._files, self._positions = {}, {}
