"""Files of the project's own disk: in the lock by their path from the project's folder, in use by a URL.

So a lock is the same on every host, and the project can be moved with its files.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from envforge.struct import replace

if TYPE_CHECKING:
    from envforge.manifest.manifest import Manifest
    from envforge.model.lock import Lock


def placed_url(url: str, root: Path) -> str:
    """A URL as it is; a path from the project's folder, percent-encoded or not, as ``file:`` URL."""
    return url if "://" in url else place(unquote(url), root).as_uri()


def place(path: str, root: Path) -> Path:
    """A path of the manifest on this host, absolute and without links."""
    return (root / Path(path).expanduser()).resolve()


def index_folders(manifest: Manifest, root: Path) -> dict[str, str]:
    """Folders of flat indexes, and pages in files with theirs: absolute URL on this host → the path."""
    texts = [each.url for each in manifest.settings.indexes if each.is_flat and "://" not in each.url]
    texts += [text.rpartition("/")[0] or "/" for text in texts if place(text, root).is_file()]
    return {place(text, root).as_uri(): text for text in texts}


def with_paths(lock: Lock, folders: dict[str, str]) -> Lock:
    """A lock as it is written: files in these folders by their path.

    Args:
        lock: as it is used.
        folders: absolute URL on this host → the manifest's text.
    """
    if not folders:
        return lock

    def path_of(url: str) -> str:
        if not url.startswith("file:"):
            return url
        for folder, text in sorted(folders.items(), reverse=True):
            if url == folder or url.startswith(f"{folder.rstrip('/')}/"):
                return f"{quote(text).rstrip('/')}{url[len(folder.rstrip('/')) :]}"
        return url

    return replace(
        lock,
        indexes=tuple(replace(index, url=path_of(index.url)) for index in lock.indexes),
        packages={
            package_id: replace(
                package, files=tuple(replace(file, url=path_of(file.url)) for file in package.files)
            )
            for package_id, package in lock.packages.items()
        },
    )
