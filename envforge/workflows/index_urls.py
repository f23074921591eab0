"""Where the manifest's indexes are, for whoever fetches files from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envforge.net.auth import expand_url

if TYPE_CHECKING:
    from envforge.manifest.manifest import Manifest
    from envforge.workflows.session import Session


def index_urls(manifest: Manifest, session: Session) -> dict[str, str]:
    """Name of an index → its URL with credentials, never to be shown; their files may need the same.

    Raises:
        ManifestError: a URL needs a variable that is not set.
    """
    return {
        index.name: expand_url(index.url, session.environ, index.name) for index in manifest.settings.indexes
    }
