"""The metadata of one release from its server, by the cheapest way that works.

For a wheel: the metadata file where the index advertises it (PEP 658, PEP 714) or the server has it
anyway; the wheel's last bytes; the whole wheel. For an sdist: its PKG-INFO where that is static, else a
build by whoever can build.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

from envforge.errors import HashError, MetadataError, OfflineError
from envforge.events import Reporter
from envforge.index.archive import fetched_archive
from envforge.index.failures import NeedsBuildError
from envforge.index.file_hosts import FileHosts
from envforge.index.locations import IndexLocation
from envforge.index.sdist import read_static_metadata
from envforge.metadata.core import parse_core_metadata
from envforge.metadata.versions import is_release, version_of
from envforge.metadata.wheel_tail import ByteRange, read_wheel_metadata
from envforge.model.names import normalize_name
from envforge.model.release import CoreMetadata, IndexFile
from envforge.net.attempt import Response
from envforge.net.client import NOT_FOUND, HttpClient

_TAIL_BYTES = 32 << 10
"""First guess at how much of a wheel's end to ask for. Of 168 wheels of a torch environment 141 are
settled with it (149 with 64 KB, at twice the traffic)."""
_LARGEST_TAIL_BYTES = 4 << 20
_REFUSED_RANGE = frozenset({400, 405, 416, 501})
_MOST_ROUNDS = 6

BuildMetadata = Callable[[IndexFile, Path], CoreMetadata]
"""Builds an sdist's metadata: (the file as listed, the downloaded archive) → metadata."""


