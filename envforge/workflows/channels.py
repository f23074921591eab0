"""The manifest's channels as places."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from envforge.manifest.manifest import Manifest
    from envforge.net.conda_client import ChannelLocation
    from envforge.workflows.session import Session


def channel_locations(manifest: Manifest, session: Session) -> list[ChannelLocation]:
    """Where the channels are, with whatever credentials their URLs hold; folders from the project's."""
    from envforge.net.conda_client import ChannelLocation

    return [
        ChannelLocation(name=channel.name, url=_url(channel.url, session.root))
        for channel in manifest.settings.channels
    ]


def channel_folders(manifest: Manifest, root: Path) -> dict[str, str]:
    """Channels that are folders: the manifest's text → absolute URL on this host. The lock has the text."""
    return {
        channel.url: _url(channel.url, root)
        for channel in manifest.settings.channels
        if "://" not in channel.url
    }


def _url(url: str, root: Path) -> str:
    return url if "://" in url else (root / Path(url).expanduser()).resolve().as_uri()
