"""URLs and paths that name one archive or one folder, from their texts.

Standards: PEP 508 and the specification of direct URLs (``name @ URL``, ``#sha256=``, ``#subdirectory=``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from envforge.errors import RequirementError
from envforge.manifest.dotted import child
from envforge.manifest.paths import folder_path, is_folder_path
from envforge.model.git import ReferenceKind, parse_git_reference, parse_remote
from envforge.model.names import normalize_name
from envforge.model.release import SDIST_SUFFIXES
from envforge.model.requirement import parse_requirement
from envforge.model.sources import DirectSource, GitSource, PathSource, Source, UrlSource
from envforge.struct import replace

if TYPE_CHECKING:
    from envforge.manifest.manifest import Declared, Manifest

ARCHIVE_SUFFIXES = (".whl", *SDIST_SUFFIXES)
_ENDINGS = ".whl, .tar.gz or .zip"
_SHA256 = r"[0-9a-f]{64}"


class ReferenceFaultError(Exception):
    """A text that names no archive and no folder; the message is the problem, ``right`` the remedy."""

    def __init__(self, problem: str, right: str) -> None:
        super().__init__(problem)
        self.right = right


def parse_reference(text: str) -> DirectSource:
    """What a URL of a requirement, or the ``url`` of a source, refers to.

    Args:
        text: ``https://host/x-1.0-py3-none-any.whl#sha256=…``, ``file:///home/me/lib``, ``../lib``,
            ``git+https://host/lib@v1.0#subdirectory=python``.

    Raises:
        ReferenceFaultError: it is neither the URL of an archive or a repository nor a path.
    """
    bare, _, fragment = text.strip().partition("#")
    sha256, subdirectory = _parse_fragment(fragment)
    if bare.startswith("git+"):
        return _parse_git(bare.removeprefix("git+"), subdirectory)
    if bare.startswith("file:"):
        path = unquote(urlsplit(bare).path)
        return PathSource(folder_path(path), subdirectory=subdirectory)
    if is_folder_path(bare):
        return PathSource(folder_path(bare), subdirectory=subdirectory)
    if not bare.startswith(("https://", "http://")):
        # the text is not shown: what is wrong may be a password
        right = "write https://host/path (or http, file); for a git repository git+https://…"
        raise ReferenceFaultError("is not the URL of an archive", right)
    if "?" in bare:
        right = "write it without, or download the file and name its path"
        raise ReferenceFaultError("has a query, which may hold a secret and would stand in the lock", right)
    if not is_archive_name(urlsplit(bare).path):
        right = f"name a file that ends with {_ENDINGS}; for a git repository write git+https://…"
        raise ReferenceFaultError("is not the URL of a wheel or an sdist", right)
    return UrlSource(bare, sha256=sha256, subdirectory=subdirectory)


def parse_git(url: str, kind: ReferenceKind | None = None, name: str = "") -> GitSource:
    """The repository with an address, and which commit of it.

    Raises:
        ReferenceFaultError: the address or the name is none.
    """
    try:
        parse_remote(url)
        return GitSource(url.removeprefix("git+"), parse_git_reference(kind, name))
    except RequirementError as error:
        raise ReferenceFaultError(error.message, "; ".join(error.hints)) from None


def _parse_git(bare: str, subdirectory: str) -> GitSource:
    """``https://host/path@rev``: what comes after the path, whose users and ports come before it."""
    start = bare.find("/", bare.find("://") + 3) if "://" in bare else bare.find(":")
    path, at, rev = bare[start:].rpartition("@") if start >= 0 else ("", "", "")
    if not at:
        return replace(parse_git(bare), subdirectory=subdirectory)
    source = parse_git(bare[:start] + path, ReferenceKind.REV, unquote(rev))
    return replace(source, subdirectory=subdirectory)


def is_archive_name(path: str) -> bool:
    """Whether a path is that of a wheel or an sdist, by its end."""
    return path.endswith(ARCHIVE_SUFFIXES)


def checked_subdirectory(text: str) -> str:
    """A folder inside an sdist, in one spelling.

    Raises:
        ReferenceFaultError: it would be outside.
    """
    parts = [part for part in text.replace("\\", "/").split("/") if part not in ("", ".")]
    if text.startswith("/") or ".." in parts or ":" in text or "\0" in text:
        raise ReferenceFaultError(
            f"{text!r} is no folder inside a source", "write its path from the top of the source"
        )
    return "/".join(parts)


def find_place(manifest: Manifest, name: str, source: DirectSource) -> str:
    """The dotted path of where a manifest says that a project comes from a source, ``""`` for nowhere."""
    settings = manifest.settings
    tables: list[tuple[tuple[str, ...], Mapping[str, Source]]] = [
        (("tool", "envforge", "sources"), settings.sources)
    ]
    tables += [
        (("tool", "envforge", "variants", variant.name, "sources"), variant.sources)
        for variant in settings.variants
    ]
    for keys, sources in tables:
        if sources.get(name) == source:
            return ".".join((*keys, _spelled(manifest.text, keys, name)))
    return next((each.where for each in declared_urls(manifest, name)), "")


def declared_urls(manifest: Manifest, name: str = "") -> Iterator[Declared]:
    """The requirements of a manifest that have a URL, of one project or of all."""
    lists = [manifest.dependencies, *manifest.optional_dependencies.values(), *manifest.groups.values()]
    lists += [variant.dependencies for variant in manifest.settings.variants]
    for entry in (entry for entries in lists for entry in entries if "@" in entry.text):
        with suppress(RequirementError):
            requirement = parse_requirement(entry.text)
            if requirement.url and name in ("", requirement.name):
                yield entry


def _spelled(text: str, keys: Sequence[str], name: str) -> str:
    """The key of a table as the file has it."""
    import tomllib

    table = tomllib.loads(text)
    for key in keys:
        found = (spelled for spelled in table if normalize_name(spelled) == normalize_name(key))
        table = table.get(next(found, key), {})
    return next((child("", key) for key in table if normalize_name(key) == name), name)


def _parse_fragment(fragment: str) -> tuple[str, str]:
    """(sha256, subdirectory); what else tools have put there says nothing to us."""
    found = {"sha256": "", "subdirectory": ""}
    for part in filter(None, fragment.split("&")):
        key, equals, value = part.partition("=")
        if key in ("md5", "sha1", "sha224", "sha384", "sha512"):
            raise ReferenceFaultError(f"has a {key}, which envforge does not check", "give its sha256")
        if key in found and equals:
            found[key] = unquote(value)
    sha256 = found["sha256"].lower()
    if sha256 and not re.fullmatch(_SHA256, sha256):
        raise ReferenceFaultError("has a sha256 that is none", "write 64 hexadecimal digits, or leave it out")
    return sha256, checked_subdirectory(found["subdirectory"])
