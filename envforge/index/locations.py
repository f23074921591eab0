"""Where indexes are."""

from __future__ import annotations

from envforge.net.auth import split_credentials
from envforge.struct import Struct


class IndexLocation(Struct, frozen=True, kw_only=True):
    """A package index.

    Args:
        name: what the manifest, ``sources`` and credentials call it.
        url: of its simple API; may hold credentials and, as the manifest writes it, ``${VARIABLES}``.
        explicit: asked only for projects that ``sources`` sends there.
        default: asked after the others.
        is_flat: ``url`` is that of one page with links to files of any project, or of a folder of files.
    """

    name: str
    url: str
    explicit: bool = False
    default: bool = False
    is_flat: bool = False

    def __repr__(self) -> str:
        return f"IndexLocation({self.name!r})"  # the URL may hold credentials

    @property
    def clean_url(self) -> str:
        """The URL without credentials, for locks and messages."""
        return split_credentials(self.url)[0]

    def project_url(self, project: str) -> str:
        """The page of a project, without credentials."""
        if self.is_flat:
            return self.clean_url
        return f"{self.clean_url.rstrip('/')}/{project}/"
