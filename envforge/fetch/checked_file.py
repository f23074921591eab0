"""A file on this host that a lock names by its URL."""

from __future__ import annotations

from pathlib import Path

from envforge.errors import ArchiveError, HashError
from envforge.fetch.archives import file_digest
from envforge.net.local_files import file_url_path


def checked_file(url: str, sha256: str) -> Path:
    """The file of a ``file:`` URL, when it is the locked one.

    Raises:
        ArchiveError: it is not there, or it is another file (HashError).
        NetworkError: the URL names another host.
    """
    path = file_url_path(url)
    try:
        found = file_digest(path)
    except OSError as error:
        raise ArchiveError(
            f"{path.name} cannot be read: {error.strerror}",
            context=[f"path: {path}"],
            hints=["put the file back, or lock again with `envforge lock`"],
        ) from error
    if found != sha256:
        raise HashError(
            f"{path.name} is not the file that was locked",
            context=[f"expected: sha256 {sha256}", f"got: sha256 {found}", f"path: {path}"],
            hints=["put the file back, or lock again with `envforge lock --upgrade-package NAME`"],
        )
    return path
