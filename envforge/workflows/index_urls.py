"""Where the manifest's indexes are, for whoever fetches files from them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from envforge.errors import ManifestError
from envforge.manifest.manifest import without_credentials
from envforge.model.sources import UrlSource
from envforge.net.auth import expand_url

if TYPE_CHECKING:
    from envforge.manifest.manifest import Manifest
    from envforge.workflows.session import Session


def index_urls(manifest: Manifest, session: Session) -> dict[str, str]:
    """Name of an index → its URL with credentials, never to be shown; their files may need the same.

    Also of what comes by its own URL, if that has credentials: the URL without → the URL.

    Raises:
        ManifestError: a URL needs a variable that is not set.
    """
    urls = {
        index.name: expand_url(index.url, session.environ, index.name) for index in manifest.settings.indexes
    }
    for name, url in _direct_urls(manifest):
        if (place := without_credentials(url)) != url:
            urls[place] = expanded_url(url, session, name)
    return urls


def expanded_url(url: str, session: Session, name: str) -> str:
    """The URL that a project comes from, with the variables in it replaced.

    Raises:
        ManifestError: one is not set.
    """
    try:
        return expand_url(url, session.environ, name)
    except ManifestError as error:
        message = error.message.replace("index", "the source of", 1)
        raise ManifestError(message, context=error.context, hints=error.hints) from None


def _direct_urls(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """(project, URL) of what the manifest names by a URL, as written."""
    for name, source in manifest.settings.all_sources:
        if isinstance(source, UrlSource):
            yield name, source.url
    if "@" not in manifest.text:
        return
    from envforge.manifest.references import declared_urls
    from envforge.model.requirement import parse_requirement

    for entry in declared_urls(manifest):
        requirement = parse_requirement(entry.text)
        yield requirement.name, requirement.url.partition("#")[0]