class MetadataFetcher:
    """Fetches metadata of released files; threads may share it.

    Args:
        cache: root of the cache.
        client: to fetch with.
        hosts: what servers can do.
        locations: name of an index → where it is, its variables expanded.
        reporter: is told of downloads.
        build: for sdists that do not tell; None where nobody can build.
    """

    def __init__(
        self,
        cache: Path,
        client: HttpClient,
        hosts: FileHosts,
        locations: Mapping[str, IndexLocation],
        reporter: Reporter,
        build: BuildMetadata | None,
    ) -> None:
        self._root = cache
        self._client = client
        self._hosts = hosts
        self._locations = locations
        self._reporter = reporter
        self._build = build
        self._tail_bytes: dict[str, int] = {}

    def fetch(self, file: IndexFile) -> CoreMetadata:
        """The metadata of a release, read from this file.

        Raises:
            MetadataError: it has none that can be used; :class:`NeedsBuildError` if a build could tell.
            HashError: what the server sent is not what the index announced.
            OfflineError, NetworkError: it cannot be had.
        """
        metadata = self._read_wheel(file) if file.is_wheel else self._read_sdist(file)
        _check_identity(metadata, file)
        return metadata

    def _read_wheel(self, file: IndexFile) -> CoreMetadata:
        if file.has_metadata:
            content = self._fetch_advertised(file)
            if content is not None:
                return parse_core_metadata(content, file.filename)
        host = self._hosts.find(file.url) if not file.url.startswith("file:") else None
        if host is not None:
            found: list[CoreMetadata] = []
            if self._hosts.learn_metadata(host, lambda: self._probe(file, found)):
                if found or self._probe(file, found):
                    return found[0]
                self._hosts.note_no_metadata(host)
        if host is None or host.serves_ranges:
            content = self._fetch_tail(file, file.url)
            if content is not None:
                return parse_core_metadata(content, file.filename)
            if host is not None:
                self._hosts.note_no_ranges(host)
        with fetched_archive(file, self._client, self._locations, self._root, self._reporter) as archive:
            content = self._fetch_tail(file, archive.as_uri())
        assert content is not None  # a file on the disk has ranges
        return parse_core_metadata(content, file.filename)

    def _fetch_advertised(self, file: IndexFile) -> bytes | None:
        """The metadata file, None where the server does not have it after all."""
        response = self._get(f"{file.url}.metadata", file, expected=NOT_FOUND)
        if response.status != 200:
            return None
        digest = sha256(response.body).hexdigest()
        if file.metadata_sha256 and digest != file.metadata_sha256:
            raise HashError(
                f"the metadata of {file.filename} is not what index {file.index!r} announced",
                context=[f"announced: sha256 {file.metadata_sha256}", f"received: sha256 {digest}"],
                hints=["run the command again with --refresh; if it stays, tell the index's operator"],
            )
        return response.body

    def _probe(self, file: IndexFile, found: list[CoreMetadata]) -> bool:
        """Ask for a metadata file that nobody has advertised; a page that says "log in" does not count."""
        try:
            response = self._get(
                f"{file.url}.metadata", file, expected=NOT_FOUND | frozenset({400, 401, 403, 405})
            )
            if response.status != 200:
                return False
            metadata = parse_core_metadata(response.body, file.filename)
            _check_identity(metadata, file)
        except MetadataError:
            return False
        found.append(metadata)
        return True

    def _fetch_tail(self, file: IndexFile, url: str) -> bytes | None:
        """METADATA of a wheel by ranges, None where the server does not do ranges."""
        project = file.filename.partition("-")[0]
        wanted = f"-{self._tail_bytes.get(project, _TAIL_BYTES)}"
        pieces: dict[int, bytes] = {}
        for _ in range(_MOST_ROUNDS):
            response = self._get(url, file, expected=_REFUSED_RANGE, byte_range=wanted)
            covered = _parse_content_range(response)
            if covered is None:
                return None
            start, total_bytes = covered
            pieces[start] = response.body
            if start + len(response.body) != total_bytes and len(pieces) == 1:
                return None
            outcome = read_wheel_metadata(pieces, total_bytes, file.filename)
            if isinstance(outcome, bytes):
                needed = total_bytes - min(pieces)
                if needed <= _LARGEST_TAIL_BYTES:
                    self._tail_bytes[project] = needed
                return outcome
            wanted = _next_range(outcome, min(pieces))
        return None

    def _read_sdist(self, file: IndexFile) -> CoreMetadata:
        with fetched_archive(file, self._client, self._locations, self._root, self._reporter) as archive:
            metadata = read_static_metadata(archive, file.filename)
            if metadata is not None:
                return metadata
            if self._build is None:
                raise NeedsBuildError(file)
            return self._build(file, archive)

    def _get(self, url: str, file: IndexFile, *, expected: frozenset[int], byte_range: str = "") -> Response:
        location = self._locations.get(file.index)
        try:
            return self._client.get(
                url,
                expected=expected,
                byte_range=byte_range,
                index_name=file.index,
                index_url=location.url if location else "",
            )
        except OfflineError:
            raise OfflineError(
                f"the metadata of {file.filename} is not cached, and --offline forbids to fetch it",
                context=[f"url: {file.url}"],
                hints=["run without --offline once"],
            ) from None


def _next_range(missing: ByteRange, tail_start: int) -> str:
    """The range to ask for. With a directory goes what stands before it: METADATA mostly is there."""
    end = missing.offset + missing.length
    start = max(0, missing.offset - _TAIL_BYTES) if end >= tail_start else missing.offset
    return f"{start}-{end - 1}"


def _parse_content_range(response: Response) -> tuple[int, int] | None:
    """(offset of the body in the file, length of the file), None where the answer is no range."""
    unit, _, rest = response.headers.get("Content-Range", "").strip().partition(" ")
    span, _, total = rest.partition("/")
    first, _, last = span.partition("-")
    if response.status != 206 or unit.lower() != "bytes":
        return None
    if not (first.isdecimal() and last.isdecimal() and total.isdecimal()):
        return None
    if int(last) - int(first) + 1 != len(response.body) or int(last) >= int(total):
        return None
    return int(first), int(total)


def _check_identity(metadata: CoreMetadata, file: IndexFile) -> None:
    """Refuse metadata of another release: a server that mixes files up must not decide a resolution."""
    name = normalize_name(metadata.name)
    expected = version_of(file.filename, name)
    if expected is None or not is_release(metadata.version, expected):
        raise MetadataError(
            f"{file.filename} says in its metadata that it is {metadata.name} {metadata.version}",
            context=[f"url: {file.url}"],
            hints=["use another version, or tell the project that made it"],
        )
