"""Metadata of releases, kept with its requirements taken apart, so that to load it needs no parser.

One small file a release, named by the archive's SHA-256 and its server (the hash says nothing about the
metadata that another server may claim for it), or by its URL where the index gives no hash. What cannot
be used is remembered too, with the reason.
"""

from __future__ import annotations

import json
from pathlib import Path

from envforge.errors import MetadataError
from envforge.model.release import CoreMetadata, IndexFile
from envforge.model.requirement import Requirement
from envforge.net.cache import EntryFolder

CACHE_NAME = "metadata-v1"


class MetadataCache:
    """What is known about releases.

    Args:
        cache: root of the cache.
    """

    def __init__(self, cache: Path) -> None:
        self._entries = EntryFolder(cache / CACHE_NAME)

    def find(self, file: IndexFile, identity: str = "") -> CoreMetadata | None:
        """What is remembered of a file, None if it is nothing.

        Args:
            file: by its hash, or by its URL for this user.
            identity: see :meth:`envforge.net.client.HttpClient.identity`.

        Raises:
            MetadataError: the file's metadata is known to be unusable.
        """
        content = self._entries.read(_key(file, identity))
        return None if content is None else _decode(content)

    def store(self, file: IndexFile, known: CoreMetadata | MetadataError, identity: str = "") -> None:
        """Remember a file's metadata, or why it cannot be used."""
        self._entries.write(_key(file, identity), _encode(known))


def _key(file: IndexFile, identity: str) -> str:
    if not file.sha256:
        return EntryFolder.key("url", file.url, identity)
    server = file.url.split("/", 3)[2]
    return EntryFolder.key(file.sha256, server)


def _encode(known: CoreMetadata | MetadataError) -> bytes:
    fields: list[object]
    if isinstance(known, MetadataError):
        fields = [known.message, known.context, known.hints]
    else:
        fields = [
            known.name,
            known.version,
            known.requires_python,
            [[item.name, item.extras, item.specifier, item.marker, item.url] for item in known.requires],
            sorted(known.provides_extra),
        ]
    return json.dumps(fields, separators=(",", ":")).encode()


def _decode(content: bytes) -> CoreMetadata | None:
    try:
        fields = json.loads(content)
        if len(fields) == 3:
            raise MetadataError(fields[0], context=fields[1], hints=fields[2])
        name, version, requires_python, requires, extras = fields
        return CoreMetadata(
            name=name,
            version=version,
            requires_python=requires_python,
            requires=tuple(
                Requirement(item[0], tuple(item[1]), item[2], item[3], item[4]) for item in requires
            ),
            provides_extra=frozenset(extras),
        )
    except (ValueError, TypeError, IndexError, KeyError):
        return None
