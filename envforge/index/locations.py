"""Where indexes are."""

from __future__ import annotations

from dataclasses import dataclass, field

from envforge.net.auth import split_credentials


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexLocation:
    """A package index.

    Args:
        name: what the manifest, ``sources`` and credentials call it.
        url: of its simple API; may hold credentials and, as the manifest writes it, ``${VARIABLES}``.
        explicit: asked only for projects that ``sources`` sends there.
        default: asked after the others.
        is_flat: ``url`` is that of one page with links to files of any project, or of a folder of files.
    """

    name: str
    url: str = field(repr=False)
    explicit: bool = False
    default: bool = False
    is_flat: bool = False

    @property
    def clean_url(self) -> str:
        """The URL without credentials, for locks and messages."""
        return split_credentials(self.url)[0]

    def project_url(self, project: str) -> str:
        """The page of a project, without credentials."""
        if self.is_flat:
            return self.clean_url
        return f"{self.clean_url.rstrip('/')}/{project}/"
