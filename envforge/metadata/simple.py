"""Project pages of the simple API, as JSON or HTML: cut by version first, read in detail when asked.

A page has up to ten thousand files, of which a resolution looks at a few dozen. So :func:`split_page`
only cuts it into the raw text of each file (a start tag, or a JSON object) and groups these by
version, and :func:`parse_files` reads the group that somebody wants. Both see the same bytes: a cache
may keep the groups as they are.

Standards: PEP 503 (HTML), PEP 691 (JSON), PEP 592 (yanked), PEP 629 (version of the API), PEP 658 and
714 (metadata files), PEP 700 (size, upload time); ``data-upload-time`` is no standard but exists. Not
here: the project list, and anything that needs the network.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias
from urllib.parse import unquote, urljoin

from msgspec import Raw, ValidationError
from msgspec.json import decode

from envforge.errors import PackageIndexError
from envforge.metadata.anchors import Anchor, chunk_anchors, cut_anchors, unescape
from envforge.metadata.versions import is_distribution, version_of, version_sort_key
from envforge.model.release import IndexFile
from envforge.struct import Struct

PageFormat: TypeAlias = Literal["html", "json"]

_HTML_TIMES = re.compile(rb"""(?i)\bdata-upload-time\s*=\s*["']?([^"'\s>]+)""")
_PLAIN_ANCHOR = re.compile(
    r'(?:\A|\0) ?href="(https://[\w./+:!~-]+/([\w.+!~-]+(?:\.whl|\.tar\.gz|\.zip)))#sha256=([0-9a-f]{64})"'
    r'(?: data-requires-python="([ -!#-~]*)")?( data-yanked="[ -!#-~]*")?'
    r'(?: data-upload-time="([0-9TZ:.+-]*)")?'
    r'(?: data-dist-info-metadata="sha256=([0-9a-f]{64})" data-core-metadata="sha256=\7")?(?=\0|\Z)',
    re.ASCII,
)
_JSON_TIMES = re.compile(rb'"upload-time"\s*:\s*"([^"]+)"')
ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01"
"""What to send as ``Accept``: JSON where the index has it."""


class SplitPage(NamedTuple):
    """A page cut by version.

    Args:
        format: how the chunks are written.
        base_url: what relative URLs in it are relative to.
        chunks: (canonical version, raw text of its files), newest first. Versions that are equal in
            PEP 440's eyes (``1.0``, ``1.0.0``) are one, under the shorter name.
    """

    format: PageFormat
    base_url: str
    chunks: Sequence[tuple[str, bytes]]


def split_page(body: bytes, content_type: str, url: str, project: str) -> SplitPage:
    """Cut a page of the simple API by version.

    Files with names that break the rules, files of other projects, eggs and installers are left out.

    Args:
        body: as it arrived, uncompressed.
        content_type: the header's value, ``""`` where there is none.
        url: where the page came from after redirects, without credentials.
        project: normalized name.

    Raises:
        PackageIndexError: it is no page of the simple API (a login page, an error text, broken JSON),
            or of a version of it that this program does not know.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type.endswith("json") or (not media_type and body.lstrip()[:1] == b"{"):
        return _split_json(body, url, project)
    if media_type and not media_type.startswith("text/") and "html" not in media_type:
        raise _no_page(url, f"its content type is {media_type}")
    return _split_html(body, url, project)


def parse_files(chunk: bytes, page_format: PageFormat, base_url: str, index: str) -> list[IndexFile]:
    """Read the files of one chunk of a :class:`SplitPage`.

    Args:
        chunk: raw text of some files.
        page_format: how it is written.
        base_url: the page's.
        index: name to put into the files.

    Raises:
        PackageIndexError: what the page says of a file cannot be read.
    """
    if page_format == "json":
        try:
            entries = decode(b"[" + chunk + b"]")
        except (ValueError, RecursionError) as error:  # what _read_names passes over
            raise _no_page(base_url, f"its JSON is broken: {error}") from None
        found = [_json_file(entry, base_url, index) for entry in entries]
    else:
        plain = _plain_html_files(chunk, index)
        if plain is not None:
            return plain
        found = [_html_file(anchor, base_url, index) for anchor in chunk_anchors(chunk)]
    return [file for file in found if file is not None]


def chunk_upload_times(chunk: bytes, page_format: PageFormat) -> list[str]:
    """The upload times in a chunk, found without reading the rest; a file may have none."""
    pattern = _JSON_TIMES if page_format == "json" else _HTML_TIMES
    return [time.decode("utf-8", "replace") for time in pattern.findall(chunk)]


def _split_html(body: bytes, url: str, project: str) -> SplitPage:
    anchors = cut_anchors(body)
    _check_api_version(anchors.repository_version or "1.0", url)
    chunks = _by_version(
        [(f"{prefix}-py3-none-any.whl", tags) for prefix, tags in anchors.wheels.items()]
        + [(_filename(href), tags) for href, tags in anchors.others.items()],
        project,
    )
    if not chunks and not anchors.looks_like_page:
        raise _no_page(url, "it lists no files" if body.strip() else "it is empty")
    base_url = _join(url, anchors.base_href) or url
    return SplitPage("html", base_url, [(version, b"\0".join(tags)) for version, tags in chunks])


def _split_json(body: bytes, url: str, project: str) -> SplitPage:
    try:
        meta, names = _read_names(body)
        raws = decode(body, type=_RawFiles).files if names is not None else []
    except (ValueError, RecursionError) as error:
        raise _no_page(url, f"its JSON is broken: {error}") from None
    _check_api_version(str(meta.get("api-version", "1.0")) if isinstance(meta, dict) else "1.0", url)
    if names is None:
        raise _no_page(url, "its JSON has no list of files")
    files = [(name, [bytes(raw)]) for name, raw in zip(names, raws, strict=True) if isinstance(name, str)]
    chunks = _by_version(files, project)
    return SplitPage("json", url, [(version, b",\n".join(raws)) for version, raws in chunks])


class _NamedFile(Struct, gc=False):
    filename: str


class _NamedFiles(Struct):
    """All that is made objects of: the rest of a page is checked and passed over, in a third of the time."""

    files: list[_NamedFile]
    meta: Any = None


class _RawFiles(Struct):
    """The raw text of each file of a JSON page."""

    files: list[Raw]


def _read_names(body: bytes) -> tuple[Any, Sequence[Any] | None]:
    """What a JSON page says of itself, and the name of each file; None for no list of files.

    What is broken in a file shows here, and not when that is read; but for numbers that are too large.
    """
    body.isascii() or body.decode()  # what is passed over, msgspec does not decode
    try:
        page = decode(body, type=_NamedFiles)
    except ValidationError:  # a file without a name, or one that is no text: the others stand
        document = decode(body)
        if not isinstance(document, dict):
            raise ValueError("it is no object") from None
        entries = document.get("files")
        if not isinstance(entries, list):
            return document.get("meta"), None
        return document.get("meta"), [
            entry.get("filename") if isinstance(entry, dict) else None for entry in entries
        ]
    return page.meta, [file.filename for file in page.files]


def _by_version(files: Sequence[tuple[str, list[bytes]]], project: str) -> list[tuple[str, list[bytes]]]:
    """(file name, raw texts) → (version, raw texts), newest first; names that are no good fall out."""
    by_version: dict[str, list[bytes]] = {}
    for filename, raws in files:
        version = version_of(filename, project)
        if version is None:
            continue
        if version in by_version:
            by_version[version] += raws
        else:
            by_version[version] = [*raws]
    ranked = sorted(
        ((version_sort_key(version), -len(version), version) for version in by_version), reverse=True
    )
    chunks: list[tuple[str, list[bytes]]] = []
    last_key = None
    for key, _, version in ranked:
        if key == last_key:
            chunks[-1][1].extend(by_version[version])
        else:
            chunks.append((version, by_version[version]))
        last_key = key
    return chunks


def _plain_html_files(chunk: bytes, index: str) -> list[IndexFile] | None:
    """The files of a chunk whose anchors are all written as PyPI writes them, None for any other chunk.

    It takes a third of the time that :func:`_html_file` takes, and a lock looks at thousands of files.
    """
    text = chunk.decode("ascii", "replace")
    if not _PLAIN_ANCHOR.match(text):
        return None
    anchors = _PLAIN_ANCHOR.findall(text)
    if len(anchors) != chunk.count(b"\0") + 1:
        return None
    return [
        IndexFile(
            filename=filename,
            url=url,
            index=index,
            sha256=sha256,
            requires_python=unescape(requires_python).strip(),
            yanked=unescape(yanked.partition("=")[2][1:-1]) if yanked else None,
            upload_time=upload_time,
            has_metadata=bool(metadata),
            metadata_sha256=metadata,
        )
        for url, filename, sha256, requires_python, yanked, upload_time, metadata in anchors
    ]


def _html_file(anchor: Anchor, base_url: str, index: str) -> IndexFile | None:
    url, fragment = _clean_url(anchor.get("href", ""), base_url)
    metadata = anchor.get("data-core-metadata", anchor.get("data-dist-info-metadata", "false"))
    algorithm, _, digest = metadata.partition("=")
    filename = _filename(url)
    if not is_distribution(filename):
        return None
    return IndexFile(
        filename=filename,
        url=url,
        index=index,
        sha256=_sha256(fragment.partition("sha256=")[2].partition("&")[0]),
        requires_python=anchor.get("data-requires-python", "").strip(),
        yanked=anchor.get("data-yanked"),
        upload_time=anchor.get("data-upload-time", ""),
        has_metadata=metadata.lower() == "true" or bool(digest),
        metadata_sha256=_sha256(digest) if algorithm == "sha256" else "",
    )


def _json_file(entry: Mapping[str, Any], base_url: str, index: str) -> IndexFile | None:
    url, fragment = _clean_url(_text(entry, "url"), base_url)
    if not url:
        return None
    hashes = entry.get("hashes")
    metadata = next((entry[key] for key in _JSON_METADATA if entry.get(key) is not None), False)
    yanked = entry.get("yanked", False)
    size = entry.get("size")
    return IndexFile(
        filename=entry["filename"],
        url=url,
        index=index,
        sha256=_sha256(
            _text(hashes, "sha256") if isinstance(hashes, dict) else fragment.partition("sha256=")[2]
        ),
        size_bytes=size if isinstance(size, int) and not isinstance(size, bool) else None,
        requires_python=_text(entry, "requires-python").strip(),
        yanked=yanked if isinstance(yanked, str) else ("" if yanked else None),
        upload_time=_text(entry, "upload-time"),
        has_metadata=bool(metadata) or isinstance(metadata, dict),
        metadata_sha256=_sha256(_text(metadata, "sha256")) if isinstance(metadata, dict) else "",
    )


_JSON_METADATA = ("core-metadata", "dist-info-metadata", "data-dist-info-metadata")


def _text(mapping: Mapping[str, Any], key: str) -> str:
    value = mapping.get(key)
    return value if isinstance(value, str) else ""


def _sha256(text: str) -> str:
    """A digest, lower case; ``""`` for what is none, so that nobody compares with it."""
    try:
        is_digest = len(text) == 64 and len(bytes.fromhex(text)) == 32  # white space is no digit
    except ValueError:
        is_digest = False
    return text.lower() if is_digest else ""


def _clean_url(href: str, base_url: str) -> tuple[str, str]:
    """(absolute URL without credentials and fragment, fragment); ``""`` if it leads nowhere good.

    An index on the network must not point into the local disk.
    """
    href, _, fragment = href.strip().partition("#")
    if not href.startswith(("https://", "http://")):
        href = _join(base_url, href)
        allowed = (
            ("https://", "http://", "file://") if base_url.startswith("file:") else ("https://", "http://")
        )
        if not href.startswith(allowed):
            return "", ""
    if "@" not in href:
        return href, fragment
    scheme, _, rest = href.partition("://")
    authority, slash, path = rest.partition("/")
    if "@" in authority:
        href = f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"
    return href, fragment


def _join(base_url: str, href: str) -> str:
    """The absolute URL, ``""`` for what is no URL."""
    try:
        return urljoin(base_url, href)
    except ValueError:
        return ""


def _filename(url: str) -> str:
    """The last part of a URL's path, percent-decoded."""
    if "#" in url or "?" in url:
        url = url.partition("#")[0].partition("?")[0]
    name = url.rpartition("/")[2].strip()
    return unquote(name) if "%" in name else name


def _check_api_version(version: str, url: str) -> None:
    """Refuse what a newer standard may have given another meaning (PEP 629)."""
    major = version.partition(".")[0]
    if not major.isdecimal() or int(major) > 1:
        raise PackageIndexError(
            f"the index speaks version {version} of the simple API, envforge knows version 1",
            context=[f"url: {url}"],
            hints=["update envforge, or ask the index's operator for version 1"],
        )


def _no_page(url: str, why: str) -> PackageIndexError:
    return PackageIndexError(
        f"the index's answer is no list of files: {why}",
        context=[f"url: {url}"],
        hints=[
            "open the URL in a browser: a login page or a proxy may have answered",
            "the index's URL should end where project names begin, often in /simple",
        ],
    )
